#include "data/sources/mined_config.h"

#include "core/config/field_list.h"

namespace trireme {

void MinedConfig::describe(FieldList& v) {
  v.field("file", file, "File of `trireme mine`: the documents found for each training query.").required();
  v.field("retriever", retriever, "Checkpoint that the file must have been mined with; not compared when not set.")
      .no_effect_on_values();
  v.field("retriever_adapter", retriever_adapter, "Its adapter; none when not set.").no_effect_on_values();
  v.field("allow_stale", allow_stale, "Go on when the file was mined with another retriever.").no_effect_on_values();
}
static_assert(field_count<MinedConfig>() == 4, "describe() must list every field");

void MinedConfig::check(Problems& problems) const {
  if (retriever_adapter && !retriever)
    problems.add("retriever_adapter", "belongs to a retriever; got none; give mined.retriever, or leave this out");
}

}  // namespace trireme
