#include "data/sources/source_config.h"

#include "core/config/field_list.h"

namespace trireme {

void SourceConfig::describe(FieldList& v) {
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
  v.field("allow_modality_mismatch", allow_modality_mismatch,
          "mbeir: records whose modality contradicts what they hold are taken as they are, instructed by what it says, "
          "and counted.")
      .no_effect_on_values();  // without it there are no values
  v.field("weight", weight, "Share of the pairs beside other sources; default: by number of records.").positive();
  v.field("group_by", group_by, "mbeir: what tells groups apart.");
  v.field("group_weights", group_weights, "Shares of the groups within the source; default: by number of records.")
      .at_least(0);
}
static_assert(field_count<SourceConfig>() == 13, "describe() must list every field");

void SourceConfig::check(Problems& problems) const {
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

}  // namespace trireme
