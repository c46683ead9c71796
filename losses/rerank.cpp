#include "losses/rerank.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>

#include "core/config/field_list.h"
#include "core/shape.h"

namespace trireme {

void RerankLossConfig::describe(FieldList& v) {
  v.field("weighting", weighting, "One mean over all answer tokens, or one a task, added.");
  v.field("token_mean", token_mean, "Mean over all ranks' tokens, or each rank's own and then over ranks.");
  v.field("listwise_weight", listwise_weight, "weighting tasks: factor of the listwise task.").positive();
}
static_assert(field_count<RerankLossConfig>() == 3, "describe() must list every field");
namespace {

void check_answers(const AnswerTokens& answers) {
  TRIREME_CHECK(answers.logits.defined() && answers.logits.dim() == 2 && answers.logits.is_floating_point(), ShapeError,
                "rerank_loss", "logits must be [L, V] of a floating dtype; got {}; pass the answer rows' logits.",
                shape_string(answers.logits));
  const int64_t tokens = answers.logits.size(0);
  const auto check_labels = [&](std::string_view name, const torch::Tensor& label, torch::Dtype dtype) {
    TRIREME_CHECK(label.defined() && label.dim() == 1 && label.size(0) == tokens && label.scalar_type() == dtype &&
                      label.device() == answers.logits.device(),
                  ShapeError, "rerank_loss", "{} must be [{}] {} beside its logits; got {}; give one a row.", name,
                  tokens, dtype_name(dtype), shape_string(label));
  };
  check_labels("token", answers.token, torch::kInt64);
  check_labels("listwise", answers.listwise, torch::kBool);
  if (tokens == 0) return;
  const auto lowest = answers.token.min().item<int64_t>(), highest = answers.token.max().item<int64_t>();
  TRIREME_CHECK(lowest >= 0 && highest < answers.logits.size(1), ShapeError, "rerank_loss",
                "tokens must be between 0 and {}; got {} to {}; check that tokenizer and model belong together.",
                answers.logits.size(1) - 1, lowest, highest);
}

/// 1 / count, or 0 of nothing.
double inverse(double count) { return count > 0 ? 1 / count : 0; }

}  // namespace

AnswerCounts count_answers(const torch::Tensor& listwise, Communicator& comm) {
  TRIREME_CHECK(listwise.defined() && listwise.dim() == 1 && listwise.scalar_type() == torch::kBool, ShapeError,
                "rerank_loss", "listwise must be [L] bool; got {}; give one a label row.", shape_string(listwise));
  const torch::Tensor mine = at::stack({listwise.logical_not().sum(), listwise.sum()}).to(torch::kFloat64);
  // Tokens of both tasks, then ranks that have any of them.
  const torch::Tensor all = at::cat({mine, mine.gt(0).to(torch::kFloat64)});
  comm.all_reduce(all, ReduceOp::kSum).wait();
  const torch::Tensor values = at::cat({mine, all}).cpu();
  const auto count = [&values](int64_t i) { return values.const_data_ptr<double>()[i]; };
  TRIREME_CHECK(count(2) + count(3) > 0, ShapeError, "rerank_loss",
                "a batch must have answer tokens; got none on any rank; check the label rows.");
  return {count(0), count(1), count(2), count(3), count(4), count(5), static_cast<double>(comm.size())};
}

RerankLossResult rerank_loss(const AnswerTokens& answers, const RerankLossConfig& config, const AnswerCounts& counts) {
  check_answers(answers);
  const auto dtype = answers.logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor log_probabilities = at::log_softmax(answers.logits.to(dtype), 1);
  const torch::Tensor nats = -log_probabilities.gather(1, answers.token.unsqueeze(1)).squeeze(1);
  const torch::Tensor is_pointwise = answers.listwise.logical_not();
  const torch::Tensor pointwise = (nats * is_pointwise).sum(), listwise = (nats * answers.listwise).sum();

  const bool per_rank = config.token_mean == TokenMean::kPerRank;
  RerankLossResult result;
  if (config.weighting == RerankWeighting::kTokens) {
    const double factor = per_rank ? inverse(counts.pointwise + counts.listwise) / counts.ranks
                                   : inverse(counts.all_pointwise + counts.all_listwise);
    result.loss = (pointwise + listwise) * factor;
  } else {
    const double of_pointwise =
        per_rank ? inverse(counts.pointwise) * inverse(counts.ranks_with_pointwise) : inverse(counts.all_pointwise);
    const double of_listwise =
        per_rank ? inverse(counts.listwise) * inverse(counts.ranks_with_listwise) : inverse(counts.all_listwise);
    result.loss = pointwise * of_pointwise + listwise * (of_listwise * config.listwise_weight);
  }
  result.pointwise = pointwise.detach() * inverse(counts.all_pointwise);
  result.listwise = listwise.detach() * inverse(counts.all_listwise);
  return result;
}

RerankLossResult rerank_loss(const AnswerTokens& answers, const RerankLossConfig& config, Communicator& comm) {
  check_answers(answers);
  return rerank_loss(answers, config, count_answers(answers.listwise, comm));
}

}  // namespace trireme
