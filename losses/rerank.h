#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/distributed/communicator.h"
#include "core/tensor.h"

namespace trireme {

class FieldList;

/// How the two tasks of LamRA-Rank are weighed. tokens: one mean over all answer tokens, as released, so that longer
/// answers weigh more. tasks: mean over pointwise tokens + listwise_weight * mean over listwise tokens, as the paper
/// has it.
enum class RerankWeighting { kTokens, kTasks };
constexpr auto choice_names(RerankWeighting) {
  return std::to_array<std::pair<RerankWeighting, std::string_view>>(
      {{RerankWeighting::kTokens, "tokens"}, {RerankWeighting::kTasks, "tasks"}});
}

/// Over what the mean is taken. global: all ranks' tokens. per_rank: each rank's own, then over ranks, as released: a
/// token of a rank with few of them weighs more.
enum class TokenMean { kGlobal, kPerRank };
constexpr auto choice_names(TokenMean) {
  return std::to_array<std::pair<TokenMean, std::string_view>>(
      {{TokenMean::kGlobal, "global"}, {TokenMean::kPerRank, "per_rank"}});
}

/// [loss] of LamRA-Rank. Equal on all ranks.
struct RerankLossConfig {
  RerankWeighting weighting = RerankWeighting::kTokens;
  TokenMean token_mean = TokenMean::kGlobal;
  double listwise_weight = 1;

  void describe(FieldList& v);
};

/// The answer tokens of this rank's sequences, L of them, in any order.
struct AnswerTokens {
  torch::Tensor logits;    ///< [L, V] any floating dtype, of the positions before the tokens; float32 from here on
  torch::Tensor token;     ///< [L] int64, 0..V-1
  torch::Tensor listwise;  ///< [L] bool: of a listwise sequence ("Ans: (2)"), else of a pointwise one ("Yes", "No")
};

/// Each a 0-dim tensor and this rank's share: the SUM over ranks is the value for the global batch.
struct RerankLossResult {
  torch::Tensor loss;       ///< with gradient, nats
  torch::Tensor pointwise;  ///< without: mean over pointwise tokens, all ranks'; 0 without any
  torch::Tensor listwise;   ///< the same of listwise tokens
};

/// How many answer tokens there are, by task: this rank's, all ranks', and how many ranks have any.
struct AnswerCounts {
  double pointwise = 0, listwise = 0;
  double all_pointwise = 0, all_listwise = 0;
  double ranks_with_pointwise = 0, ranks_with_listwise = 0;
  double ranks = 1;
};

/// listwise  [L] bool: AnswerTokens::listwise of all of this rank's tokens.
/// comm      collective: one all-reduce of four counts. Waits for the device.
/// throws ShapeError: another shape or dtype; no tokens on any rank.
AnswerCounts count_answers(const torch::Tensor& listwise, Communicator& comm);

/// Cross-entropy of the tokens that LamRA-Rank answers with. Source: LamRA (arXiv:2412.01720), sec. 3.4.
/// answers  all of this rank's tokens, or some: the results of parts add up to that of the whole, exactly the same mean
///          whatever the parts. Parameter gradients are to be SUMMED over parts and ranks.
/// counts   of the whole: count_answers(). A rank may have no tokens of a task; without any token its loss is 0.
/// throws ShapeError: shapes, dtypes, a token outside the vocabulary.
/// cost   L V float32 values held for the backward; waits for the device.
RerankLossResult rerank_loss(const AnswerTokens& answers, const RerankLossConfig& config, const AnswerCounts& counts);
/// Of the whole at once. comm: collective, as count_answers(); nothing in the backward.
RerankLossResult rerank_loss(const AnswerTokens& answers, const RerankLossConfig& config, Communicator& comm);

}  // namespace trireme
