#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/benchmark/task_list.h"
#include "data/sources/records.h"

namespace trireme {

class FieldList;

enum class BenchmarkLayout {
  kTasks,  ///< the folder has a tasks.yaml
  kMbeir,  ///< M-BEIR as its authors publish it: sixteen tasks under fixed file names
};
constexpr auto choice_names(BenchmarkLayout) {
  return std::to_array<std::pair<BenchmarkLayout, std::string_view>>(
      {{BenchmarkLayout::kTasks, "tasks"}, {BenchmarkLayout::kMbeir, "mbeir"}});
}

/// [benchmark] What is evaluated.
struct BenchmarkConfig {
  std::filesystem::path root;
  BenchmarkLayout layout = BenchmarkLayout::kTasks;
  std::string split = "test";
  std::vector<std::string> sets, tasks;
  std::optional<std::filesystem::path> image_root;
  bool follow_links = false, allow_missing_positives = false, allow_modality_mismatch = false;

  void describe(FieldList& v);
};

/// One search of a benchmark, and the metric that stands for it in means over tasks.
struct BenchmarkTask {
  EvalTask task;  ///< queries and candidates are 0 where the list does not say how many there are
  std::string headline = "recall@5";
};

/// What there is to evaluate; the files are not looked at yet.
struct Benchmark {
  std::string name;
  std::filesystem::path root;
  ImageRoot image_root;
  std::filesystem::path instructions;  ///< below root
  std::vector<TableRow> rows;          ///< each is the mean over the tasks that name it
  std::vector<BenchmarkTask> tasks;
  bool allow_missing_positives = false, allow_modality_mismatch = false;
};

/// The tasks of config.split that config.sets and config.tasks keep, and their rows.
/// M-BEIR: sixteen rows of one task; Recall@5, for Fashion200K and FashionIQ Recall@10, as its authors report.
/// throws DataError: no tasks.yaml. ConfigError: what is wrong in it, a set or task that the split has not (suggests
/// the nearest).
Benchmark read_benchmark(const BenchmarkConfig& config);

}  // namespace trireme
