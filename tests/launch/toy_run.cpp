#include "tests/launch/toy_run.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/io/file.h"
#include "tests/support/mined_file.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kConfig = R"(recipe: lamra_ret
run_dir: {root}/run
seed: 3
model: {path: {root}/model}
lora: {rank: 2, alpha: 4, dropout: 0.1}
trainable: {parts: lora}
data:
  root: {root}
  image_root: {root}/images
  sources:
    - kind: mbeir
      files: [queries.jsonl]
      pool: pool.jsonl
      instructions: instructions.tsv
  sampler: {pairs_global: 4}
loss: {exclude: [same_concept]}
optim: {peak_lr: 0.01}
train: {steps: 60, log_every_steps: 4}
checkpoint: {every_steps: 7}
)";

}  // namespace

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

int64_t lines_of(const fs::path& path) {
  const std::string text = read_text_file(path);
  return std::count(text.begin(), text.end(), '\n');
}

ToyRun::ToyRun() {
  fs::copy(fs::path(TRIREME_TEST_DIR) / "golden/embed", folder_.path(), fs::copy_options::recursive);
  std::string queries, pool;
  const char* pictures[] = {"gradient.png", "small.png", "wide.png"};
  for (int i = 0; i < 12; ++i) {
    const bool to_picture = i % 2 == 0;
    queries += fmt::format(R"({{"qid": "20:{0}", "query_txt": "apple {0}", "query_img_path": null, )"
                           R"("query_modality": "text", "task_id": {1}, "pos_cand_list": ["20:{0}"], )"
                           R"("neg_cand_list": []}})"
                           "\n",
                           i, to_picture ? 0 : 1);
    pool += to_picture ? fmt::format(R"({{"did": "20:{}", "txt": null, "img_path": "{}", "modality": "image"}})", i,
                                     pictures[i % 3])
                       : fmt::format(R"({{"did": "20:{}", "txt": "pear {} and plum", "img_path": null, )"
                                     R"("modality": "text"}})",
                                     i, i * i);
    pool += "\n";
  }
  folder_.write("queries.jsonl", queries);
  folder_.write("pool.jsonl", pool);
  folder_.write("instructions.tsv",
                "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
                "text\timage\tfruit\t20\tFind the picture.\tShow it.\n"
                "text\ttext\tfruit\t20\tFind the other fruit.\tName it.\n");
  folder_.write("config.yaml", replaced(kConfig, "{root}", folder_.path().string()));
}

std::vector<std::string> ToyRun::command(int ranks, std::vector<std::string> more) const {
  std::vector<std::string> argv = {TRIREME_BINARY, "train", at("config.yaml")};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.insert(argv.end(), {"--threads", "1", "--timeout-s", "20"});
  return ranks > 1 ? under_mpirun(TRIREME_MPIEXEC, ranks, argv) : argv;
}

ProgramResult ToyRun::train(std::vector<std::string> more, int ranks) const {
  return run_program(command(ranks, std::move(more)), kEnvironment);
}

ProgramResult ToyRun::script(const fs::path& run, int ranks, const std::string& text,
                             std::vector<std::string> more) const {
  more.push_back("run_dir=" + run.string());
  std::string words;
  for (const std::string& word : command(ranks, std::move(more))) words += " '" + word + "'";
  return run_program({"/bin/bash", "-c", fmt::format("run='{}'; train() {{ exec{}; }}\n{}", run.string(), words, text)},
                     kEnvironment);
}

ProgramResult ToyRun::train_and_kill(const fs::path& run, int lines, int ranks, std::vector<std::string> more) const {
  return script(run, ranks,
                fmt::format(R"(train & launcher=$!
while kill -0 $launcher 2>/dev/null && [ $(cat $run/metrics.jsonl 2>/dev/null | wc -l) -lt {} ]; do sleep 0.005; done
victim=$launcher
for child in $(pgrep -P $launcher); do
  if grep -qz '^OMPI_COMM_WORLD_RANK={}$' /proc/$child/environ; then victim=$child; fi
done
kill -KILL $victim
wait $launcher)",
                            lines, ranks - 1),
                std::move(more));
}

void ToyRun::write_mined(const fs::path& path, int queries) const {
  std::vector<MinedList> lists;
  for (int i = 0; i < queries; ++i) {
    MinedList list{fmt::format("20:{}", i), {}, {fmt::format("20:{}", i)}};
    for (int ahead : {2, 4, 0, 6, 8}) list.documents.push_back(fmt::format("20:{}", (i + ahead) % 12));
    lists.push_back(std::move(list));
  }
  write_mined_file(path, lists);
}

void ToyRun::expect_refused(const ProgramResult& ran, int exit_code, const std::vector<std::string>& parts) const {
  EXPECT_EQ(ran.exit_code, exit_code) << ran.err;
  EXPECT_THAT(ran.last_error_line(), StartsWith("error: "));
  EXPECT_EQ(ran.error_lines(), 1) << ran.err;
  for (const std::string& part : parts) EXPECT_THAT(ran.last_error_line(), HasSubstr(part));
}

std::string ToyRun::final_file(const fs::path& run, const std::string& name) const {
  return read_text_file(run / "checkpoints/step_000060" / name);
}

void ToyRun::expect_same_run(const fs::path& a, const fs::path& b) const {
  for (const char* name : {"weights.safetensors", "optimizer.safetensors"}) {
    EXPECT_TRUE(final_file(a, name) == final_file(b, name)) << name;
  }
  EXPECT_EQ(read_text_file(a / "metrics.jsonl"), read_text_file(b / "metrics.jsonl"));
}

}  // namespace trireme::test
