#include "data/rerank/draw_negatives.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace trireme {

DrawnNegatives draw_negatives(const std::vector<bool>& is_positive, const RerankSamplesConfig& config,
                              RandomStream stream, std::string_view where) {
  constexpr uint64_t kNumbers = 4;
  const std::size_t fewest = config.list_negatives == ListNegatives::kReleased ? 1 : 2;
  const bool strict = config.short_of_negatives == ShortOfNegatives::kStrict;
  std::vector<std::size_t> all(is_positive.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::size_t> negatives = all;
  std::erase_if(negatives, [&](std::size_t i) { return is_positive[i]; });
  TRIREME_CHECK(!all.empty(), DataError, where, "a query must have documents that were found; got none; mine again.");
  TRIREME_CHECK(!negatives.empty() || !strict, DataError, where,
                "a query must have a negative among what was found; got {} documents, all gold; mine deeper, or set "
                "samples.short_of_negatives: released.",
                all.size());

  DrawnNegatives drawn;
  const std::vector<std::size_t>& pairs = negatives.empty() ? all : negatives;
  drawn.pointwise = pairs[stream.uniform_below(pairs.size())];
  const std::size_t wanted = fewest + stream.uniform_below(kNumbers);
  drawn.listwise = negatives.size() < wanted && !strict ? all : negatives;
  stream.shuffle(std::span(drawn.listwise));
  drawn.listwise.resize(std::min(wanted, drawn.listwise.size()));
  drawn.target_number = 1 + static_cast<int64_t>(stream.uniform_below(drawn.listwise.size() + 1));
  return drawn;
}

}  // namespace trireme
