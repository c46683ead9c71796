#include "losses/info_nce_config.h"

#include <set>

#include "core/config/field_list.h"

namespace trireme {

void InfoNceConfig::describe(FieldList& v) {
  v.field("direction", direction, "Which side is classified among the other; symmetric = the mean of both.");
  v.field("temperature", temperature, "Cosines are divided by it; where it starts when learned.").positive();
  v.field("learn_temperature", learn_temperature, "Train log(1 / temperature).");
  v.field("min_temperature", min_temperature, "A learned temperature does not fall below.").positive();
  v.field("grad_scale", grad_scale, "exact = the global batch's gradient; released = 1 / ranks of it, as LamRA.");
  v.field("compute", compute, "Hold all scores of this rank's rows, or tiles of them.");
  v.field("tile_rows", tile_rows, "Rows and columns of a tile.").at_least(1).no_effect_on_values();
  v.field("exclude", exclude, "Pairs that are no negatives: why.");
  v.field("exclude_margin", exclude_margin, "No negatives: cosine above the positive's plus this; null = all stay.");
  v.field("hardness", hardness, "Added to a negative's logit, times its cosine, without gradient.").at_least(0);
  v.field("matryoshka_dims", matryoshka_dims, "The loss is summed over these prefixes of the embedding; empty = all.")
      .positive();
  v.field("matryoshka_weights", matryoshka_weights, "One a prefix; empty = 1 each.").positive();
}
static_assert(field_count<InfoNceConfig>() == 12, "describe() must list every field");

void InfoNceConfig::check(Problems& problems) const {
  if (learn_temperature && temperature < min_temperature) {
    problems.add("temperature", fmt::format("must be at least min_temperature when it is learned; got {} and {}; raise "
                                            "it or lower loss.min_temperature",
                                            temperature, min_temperature));
  }
  if (std::set<int64_t>(matryoshka_dims.begin(), matryoshka_dims.end()).size() != matryoshka_dims.size()) {
    problems.add("matryoshka_dims",
                 fmt::format("must be different lengths; got [{}]; name each once", fmt::join(matryoshka_dims, ", ")));
  }
  if (!matryoshka_weights.empty() && matryoshka_weights.size() != matryoshka_dims.size()) {
    problems.add("matryoshka_weights", fmt::format("must have one weight for each of matryoshka_dims; got {} weights "
                                                   "and {} lengths; give as many, or none",
                                                   matryoshka_weights.size(), matryoshka_dims.size()));
  }
}

}  // namespace trireme
