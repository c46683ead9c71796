#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// One key of a metrics.jsonl over the steps at which it was written, in order. Values are finite.
struct MetricSeries {
  std::string key;  ///< "train/loss"
  std::vector<int64_t> steps;
  std::vector<double> values;
};

/// Reads a run's metrics.jsonl (docs/formats.md): one JSON object a line, {"step": 12, "train/loss": 1.5, ..}; keys in
/// the order in which they first occur. A value that is null or no number is left out, and so is a last line that a
/// run is still writing (no end of line, not JSON).
/// throws DataError, with file and line: unreadable, not JSON, not an object, no step, a step before the last line's.
std::vector<MetricSeries> read_metrics_log(const std::filesystem::path& file);

/// "train" of "train/loss"; "" when the key has no prefix.
std::string_view group_of(std::string_view key);

}  // namespace trireme
