#pragma once

#include <filesystem>
#include <optional>

#include "core/config/report.h"

namespace trireme {

class FieldList;

/// [mined] Hard negatives that a retriever has found for the training queries.
struct MinedConfig {
  std::filesystem::path file;
  std::optional<std::filesystem::path> retriever, retriever_adapter;
  bool allow_stale = false;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

}  // namespace trireme
