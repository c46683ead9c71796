#include "retrieval/rerank/rerank_lists.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace trireme {
namespace {

/// One list as the scorer takes it, its candidates in the order of `places`.
RerankQuery query_of(const ListHeads& lists, int64_t query, std::span<const int64_t> places) {
  RerankQuery asked{lists.queries.read(lists.query_rows[static_cast<std::size_t>(query)]), {}};
  const auto rows = lists.candidate_rows.accessor<int64_t, 2>();
  for (const int64_t place : places) asked.candidates.push_back(lists.candidates.read(rows[query][place]));
  return asked;
}

std::vector<int64_t> first_places(int64_t count) {
  std::vector<int64_t> places(static_cast<std::size_t>(count));
  std::iota(places.begin(), places.end(), int64_t{0});
  return places;
}

void set_row(const torch::Tensor& scores, int64_t query, int64_t length, const std::vector<double>& values) {
  TRIREME_ASSERT(std::ssize(values) == length, "{} scores of {} for query {}", values.size(), length, query);
  std::copy(values.begin(), values.end(), scores.mutable_data_ptr<float>() + query * scores.size(1));
}

/// The counts of all ranks.
void sum_over_ranks(ScoredHeads& scored, Communicator& communicator) {
  PromptCounts& counts = scored.counts;
  const std::array<int64_t*, 7> all = {&counts.prompts,       &counts.prompt_tokens, &counts.computed_tokens,
                                       &counts.prefix_tokens, &counts.images,        &counts.encoded_images,
                                       &scored.unread_answers};
  torch::Tensor sums = at::zeros({std::ssize(all)}, torch::kInt64);
  auto values = sums.accessor<int64_t, 1>();
  for (std::size_t i = 0; i < all.size(); ++i) values[static_cast<int64_t>(i)] = *all[i];
  communicator.all_reduce(sums, ReduceOp::kSum).wait();
  for (std::size_t i = 0; i < all.size(); ++i) *all[i] = values[static_cast<int64_t>(i)];
}

}  // namespace

int64_t ListHeads::length(int64_t query) const {
  const int64_t* const rows = candidate_rows.const_data_ptr<int64_t>() + query * depth();
  return std::find(rows, rows + depth(), -1) - rows;
}

int64_t ListHeads::documents() const {
  int64_t sum = 0;
  for (int64_t query = 0; query < size(); ++query) sum += length(query);
  return sum;
}

ScoredHeads score_lists(const ListHeads& lists, RerankModes modes, int64_t block_queries, const ScoreBatch& score,
                        Communicator& communicator, const std::function<void(int64_t done, int64_t of)>& progress) {
  TRIREME_ASSERT(lists.candidate_rows.size(0) == lists.size() && block_queries >= 1, "{} lists, blocks of {}",
                 lists.size(), block_queries);
  ScoredHeads scored;
  RankScores& scores = scored.scores;
  if (asks_pointwise(modes)) scores.pointwise = at::zeros({lists.size(), lists.depth()}, torch::kFloat32);
  if (asks_listwise(modes)) scores.listwise = at::zeros({lists.size(), lists.depth()}, torch::kFloat32);
  const int64_t stride = block_queries * communicator.size();
  const auto candidates_of = [&](int64_t begin, int64_t end) {
    int64_t candidates = 0;
    for (int64_t query = begin; query < end; ++query) candidates += lists.length(query);
    return candidates;
  };
  int64_t of = 0, done = 0;
  for (int64_t begin = communicator.rank() * block_queries; begin < lists.size(); begin += stride)
    of += candidates_of(begin, std::min(begin + block_queries, lists.size()));
  const std::vector<int64_t> places = first_places(lists.depth());
  for (int64_t begin = communicator.rank() * block_queries; begin < lists.size(); begin += stride) {
    communicator.check_peers();
    const int64_t end = std::min(begin + block_queries, lists.size());
    std::vector<RerankQuery> block;
    for (int64_t query = begin; query < end; ++query)
      block.push_back(query_of(lists, query, std::span(places).first(static_cast<std::size_t>(lists.length(query)))));
    const RerankResult result = score(block, modes);
    for (int64_t query = begin; query < end; ++query) {
      const RerankScores& of_query = result.scores.at(static_cast<std::size_t>(query - begin));
      const int64_t length = lists.length(query);
      if (scores.pointwise.defined()) set_row(scores.pointwise, query, length, of_query.pointwise);
      if (scores.listwise.defined()) set_row(scores.listwise, query, length, of_query.listwise);
      scored.unread_answers += of_query.unread_answers;
    }
    scored.counts += result.counts;
    done += candidates_of(begin, end);
    if (progress) progress(done, of);
  }
  // Each row was written by one rank and is zero on the others, so the sum is exact.
  for (torch::Tensor* tensor : {&scores.pointwise, &scores.listwise})
    if (tensor->defined()) communicator.all_reduce(*tensor, ReduceOp::kSum).wait();
  sum_over_ranks(scored, communicator);
  return scored;
}

PositionBias listwise_position_bias(const ListHeads& lists, int64_t queries, int64_t candidates,
                                    const ScoreBatch& score, Communicator& communicator) {
  std::vector<int64_t> long_enough;
  for (int64_t query = 0; query < lists.size(); ++query)
    if (lists.length(query) >= candidates) long_enough.push_back(query);
  const int64_t asked = std::min(queries, std::ssize(long_enough));
  const auto pick = [&](int64_t sample, std::span<const std::vector<int64_t>> orders) {
    const int64_t query = long_enough[static_cast<std::size_t>(sample * std::ssize(long_enough) / asked)];
    std::vector<RerankQuery> prompts;
    for (const auto& order : orders) prompts.push_back(query_of(lists, query, order));
    std::vector<int64_t> picks;
    for (const RerankScores& answer : score(prompts, RerankModes::kListwise).scores)
      picks.push_back(answer.listwise_order.front());
    return picks;
  };
  return measure_position_bias(asked, candidates, pick, communicator);
}

}  // namespace trireme
