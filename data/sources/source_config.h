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

#include "core/config/field_count.h"
#include "core/config/report.h"

namespace trireme {

enum class SourceKind {
  kMbeir,  ///< M-BEIR queries with their positives in a candidate pool
  kNli,    ///< CSV with columns sent0, sent1, hard_neg: stage 1 of LamRA
  kPairs,  ///< jsonl {"anchor", "positive"[, "negative"]}
  kViews,  ///< two augmentations of one picture, of records or candidates
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
  bool allow_missing_positives = false;
  std::optional<double> weight;
  GroupBy group_by = GroupBy::kNone;
  std::map<std::string, double> group_weights;

  template <class V>
  void describe(V& v) {
    v.field("kind", kind, "What the files hold.");
    v.field("name", name, "What messages and reports call the source; default: its kind.").no_effect_on_values();
    v.field("files", files,
            "Queries (jsonl), sentences (CSV), pairs (jsonl) or, for views, records or candidates (jsonl).")
        .required();
    v.field("pool", pool, "mbeir: the candidate pool that the positives are in.");
    v.field("instructions", instructions, "mbeir: query_instructions.tsv.");
    v.field("instruction_choice", instruction_choice, "mbeir: which of a query's instructions.");
    v.field("prompt_number", prompt_number, "mbeir: the instruction under fixed, from 1.").at_least(1);
    v.field("tasks", tasks, "mbeir: keep these task ids; empty keeps all.").one_of({0, 1, 2, 3, 4, 6, 7, 8});
    v.field("allow_missing_positives", allow_missing_positives,
            "mbeir: positives that the pool lacks are left out and counted, with queries that have no other.");
    v.field("weight", weight, "Share of the pairs beside other sources; default: by number of records.").positive();
    v.field("group_by", group_by, "mbeir: what tells groups apart.");
    v.field("group_weights", group_weights, "Shares of the groups within the source; default: by number of records.")
        .at_least(0);
  }
  void check(Problems& problems) const {
    const bool mbeir = kind == SourceKind::kMbeir;
    if (mbeir && !pool) problems.add("pool", "must be given for kind mbeir; got nothing; name the candidate pool");
    if (mbeir && !instructions && instruction_choice != InstructionChoice::kNone)
      problems.add("instructions",
                   "must be given for kind mbeir; got nothing; name query_instructions.tsv, or set instruction_choice: "
                   "none");
    if (!mbeir && group_by != GroupBy::kNone)
      problems.add("group_by", "must be none unless kind is mbeir; got groups; remove it");
    if (group_by == GroupBy::kNone && !group_weights.empty())
      problems.add("group_weights",
                   fmt::format("must be empty when group_by is none; got {}; set group_by", group_weights.size()));
  }
};
static_assert(field_count<SourceConfig>() == 12, "describe() must list every field");

}  // namespace trireme
