#include "retrieval/report/collect.h"

#include <algorithm>

#include "core/error.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCurves = "metrics.jsonl";
constexpr const char* kTiming = "timing.jsonl";  // what depends on the machine, in the same form
constexpr const char* kResults = "results.json";
constexpr const char* kGallery = "gallery.json";

std::string name_of(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

bool has_results(const fs::path& folder) { return fs::is_regular_file(folder / kResults); }

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  if (!fs::is_directory(folder)) return folders;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// Folders with a results.json, in order: the folder itself and eval/ in it, each before the columns that an evaluation
/// with reranking has in folders of its own.
std::vector<fs::path> evaluations_of(const fs::path& folder) {
  std::vector<fs::path> found;
  const auto add = [&](const fs::path& path) {
    if (has_results(path) && std::find(found.begin(), found.end(), path) == found.end()) found.push_back(path);
  };
  if (has_results(folder)) {
    add(folder);
    for (const fs::path& column : folders_in(folder)) add(column);
  }
  add(folder / "eval");
  for (const fs::path& named : folders_in(folder / "eval")) {
    add(named);
    if (has_results(named))
      for (const fs::path& column : folders_in(named)) add(column);
  }
  return found;
}

void add_evaluation(Report& report, const fs::path& folder) {
  EvalResults results = read_results(folder / kResults);
  const bool taken = std::any_of(report.results.begin(), report.results.end(),
                                 [&](const EvalResults& other) { return other.label == results.label; });
  if (taken) results.label += " (" + name_of(folder) + ")";
  if (fs::is_regular_file(folder / kGallery)) report.gallery = {results.label, read_gallery(folder / kGallery)};
  report.results.push_back(std::move(results));
}

RunCurves read_curves(const fs::path& folder) {
  RunCurves curves{name_of(folder), read_metrics_log(folder / kCurves)};
  if (!fs::is_regular_file(folder / kTiming)) return curves;
  for (MetricSeries& series : read_metrics_log(folder / kTiming)) curves.series.push_back(std::move(series));
  return curves;
}

}  // namespace

Report collect_report(const std::vector<fs::path>& folders) {
  Report report;
  for (const fs::path& folder : folders) {
    TRIREME_CHECK(
        fs::is_directory(folder), DataError, "report",
        "a run directory or a folder of an evaluation must be given; got {}, which is no folder; check the path.",
        folder.string());
    const std::vector<fs::path> evaluations = evaluations_of(folder);
    const bool has_curves = fs::is_regular_file(folder / kCurves);
    TRIREME_CHECK(has_curves || !evaluations.empty(), DataError, folder.string(),
                  "the folder must hold {} or {}; got neither; give a run directory, or evaluate first.", kCurves,
                  kResults);
    for (const fs::path& evaluation : evaluations) add_evaluation(report, evaluation);
    if (!has_curves) continue;
    RunCurves curves = read_curves(folder);
    if (!curves.series.empty()) report.curves.push_back(std::move(curves));
  }
  TRIREME_CHECK(!report.results.empty() || !report.curves.empty(), DataError, "report",
                "there must be a curve or a result to show; got empty files; let the run go on for a while.");
  return report;
}

}  // namespace trireme
