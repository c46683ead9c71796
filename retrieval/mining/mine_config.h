#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/report.h"
#include "data/sources/source_config.h"
#include "retrieval/embed.h"
#include "retrieval/mining/filters.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

enum class MiningScope {
  /// The queries of one dataset and task search what is of the datasets and modalities that their positives have: the
  /// union pool split by task, as LamRA mines.
  kTask,
  kGlobal,  ///< every query searches the whole pool
};
constexpr auto choice_names(MiningScope) {
  return std::to_array<std::pair<MiningScope, std::string_view>>(
      {{MiningScope::kTask, "task"}, {MiningScope::kGlobal, "global"}});
}

/// [source] Whose negatives are mined. Paths are relative to root.
struct MineSourceConfig {
  std::filesystem::path root;
  std::optional<std::filesystem::path> image_root;
  bool follow_links = false;
  std::vector<std::filesystem::path> queries;
  std::filesystem::path pool;
  MiningScope scope = MiningScope::kTask;
  std::optional<std::filesystem::path> instructions;
  InstructionChoice instruction = InstructionChoice::kFixed;
  int64_t prompt_number = 1;
  int64_t seed = 0;
  std::vector<int64_t> tasks;
  bool allow_missing_positives = false, allow_modality_mismatch = false;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// What `trireme mine` is asked to do.
struct MineConfig {
  std::filesystem::path out;
  RecordModelConfig embed;
  MineSourceConfig source;
  int64_t depth = 100;
  FilterConfig filters;
  StoreDtype store = StoreDtype::kFloat32;
  int64_t block_queries = 16384;
  bool keep_work = false;
  SearchOptions search;

  void describe(FieldList& v);
};

}  // namespace trireme
