#include "data/loader/sampler_config.h"

#include "core/config/field_list.h"

namespace trireme {

void SamplerConfig::describe(FieldList& v) {
  v.field("pairs_global", pairs_global, "Pairs in a step's batch, over all ranks; a multiple of their number.")
      .at_least(1);
  v.field("batch_from", batch_from, "Batches of all groups mixed, or each of one group.");
  v.field("distinct", distinct, "What no two pairs of a batch may share.");
}
static_assert(field_count<SamplerConfig>() == 3, "describe() must list every field");

}  // namespace trireme
