#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "core/printable.h"
#include "data/benchmark/dataset_folder.h"
#include "data/benchmark/task_list.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using PlainJson = nlohmann::json;

constexpr std::size_t kSamples = 10;

/// The first line, or the first whose `key` is `value`.
std::optional<PlainJson> find_line(const fs::path& jsonl, const std::string& key = "", const std::string& value = "") {
  std::ifstream file(jsonl);
  const std::string quoted = fmt::format("\"{}\"", value);
  for (std::string line; std::getline(file, line);) {
    if (!key.empty() && line.find(quoted) == std::string::npos) continue;
    PlainJson json = parse_json(line);
    if (key.empty() || json.at(key) == value) return json;
  }
  return std::nullopt;
}

std::string shown(const PlainJson& record, const char* image_key, const char* text_key) {
  const PlainJson &image = record.at(image_key), &text = record.at(text_key);
  return fmt::format(
      "{}{}{}", image.is_null() ? std::string() : fmt::format("[{}]", printable(image.get<std::string>())),
      image.is_null() || text.is_null() ? "" : " ", text.is_null() ? "" : printable(text.get<std::string>()));
}

std::string sample(const fs::path& folder, const EvalTask& task) {
  try {
    const auto query = find_line(folder / task.query);
    const auto answer =
        query ? find_line(folder / task.pool, "did", query->at("pos_cand_list").at(0)) : std::optional<PlainJson>();
    TRIREME_CHECK(answer, DataError, (folder / task.query).string(),
                  "the first query must have its first positive in {}; got none; prepare the dataset again.",
                  task.pool);
    return fmt::format("  {}\n    {}\n    -> {}\n", task.label, shown(*query, "query_img_path", "query_txt"),
                       shown(*answer, "img_path", "txt"));
  } catch (const PlainJson::exception& error) {
    throw DataError((folder / task.query).string(),
                    fmt::format("queries and candidates must be M-BEIR's lines; got \"{}\"; prepare the dataset again.",
                                error.what()));
  }
}

/// Up to kSamples tasks of the test split, one of each row first.
std::vector<EvalTask> sampled_tasks(const TaskList& list) {
  std::vector<EvalTask> chosen, others;
  std::string last_row;
  for (const EvalTask& task : list.tasks) {
    if (task.split != "test") continue;
    (task.row == last_row ? others : chosen).push_back(task);
    last_row = task.row;
  }
  chosen.insert(chosen.end(), others.begin(), others.end());
  chosen.resize(std::min(chosen.size(), kSamples));
  return chosen;
}

}  // namespace

std::string describe_dataset(const fs::path& folder) {
  const DatasetManifest manifest = read_manifest(folder);
  const TaskList list = read_task_list(folder);
  std::string out = fmt::format("dataset {}: {} files\nsources\n", manifest.dataset, manifest.sha256.size());
  for (const SourcePackage& source : manifest.sources)
    out += fmt::format("  {:<24}{:<24}{:<42}{}\n", source.name, source.version, source.what, source.licence);
  out += fmt::format("{:<52}{:>8}{:>8}{:>8}\n", "counts", "train", "val", "test");
  for (const SplitCounts& row : manifest.counts)
    out += fmt::format("  {:<50}{:>8}{:>8}{:>8}\n", row.what, row.train, row.val, row.test);
  for (const std::string& note : manifest.notes) out += fmt::format("  note: {}\n", note);
  out += fmt::format("{:<52}{:>8}{:>8}{:>12}\n", "tasks of the test split", "task", "queries", "candidates");
  std::map<std::string, std::string> row_labels;
  for (const TableRow& row : list.rows) row_labels[row.id] = row.label;
  std::string last_row;
  for (const EvalTask& task : list.tasks) {
    if (task.split != "test") continue;
    if (task.row != last_row) out += fmt::format("  {}\n", row_labels[task.row]);
    last_row = task.row;
    out += fmt::format("    {:<48}{:>8}{:>8}{:>12}\n", task.label, task.task_id, task.queries, task.candidates);
  }
  out += "samples\n";
  for (const EvalTask& task : sampled_tasks(list)) out += sample(folder, task);
  return out;
}

}  // namespace trireme
