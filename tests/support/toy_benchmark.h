#pragma once

#include <filesystem>
#include <string>

#include "tests/support/temp_folder.h"

namespace trireme::test {

/// A benchmark of two tasks over a few words and three pictures, in M-BEIR's layout with a tasks.yaml.
///   names      4 queries, text -> text; 5 candidates in its own pool, 9 in the pool of all tasks
///   pictures   3 queries, picture -> picture; 3 candidates; each query's own picture is excluded
class ToyBenchmark {
 public:
  ToyBenchmark() {
    folder_.write("instructions/query_instructions.tsv",
                  "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
                  "text\ttext\ttoys\t9\tFind the name.\tWhat is it called?\n"
                  "image\timage\ttoys\t9\tFind its like.\tWhich looks alike?\n");
    folder_.write("query/test/names.jsonl", text_query(1, "an apple") + text_query(2, "a pear") +
                                                text_query(3, "apples") +
                                                text_query(4, "<i>table</i> & \\\"chair\\\""));
    folder_.write("query/test/pictures.jsonl", picture_query(5, "gradient.png", "9:21") +
                                                   picture_query(6, "wide.png", "9:22") +
                                                   picture_query(7, "small.png", "9:23"));
    const std::string names = candidate(11, "red apple") + candidate(12, "green pear") + candidate(13, "two apples") +
                              candidate(14, "<i>table</i>") + candidate(15, "one word");
    const std::string pictures = picture(21, "gradient.png") + picture(22, "wide.png") + picture(23, "small.png");
    folder_.write("cand_pool/local/names.jsonl", names);
    folder_.write("cand_pool/local/pictures.jsonl", pictures);
    folder_.write("cand_pool/global/all.jsonl", pictures + names + candidate(16, "an apple on the table"));
    folder_.write("qrels/test/names.txt", "9:1 0 9:11 1 1\n9:2 0 9:12 1 1\n9:3 0 9:13 1 1\n9:4 0 9:14 1 1\n");
    folder_.write("qrels/test/names_global.txt",
                  "9:1 0 9:11 1 1\n9:1 0 9:16 1 1\n9:2 0 9:12 1 1\n9:3 0 9:13 1 1\n9:4 0 9:14 1 1\n");
    folder_.write("qrels/test/pictures.txt", "9:5 0 9:22 1 4\n9:6 0 9:21 1 4\n9:7 0 9:21 1 4\n");
    folder_.write("tasks.yaml", kTasks);
    folder_.write("NOTICE", "Drawn by <nobody>\n");
  }

  const std::filesystem::path& root() const { return folder_.path(); }
  std::filesystem::path write(const std::filesystem::path& name, std::string_view content) const {
    return folder_.write(name, content);
  }

  static constexpr const char* kTasks = R"(format: trireme_tasks
format_version: 1
dataset: toys
instructions: instructions/query_instructions.tsv
rows:
  - {id: names, label: names}
  - {id: pictures, label: pictures}
tasks:
  - {id: names_test, label: word -> name, row: names, set: main, split: test, task_id: 1, floor: names_floor,
     query: query/test/names.jsonl, pool: cand_pool/local/names.jsonl, qrels: qrels/test/names.txt,
     global_pool: cand_pool/global/all.jsonl, global_qrels: qrels/test/names_global.txt, queries: 4, candidates: 5}
  - {id: pictures_test, label: picture -> picture, row: pictures, set: T2, split: test, task_id: 4,
     query: query/test/pictures.jsonl, pool: cand_pool/local/pictures.jsonl, qrels: qrels/test/pictures.txt,
     global_pool: "", global_qrels: "", floor: "", queries: 3, candidates: 3}
)";

 private:
  static std::string text_query(int id, const std::string& text) {
    return fmt::format(R"({{"qid": "9:{}", "query_txt": "{}", "query_img_path": null, "query_modality": "text", )"
                       R"("task_id": 1}})"
                       "\n",
                       id, text);
  }
  static std::string picture_query(int id, const std::string& image, const std::string& excluded) {
    return fmt::format(R"({{"qid": "9:{}", "query_txt": null, "query_img_path": "images/{}", "query_modality": )"
                       R"("image", "task_id": 4, "exclude_cand_list": ["{}"]}})"
                       "\n",
                       id, image, excluded);
  }
  static std::string candidate(int id, const std::string& text) {
    return fmt::format(R"({{"did": "9:{}", "txt": "{}", "img_path": null, "modality": "text"}})"
                       "\n",
                       id, text);
  }
  static std::string picture(int id, const std::string& image) {
    return fmt::format(R"({{"did": "9:{}", "txt": null, "img_path": "images/{}", "modality": "image"}})"
                       "\n",
                       id, image);
  }

  TempFolder folder_;
};

}  // namespace trireme::test
