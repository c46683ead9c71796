#include "data/loader/apportion.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace trireme {

std::vector<int64_t> apportion(std::span<const double> weights, int64_t seats) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  TRIREME_ASSERT(sum > 0 && std::isfinite(sum) && seats >= 0, "weights of sum {}, {} seats", sum, seats);
  // The method gives nobody less than the rounded share of `seats` less half a seat for each of them; one below that
  // is safe from rounding, and the few seats that are left are dealt one by one.
  const double surely_dealt = static_cast<double>(seats) - static_cast<double>(weights.size()) / 2;
  std::vector<int64_t> dealt;
  for (const double weight : weights) {
    const double share = std::floor(weight / sum * surely_dealt + 0.5) - 1;
    dealt.push_back(weight > 0 && share > 0 ? static_cast<int64_t>(share) : 0);
  }
  for (int64_t left = seats - std::accumulate(dealt.begin(), dealt.end(), int64_t{0}); left > 0; --left) {
    std::size_t best = 0;
    double best_claim = -1;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double claim = weights[i] / static_cast<double>(2 * dealt[i] + 1);
      if (claim > best_claim) best = i, best_claim = claim;
    }
    ++dealt[best];
  }
  return dealt;
}

std::vector<int64_t> balanced_share(std::span<const int64_t> sizes, int64_t rank, int64_t ranks) {
  const auto items = std::ssize(sizes);
  TRIREME_ASSERT(ranks > 0 && rank >= 0 && rank < ranks && items % ranks == 0, "{} items for rank {} of {}", items,
                 rank, ranks);
  std::vector<int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return sizes[static_cast<std::size_t>(a)] > sizes[static_cast<std::size_t>(b)];
  });
  struct Load {
    int64_t size = 0, items = 0;
  };
  std::vector<Load> loads(static_cast<std::size_t>(ranks));
  std::vector<int64_t> share;
  for (const int64_t item : order) {
    int64_t least = -1;
    for (int64_t r = 0; r < ranks; ++r) {
      const Load& load = loads[static_cast<std::size_t>(r)];
      if (load.items == items / ranks) continue;
      if (least < 0 || load.size < loads[static_cast<std::size_t>(least)].size) least = r;
    }
    Load& load = loads[static_cast<std::size_t>(least)];
    load.size += sizes[static_cast<std::size_t>(item)];
    ++load.items;
    if (least == rank) share.push_back(item);
  }
  std::sort(share.begin(), share.end());
  return share;
}

}  // namespace trireme
