#include "losses/info_nce_config.h"

#include <set>

namespace trireme {

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
