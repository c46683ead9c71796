#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tests/support/temp_folder.h"

namespace trireme::test {

/// Training queries over a candidate pool in M-BEIR's layout, for the golden checkpoint of tests/golden/embed.
///   task 1   12 queries, text -> text; 14 candidates
///   task 4   3 queries, picture -> picture; 5 candidates, one of them a copy of another; a query's own is excluded
class ToyMining {
 public:
  ToyMining() {
    const std::filesystem::path images = std::filesystem::path(TRIREME_TEST_DIR) / "golden/embed/images";
    std::filesystem::copy(images, root() / "images");
    std::filesystem::copy(images / "gradient.png", root() / "images/copy.png");
    std::filesystem::copy(images / "wide.png", root() / "images/other.png");
    folder_.write("instructions.tsv",
                  "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
                  "text\ttext\ttoys\t9\tFind the name.\tWhat is it called?\n"
                  "image\timage\ttoys\t9\tFind its like.\tWhich looks alike?\n");
    std::string queries, pool;
    for (std::size_t i = 0; i < kWords.size(); ++i) {
      pool += fmt::format(R"({{"did": "9:{}", "txt": "{}", "img_path": null, "modality": "text", "concept": "c{}"}})"
                          "\n",
                          100 + i, kWords[i], i / 2);
      if (i >= 12) continue;
      queries += fmt::format(R"({{"qid": "9:{}", "query_txt": "a word for {}", "query_img_path": null, )"
                             R"("query_modality": "text", "task_id": 1, "pos_cand_list": ["9:{}"]}})"
                             "\n",
                             i, kWords[(i + 1) % kWords.size()], 100 + i);
    }
    for (const auto& [did, file] : kPictures)
      pool += fmt::format(R"({{"did": "9:{}", "txt": null, "img_path": "images/{}", "modality": "image"}})"
                          "\n",
                          did, file);
    for (int i = 0; i < 3; ++i)
      queries += fmt::format(R"({{"qid": "9:{}", "query_txt": null, "query_img_path": "images/{}", )"
                             R"("query_modality": "image", "task_id": 4, "pos_cand_list": ["9:{}"], )"
                             R"("exclude_cand_list": ["9:{}"]}})"
                             "\n",
                             50 + i, kPictures[i].file, kPictures[(i + 1) % 3].did, kPictures[i].did);
    folder_.write("train.jsonl", queries);
    folder_.write("pool.jsonl", pool);
    folder_.write("mine.yaml", fmt::format("out: {0}/hard.h5\n"
                                           "embed: {{model: {1}/golden/embed/model}}\n"
                                           "source:\n"
                                           "  root: {0}\n"
                                           "  queries: [train.jsonl]\n"
                                           "  pool: pool.jsonl\n"
                                           "  instructions: instructions.tsv\n"
                                           "depth: 4\n",
                                           root().string(), TRIREME_TEST_DIR));
  }

  const std::filesystem::path& root() const { return folder_.path(); }
  std::filesystem::path at(const std::filesystem::path& name) const { return root() / name; }
  std::filesystem::path write(const std::filesystem::path& name, std::string_view content) const {
    return folder_.write(name, content);
  }

 private:
  struct Picture {
    int did;
    const char* file;
  };
  static constexpr std::array<Picture, 5> kPictures = {
      {{200, "gradient.png"}, {201, "wide.png"}, {202, "small.png"}, {203, "copy.png"}, {204, "other.png"}}};
  static constexpr std::array<std::string_view, 14> kWords = {
      "red apple", "two apples", "green pear", "a table", "one word", "a long table", "an apple on the table",
      "chair",     "a cat",      "two cats",   "a dog",   "water",    "a red dog",    "night"};

  TempFolder folder_;
};

}  // namespace trireme::test
