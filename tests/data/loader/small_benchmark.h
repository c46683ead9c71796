#pragma once

#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "data/loader/data_config.h"
#include "data/loader/model_input.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {

/// A benchmark in M-BEIR's format: each concept has an image, a text of a length of its own, and a query of task 0
/// (text -> image), two of task 3 (image -> text) and two of task 1 (text -> text, hard negatives listed).
class SmallBenchmark {
 public:
  explicit SmallBenchmark(int64_t concepts) {
    folder_.write("instructions.tsv",
                  "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
                  "text\timage\tSmall\t9\tFind the image\tShow it\n"
                  "text\ttext\tSmall\t9\tFind the text\tName it\n"
                  "image\ttext\tSmall\t9\tDescribe it\tSay what it is\n");
    std::filesystem::create_directories(path() / "img");
    std::string pool, queries, pairs;
    int64_t qid = 0;
    for (int64_t c = 0; c < concepts; ++c) {
      std::filesystem::copy(TRIREME_TEST_DIR "/golden/loader/picture.png", image(c));
      const std::string words(static_cast<std::size_t>(1 + c * 7 % 40), static_cast<char>('a' + c % 26));
      pool += fmt::format(R"({{"did": "9:{}", "txt": "word {}", "modality": "text", "concept": "c{}"}})", c, words, c);
      pool +=
          fmt::format("\n{{\"did\": \"9:{}\", \"img_path\": \"img/{}.png\", \"concept\": \"c{}\"}}\n", 1000 + c, c, c);
      const auto query = [&](std::string_view text, std::string_view image, int64_t positive, int64_t task) {
        queries += fmt::format(
            R"({{"qid": "9:{}", "query_txt": "{}", "query_img_path": "{}", "pos_cand_list": ["9:{}"], )"
            R"("neg_cand_list": ["9:{}", "9:{}", "9:{}"], "task_id": {}, "concept": "c{}"}})"
            "\n",
            qid++, text, image, positive, (c + 1) % concepts, (c + 2) % concepts, (c + 3) % concepts, task, c);
      };
      query(words, "", 1000 + c, 0);
      for (int64_t i = 0; i < 2; ++i) query("", fmt::format("img/{}.png", c), c, 3);
      for (int64_t i = 0; i < 2; ++i) query(fmt::format("{} {}", words, i), "", c, 1);
      pairs += fmt::format("{{\"anchor\": \"{} {}\", \"positive\": \"word {} {}\"}}\n", words, c, words, c);
    }
    folder_.write("pool.jsonl", pool);
    folder_.write("queries.jsonl", queries);
    folder_.write("pairs.jsonl", pairs);
  }

  const std::filesystem::path& path() const noexcept { return folder_.path(); }
  std::filesystem::path image(int64_t concept_number) const {
    return path() / "img" / fmt::format("{}.png", concept_number);
  }

  static SourceConfig mbeir() {
    SourceConfig source;
    source.files = {"queries.jsonl"};
    source.pool = "pool.jsonl";
    source.instructions = "instructions.tsv";
    return source;
  }
  static SourceConfig of_kind(SourceKind kind, const std::string& file) {
    SourceConfig source;
    source.kind = kind;
    source.files = {file};
    return source;
  }
  /// All five queries of a concept, without weights, in batches of `pairs_global`.
  DataConfig config(int64_t pairs_global) const {
    DataConfig config;
    config.root = path();
    config.sources = {mbeir()};
    config.sampler.pairs_global = pairs_global;
    return config;
  }

 private:
  TempFolder folder_;
};

}  // namespace trireme::test
