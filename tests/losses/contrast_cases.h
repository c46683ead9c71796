#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "losses/info_nce.h"

/// What the tests of the contrastive losses share: batches, the ways to run them on ranks, and what comes out.
namespace trireme::test {

/// A way to run a body on several ranks at once, each with its communicator.
struct RankRunner {
  std::string name;
  int64_t size = 1;
  std::function<void(const std::function<void(Communicator&)>&)> run;
};
inline void PrintTo(const RankRunner& runner, std::ostream* out) { *out << runner.name; }
RankRunner on_threads(int64_t ranks);

struct Batch {
  ContrastiveRows rows;
  PairLabels labels;
};

/// Random rows and labels; the ids are few, so that every relation of PairLabels holds somewhere.
Batch random_batch(int64_t pairs, int64_t hard_negatives, int64_t width, torch::Dtype dtype, uint64_t seed = 1);
/// Pairs [first, first + count), as a rank holds them.
Batch share_of(const Batch& batch, int64_t first, int64_t count);
/// Pair i of the result is pair order[i] of the batch.
Batch reordered(const Batch& batch, const std::vector<int64_t>& order);

/// How `pairs` lie on the ranks: unevenly, at least one each.
std::vector<int64_t> uneven_shares(int64_t pairs, int64_t ranks);
/// The part of a batch that is rank's own by uneven_shares.
struct Share {
  int64_t first, count;
};
Share share_of_rank(int64_t pairs, const Communicator& comm);

struct Outcome {
  double loss = 0;  ///< summed over ranks
  torch::Tensor query = {}, candidate = {},
                hard_negative = {};    ///< gradients of this rank's rows; hard_negative may be undefined
  double log_inverse_temperature = 0;  ///< gradient, summed over ranks
  std::vector<double> metrics = {};    ///< in the order of InfoNceMetrics, summed over ranks
};

/// One forward and backward of this rank's share.
Outcome evaluate(const Batch& share, const InfoNceConfig& config, Communicator& comm);
/// The same of the whole batch on one rank, rows [first, first + count) of its gradients.
Outcome evaluate_alone(const Batch& batch, const InfoNceConfig& config);
Outcome part_of(const Outcome& whole, Share share);

/// Every entry, against the largest of `expected`.
double largest_relative_difference(const torch::Tensor& actual, const torch::Tensor& expected);
double largest_relative_difference(const Outcome& actual, const Outcome& expected);

/// Every option of the loss, alone and together.
struct ConfigCase {
  std::string name;
  InfoNceConfig config;
};
std::vector<ConfigCase> config_cases();

double sum_over_ranks(double value, Communicator& comm);

}  // namespace trireme::test
