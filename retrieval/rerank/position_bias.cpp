#include "retrieval/rerank/position_bias.h"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace trireme {
namespace {

constexpr int64_t kAllOrdersUpTo = 4;

}  // namespace

std::vector<std::vector<int64_t>> orders_to_ask(int64_t candidates) {
  TRIREME_ASSERT(candidates >= 1, "{} candidates", candidates);
  std::vector<int64_t> order(static_cast<std::size_t>(candidates));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::vector<std::vector<int64_t>> orders;
  if (candidates <= kAllOrdersUpTo) {
    do {
      orders.push_back(order);
    } while (std::next_permutation(order.begin(), order.end()));
    return orders;
  }
  for (int64_t shift = 0; shift < candidates; ++shift) {
    orders.push_back(order);
    std::rotate(order.begin(), order.begin() + 1, order.end());
  }
  return orders;
}

PositionBias measure_position_bias(int64_t queries, int64_t candidates, const PickPlaces& pick,
                                   Communicator& communicator) {
  const auto orders = orders_to_ask(candidates);
  // Picks of each place; behind them the picks of each query's favourite, summed.
  torch::Tensor counts = at::zeros({candidates + 1}, torch::kInt64);
  auto count = counts.accessor<int64_t, 1>();
  for (int64_t query = communicator.rank(); query < queries; query += communicator.size()) {
    communicator.check_peers();
    const std::vector<int64_t> places = pick(query, orders);
    TRIREME_ASSERT(places.size() == orders.size(), "{} picks for {} orders", places.size(), orders.size());
    std::vector<int64_t> picks_of(static_cast<std::size_t>(candidates), 0);
    for (std::size_t i = 0; i < orders.size(); ++i) {
      ++count[places[i]];
      ++picks_of[static_cast<std::size_t>(orders[i][static_cast<std::size_t>(places[i])])];
    }
    count[candidates] += *std::max_element(picks_of.begin(), picks_of.end());
  }
  if (communicator.size() > 1) communicator.all_reduce(counts, ReduceOp::kSum).wait();
  PositionBias bias{
      .queries = queries, .candidates = candidates, .orders = std::ssize(orders), .share = {}, .consistency = 0};
  const auto asked = static_cast<double>(std::max<int64_t>(1, queries * bias.orders));
  for (int64_t place = 0; place < candidates; ++place) bias.share.push_back(static_cast<double>(count[place]) / asked);
  bias.consistency = static_cast<double>(count[candidates]) / asked;
  return bias;
}

std::string position_bias_text(const PositionBias& bias) {
  std::vector<std::string> shares;
  for (const double share : bias.share) shares.push_back(fmt::format("{:.1f}", 100 * share));
  return fmt::format(
      "position bias over {} queries, {} candidates, {} orders each: picks by place {} % ({:.1f} without bias), "
      "consistency {:.3f}",
      bias.queries, bias.candidates, bias.orders, fmt::join(shares, " "), 100.0 / static_cast<double>(bias.candidates),
      bias.consistency);
}

}  // namespace trireme
