#include "evaluation/benchmark.h"

#include <algorithm>

#include "core/config/field_list.h"
#include "core/config/nearest.h"
#include "core/error.h"

namespace trireme {

void BenchmarkConfig::describe(FieldList& v) {
  v.field("root", root, "Folder of the benchmark, in M-BEIR's layout.").required().no_effect_on_values();
  v.field("layout", layout, "Where its tasks are listed: in a tasks.yaml of its own, or by M-BEIR's file names.");
  v.field("split", split, "Which queries.").one_of({"val", "test"});
  v.field("sets", sets, "Keep tasks of these sets (main, T2, ..); empty keeps all.");
  v.field("tasks", tasks, "Keep the tasks with these ids; empty keeps all.");
  v.field("image_root", image_root, "Folder that image paths are relative to; default: root.").no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of that folder.")
      .no_effect_on_values();
  v.field("allow_missing_positives", allow_missing_positives,
          "Relevant documents that a pool lacks count as not found (OVEN and InfoSeek judge each other's pools).");
  v.field("allow_modality_mismatch", allow_modality_mismatch,
          "Records whose modality contradicts what they hold are taken as they are, instructed by what it says, and "
          "counted (public M-BEIR has queries of image,text without a text).")
      .no_effect_on_values();
}
static_assert(field_count<BenchmarkConfig>() == 9, "describe() must list every field");
namespace {

struct MbeirTask {
  std::string_view dataset;
  int64_t task_id;
  std::string_view label;
};

/// In the order in which UniIR and LamRA report them.
constexpr std::array<MbeirTask, 16> kMbeirTasks = {{{"visualnews", 0, "VisualNews text -> image"},
                                                    {"mscoco", 0, "MSCOCO text -> image"},
                                                    {"fashion200k", 0, "Fashion200K text -> image"},
                                                    {"webqa", 1, "WebQA text -> text"},
                                                    {"edis", 2, "EDIS text -> image with text"},
                                                    {"webqa", 2, "WebQA text -> image with text"},
                                                    {"visualnews", 3, "VisualNews image -> text"},
                                                    {"mscoco", 3, "MSCOCO image -> text"},
                                                    {"fashion200k", 3, "Fashion200K image -> text"},
                                                    {"nights", 4, "NIGHTS image -> image"},
                                                    {"oven", 6, "OVEN image with text -> text"},
                                                    {"infoseek", 6, "InfoSeek image with text -> text"},
                                                    {"fashioniq", 7, "FashionIQ image with text -> image"},
                                                    {"cirr", 7, "CIRR image with text -> image"},
                                                    {"oven", 8, "OVEN image with text -> image with text"},
                                                    {"infoseek", 8, "InfoSeek image with text -> image with text"}}};

std::string mbeir_headline(std::string_view dataset) {
  return dataset == "fashion200k" || dataset == "fashioniq" ? "recall@10" : "recall@5";
}

BenchmarkTask mbeir_task(const MbeirTask& of, const std::string& split) {
  const std::string id = fmt::format("{}_task{}", of.dataset, of.task_id);
  // Only MSCOCO has one pool a split.
  const std::string pool = of.dataset == "mscoco" ? fmt::format("{}_{}", id, split) : id;
  EvalTask task;
  task.id = id;
  task.label = of.label;
  task.row = id;
  task.set = "main";
  task.split = split;
  task.task_id = of.task_id;
  task.query = fmt::format("query/{}/mbeir_{}_{}.jsonl", split, id, split);
  task.pool = fmt::format("cand_pool/local/mbeir_{}_cand_pool.jsonl", pool);
  task.qrels = fmt::format("qrels/{}/mbeir_{}_{}_qrels.txt", split, id, split);
  task.global_pool = fmt::format("cand_pool/global/mbeir_union_{}_cand_pool.jsonl", split);
  task.global_qrels = task.qrels;
  return {std::move(task), mbeir_headline(of.dataset)};
}

Benchmark mbeir(const BenchmarkConfig& config) {
  Benchmark benchmark;
  benchmark.name = "M-BEIR";
  benchmark.instructions = "instructions/query_instructions.tsv";
  for (const MbeirTask& of : kMbeirTasks) {
    BenchmarkTask task = mbeir_task(of, config.split);
    benchmark.rows.push_back({task.task.row, task.task.label, true});
    benchmark.tasks.push_back(std::move(task));
  }
  return benchmark;
}

Benchmark listed(const BenchmarkConfig& config) {
  TaskList list = read_task_list(config.root);
  Benchmark benchmark;
  benchmark.name = list.dataset;
  benchmark.instructions = list.instructions;
  benchmark.rows = std::move(list.rows);
  for (EvalTask& task : list.tasks) {
    if (task.split == config.split) benchmark.tasks.push_back({std::move(task)});
  }
  return benchmark;
}

/// Keeps the tasks whose `key` is wanted; each wanted value must occur.
template <class Key>
void keep(std::vector<BenchmarkTask>& tasks, const std::vector<std::string>& wanted, std::string_view option, Key key) {
  if (wanted.empty()) return;
  std::vector<std::string> known;
  for (const BenchmarkTask& task : tasks) {
    if (std::find(known.begin(), known.end(), key(task)) == known.end()) known.emplace_back(key(task));
  }
  for (const std::string& name : wanted) {
    const auto near = nearest(name, known);
    TRIREME_CHECK(std::find(known.begin(), known.end(), name) != known.end(), ConfigError, "benchmark",
                  "{} must name what the split has; got {}; {}", option, name,
                  near ? fmt::format("did you mean {}?", *near) : fmt::format("choose of {}.", fmt::join(known, ", ")));
  }
  std::erase_if(tasks, [&](const BenchmarkTask& task) {
    return std::find(wanted.begin(), wanted.end(), key(task)) == wanted.end();
  });
}

}  // namespace

Benchmark read_benchmark(const BenchmarkConfig& config) {
  Benchmark benchmark = config.layout == BenchmarkLayout::kMbeir ? mbeir(config) : listed(config);
  benchmark.root = config.root;
  benchmark.image_root = {config.image_root.value_or(config.root), config.follow_links};
  benchmark.allow_missing_positives = config.allow_missing_positives;
  benchmark.allow_modality_mismatch = config.allow_modality_mismatch;
  keep(benchmark.tasks, config.sets, "sets",
       [](const BenchmarkTask& task) -> std::string_view { return task.task.set; });
  keep(benchmark.tasks, config.tasks, "tasks",
       [](const BenchmarkTask& task) -> std::string_view { return task.task.id; });
  TRIREME_CHECK(!benchmark.tasks.empty(), ConfigError, "benchmark",
                "the benchmark must have a task to evaluate; got none for split {}; change its split, sets or tasks.",
                config.split);
  std::erase_if(benchmark.rows, [&](const TableRow& row) {
    return std::none_of(benchmark.tasks.begin(), benchmark.tasks.end(),
                        [&](const BenchmarkTask& task) { return task.task.row == row.id; });
  });
  return benchmark;
}

}  // namespace trireme
