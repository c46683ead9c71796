#include "data/rerank/samples_config.h"

#include "core/config/field_list.h"

namespace trireme {

void RerankSamplesConfig::describe(FieldList& v) {
  v.field("spacing", spacing, "The wording of LamRA's Qwen2-VL branch, or of its Qwen2.5-VL branch.");
  v.field("list_negatives", list_negatives, "Negatives of a list: 1 to 4, or 2 to 5.");
  v.field("short_of_negatives", short_of_negatives, "Where a query has too few: draw from all that was found, or not.");
  v.field("share_images", share_images,
          "Encode a query's pictures once for its three samples; only where the vision tower is frozen.")
      .no_effect_on_values();
}
static_assert(field_count<RerankSamplesConfig>() == 4, "describe() must list every field");

}  // namespace trireme
