#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "launch/job.h"

namespace trireme {

class FieldList;

/// Option of a verb that can tell its counts and times as JSON.
struct MetricsFile {
  std::optional<std::filesystem::path> metrics;

  void describe(FieldList& v);

  /// On rank 0, when asked for. throws DataError: the file cannot be written.
  void write(const nlohmann::ordered_json& values, const Job& job) const;
};

}  // namespace trireme
