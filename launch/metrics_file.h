#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/config/field_count.h"
#include "launch/job.h"

namespace trireme {

/// Option of a verb that can tell its counts and times as JSON.
struct MetricsFile {
  std::optional<std::filesystem::path> metrics;

  template <class V>
  void describe(V& v) {
    v.field("metrics", metrics, "JSON file for counts and times of this run (rank 0's).").no_effect_on_values();
  }

  /// On rank 0, when asked for. throws DataError: the file cannot be written.
  void write(const nlohmann::ordered_json& values, const Job& job) const;
};
static_assert(field_count<MetricsFile>() == 1, "describe() must list every field");

}  // namespace trireme
