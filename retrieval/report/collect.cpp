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

/// Folders with a results.json, in order.
std::vector<fs::path> evaluations_of(const fs::path& folder) {
  std::vector<fs::path> candidates = {folder, folder / "eval"}, found;
  std::vector<fs::path> named;
  if (fs::is_directory(folder / "eval")) {
    for (const auto& entry : fs::directory_iterator(folder / "eval")) {
      if (entry.is_directory()) named.push_back(entry.path());
    }
  }
  std::sort(named.begin(), named.end());
  candidates.insert(candidates.end(), named.begin(), named.end());
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(found),
               [](const fs::path& path) { return fs::is_regular_file(path / kResults); });
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
