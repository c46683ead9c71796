#include "tests/losses/contrast_cases.h"

#include <cmath>

#include <gtest/gtest.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/rng.h"

namespace trireme::test {
namespace {

torch::Tensor normal(std::vector<int64_t> sizes, torch::Dtype dtype, RandomStream& stream) {
  torch::Tensor x = at::empty(sizes, torch::kFloat64);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data_ptr<double>()[i] = stream.normal();
  return x.to(dtype);
}

torch::Tensor whole_numbers(std::vector<int64_t> sizes, int64_t low, int64_t high, RandomStream& stream) {
  torch::Tensor x = at::empty(sizes, torch::kInt64);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.mutable_data_ptr<int64_t>()[i] = low + static_cast<int64_t>(stream.uniform_below(high - low));
  return x;
}

torch::Tensor leaf(const torch::Tensor& x) { return x.defined() ? x.detach().clone().requires_grad_() : x; }

}  // namespace

RankRunner on_threads(int64_t ranks) {
  return {fmt::format("threads{}", ranks), ranks, [ranks](const auto& body) { run_ranks(ranks, body); }};
}

Batch random_batch(int64_t pairs, int64_t hard_negatives, int64_t width, torch::Dtype dtype, uint64_t seed) {
  RandomStream stream = random_stream(seed, "test.contrast");
  Batch batch;
  batch.rows.query = normal({pairs, width}, dtype, stream);
  // Nearer to their query than to others', as in training.
  batch.rows.candidate = normal({pairs, width}, dtype, stream) + batch.rows.query;
  if (hard_negatives > 0) {
    batch.rows.hard_negative =
        normal({pairs, hard_negatives, width}, dtype, stream) + batch.rows.query.unsqueeze(1) * 0.5;
  }
  batch.labels.query_id = whole_numbers({pairs}, 0, 2 * pairs, stream);
  batch.labels.candidate_id = whole_numbers({pairs}, 0, 2 * pairs, stream);
  batch.labels.hard_negative_id = whole_numbers({pairs, hard_negatives}, 0, 2 * pairs, stream);
  batch.labels.concept_id = whole_numbers({pairs}, -1, 3, stream);
  batch.labels.hard_negative_concept = whole_numbers({pairs, hard_negatives}, -1, 3, stream);
  std::vector<int64_t> offset = {0};
  for (int64_t i = 0; i < pairs; ++i) offset.push_back(offset.back() + static_cast<int64_t>(stream.uniform_below(4)));
  batch.labels.known_offset = at::tensor(offset, torch::kInt64);
  batch.labels.known_id = whole_numbers({offset.back()}, 0, 2 * pairs, stream);
  return batch;
}

Batch reordered(const Batch& batch, const std::vector<int64_t>& order) {
  const torch::Tensor index = at::tensor(order, torch::kInt64);
  const auto pick = [&index](const torch::Tensor& x) { return x.defined() ? x.index_select(0, index) : x; };
  Batch result;
  result.rows = {pick(batch.rows.query), pick(batch.rows.candidate), pick(batch.rows.hard_negative)};
  const PairLabels& labels = batch.labels;
  std::vector<int64_t> offset = {0};
  std::vector<torch::Tensor> known = {at::empty({0}, torch::kInt64)};
  for (const int64_t i : order) {
    const int64_t begin = labels.known_offset[i].item<int64_t>(), end = labels.known_offset[i + 1].item<int64_t>();
    known.push_back(labels.known_id.narrow(0, begin, end - begin));
    offset.push_back(offset.back() + end - begin);
  }
  result.labels = {pick(labels.query_id),   pick(labels.candidate_id),          pick(labels.hard_negative_id),
                   pick(labels.concept_id), pick(labels.hard_negative_concept), at::tensor(offset, torch::kInt64),
                   at::cat(known)};
  return result;
}

Batch share_of(const Batch& batch, int64_t first, int64_t count) {
  std::vector<int64_t> order;
  for (int64_t i = first; i < first + count; ++i) order.push_back(i);
  return reordered(batch, order);
}

std::vector<int64_t> uneven_shares(int64_t pairs, int64_t ranks) {
  std::vector<int64_t> shares(ranks, 1);
  for (int64_t left = pairs - ranks, r = 0; left > 0; r = (r + 1) % ranks) {
    const int64_t more = std::min(left, 1 + r * 2);
    shares[r] += more;
    left -= more;
  }
  return shares;
}

Share share_of_rank(int64_t pairs, const Communicator& comm) {
  const std::vector<int64_t> shares = uneven_shares(pairs, comm.size());
  int64_t first = 0;
  for (int64_t r = 0; r < comm.rank(); ++r) first += shares[r];
  return {first, shares[comm.rank()]};
}

double sum_over_ranks(double value, Communicator& comm) {
  const torch::Tensor sum = at::full({1}, value, torch::kFloat64);
  comm.all_reduce(sum, ReduceOp::kSum).wait();
  return sum.item<double>();
}

Outcome evaluate(const Batch& share, const InfoNceConfig& config, Communicator& comm) {
  const ContrastiveRows rows = {leaf(share.rows.query), leaf(share.rows.candidate), leaf(share.rows.hard_negative)};
  torch::Tensor log_inverse_temperature;
  if (config.learn_temperature) {
    log_inverse_temperature = at::full({}, -std::log(config.temperature), share.rows.query.options()).requires_grad_();
  }
  const InfoNceResult result = info_nce(rows, share.labels, config, comm, log_inverse_temperature);
  result.loss.backward();
  Outcome outcome{.loss = sum_over_ranks(result.loss.item<double>(), comm),
                  .query = rows.query.grad(),
                  .candidate = rows.candidate.grad(),
                  .hard_negative = rows.hard_negative.defined() ? rows.hard_negative.grad() : torch::Tensor()};
  if (config.learn_temperature) {
    outcome.log_inverse_temperature = sum_over_ranks(log_inverse_temperature.grad().item<double>(), comm);
  }
  const InfoNceMetrics& metrics = result.metrics;
  for (const torch::Tensor& metric : {metrics.accuracy, metrics.positive_cosine, metrics.negative_cosine,
                                      metrics.excluded, metrics.candidate_cosine}) {
    EXPECT_EQ(metric.dim(), 0);
    EXPECT_FALSE(metric.requires_grad());
    outcome.metrics.push_back(sum_over_ranks(metric.item<double>(), comm));
  }
  return outcome;
}

Outcome evaluate_alone(const Batch& batch, const InfoNceConfig& config) {
  SelfCommunicator self;
  return evaluate(batch, config, self);
}

Outcome part_of(const Outcome& whole, Share share) {
  Outcome part = whole;
  for (torch::Tensor* gradient : {&part.query, &part.candidate, &part.hard_negative})
    if (gradient->defined()) *gradient = gradient->narrow(0, share.first, share.count);
  return part;
}

double largest_relative_difference(const torch::Tensor& actual, const torch::Tensor& expected) {
  if (!expected.defined() || expected.numel() == 0) return actual.defined() && actual.numel() > 0 ? INFINITY : 0;
  if (!actual.defined() || actual.sizes() != expected.sizes()) return INFINITY;
  const double difference = (actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>();
  const double largest = expected.to(torch::kFloat64).abs().max().item<double>();
  if (!std::isfinite(difference)) return INFINITY;
  return difference == 0 ? 0 : difference / largest;
}

double largest_relative_difference(const Outcome& actual, const Outcome& expected) {
  const auto of_numbers = [](double a, double b) { return a == b ? 0 : std::abs(a - b) / std::abs(b); };
  return std::max({of_numbers(actual.loss, expected.loss), largest_relative_difference(actual.query, expected.query),
                   largest_relative_difference(actual.candidate, expected.candidate),
                   largest_relative_difference(actual.hard_negative, expected.hard_negative),
                   of_numbers(actual.log_inverse_temperature, expected.log_inverse_temperature)});
}

std::vector<ConfigCase> config_cases() {
  using enum PairRelation;
  const auto with = [](auto change) {
    InfoNceConfig config{.temperature = 0.2, .tile_rows = 3};
    change(config);
    return config;
  };
  return {
      {"Plain", with([](InfoNceConfig&) {})},
      {"Symmetric", with([](InfoNceConfig& c) { c.direction = ContrastDirection::kSymmetric; })},
      {"SameCandidate", with([](InfoNceConfig& c) { c.exclude = {kSameCandidate}; })},
      {"SameQuery", with([](InfoNceConfig& c) { c.exclude = {kSameQuery}; })},
      {"KnownPositive", with([](InfoNceConfig& c) { c.exclude = {kKnownPositive}; })},
      {"SameConcept", with([](InfoNceConfig& c) { c.exclude = {kSameConcept}; })},
      {"Margin", with([](InfoNceConfig& c) { c.exclude_margin = -0.3; })},
      {"Hardness", with([](InfoNceConfig& c) { c.hardness = 2; })},
      {"LearnedTemperature", with([](InfoNceConfig& c) { c.learn_temperature = true; })},
      {"Matryoshka", with([](InfoNceConfig& c) {
         c.matryoshka_dims = {2, 6, 4};
         c.matryoshka_weights = {0.5, 1, 2};
       })},
      {"SymmetricWithEverything", with([](InfoNceConfig& c) {
         c.direction = ContrastDirection::kSymmetric;
         c.exclude = {kKnownPositive, kSameCandidate, kSameConcept, kSameQuery};
         c.exclude_margin = 0.1;
         c.hardness = 1.5;
         c.learn_temperature = true;
         c.matryoshka_dims = {3, 6};
       })},
  };
}

}  // namespace trireme::test
