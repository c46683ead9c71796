#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/report.h"

namespace trireme {

class FieldList;

enum class SourceKind {
  kMbeir,  ///< M-BEIR queries with their positives in a candidate pool
  kNli,    ///< CSV with columns sent0, sent1, hard_neg: stage 1 of LamRA
  kPairs,  ///< jsonl {"anchor", "positive"[, "negative"]}
  kViews,  ///< two augmentations of one image, of records or candidates
};
constexpr auto choice_names(SourceKind) {
  return std::to_array<std::pair<SourceKind, std::string_view>>({{SourceKind::kMbeir, "mbeir"},
                                                                 {SourceKind::kNli, "nli"},
                                                                 {SourceKind::kPairs, "pairs"},
                                                                 {SourceKind::kViews, "views"}});
}

/// How the records of an M-BEIR source are told apart for weights and for batches of one group. A group is called
/// task4, dataset9 or dataset9_task0; with kNone, and in other sources, there is one group.
enum class GroupBy { kNone, kTask, kDataset, kDatasetAndTask };
constexpr auto choice_names(GroupBy) {
  return std::to_array<std::pair<GroupBy, std::string_view>>({{GroupBy::kNone, "none"},
                                                              {GroupBy::kTask, "task"},
                                                              {GroupBy::kDataset, "dataset"},
                                                              {GroupBy::kDatasetAndTask, "dataset_and_task"}});
}

enum class InstructionChoice {
  kRandom,  ///< any of a key's prompts, drawn anew each epoch
  kFixed,   ///< always prompt_number
  kNone,    ///< the query's own text, normalised as candidates' texts are
};
constexpr auto choice_names(InstructionChoice) {
  return std::to_array<std::pair<InstructionChoice, std::string_view>>({{InstructionChoice::kRandom, "random"},
                                                                        {InstructionChoice::kFixed, "fixed"},
                                                                        {InstructionChoice::kNone, "none"}});
}

/// One entry of data.sources. Paths are relative to data.root.
struct SourceConfig {
  SourceKind kind = SourceKind::kMbeir;
  std::string name;
  std::vector<std::filesystem::path> files;
  std::optional<std::filesystem::path> pool, instructions;
  InstructionChoice instruction_choice = InstructionChoice::kRandom;
  int64_t prompt_number = 1;
  std::vector<int64_t> tasks;
  bool allow_missing_positives = false, allow_modality_mismatch = false;
  std::optional<double> weight;
  GroupBy group_by = GroupBy::kNone;
  std::map<std::string, double> group_weights;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

}  // namespace trireme
