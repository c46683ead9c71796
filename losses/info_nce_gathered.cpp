#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "losses/contrast.h"

namespace trireme {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Every rank's rows, in global order; gradients flow back to their owners.
struct GlobalRows {
  torch::Tensor query = {};          // [B_global, D], or undefined
  torch::Tensor candidate = {};      // [B_global, D]
  torch::Tensor hard_negative = {};  // [B_global N, D], or undefined
};

GlobalRows gather(const ContrastiveRows& rows, const Contrast& contrast) {
  const int64_t n = contrast.layout.hard_negatives;
  std::vector<torch::Tensor> sides = {rows.candidate.unsqueeze(1)};
  if (n > 0) sides.push_back(rows.hard_negative);
  if (contrast.symmetric()) sides.push_back(rows.query.unsqueeze(1));
  const torch::Tensor all = all_gather_rows_with_gradient(at::cat(sides, 1), contrast.layout, contrast.comm);
  GlobalRows global{.candidate = all.select(1, 0)};
  if (n > 0) global.hard_negative = all.narrow(1, 1, n).flatten(0, 1);
  if (contrast.symmetric()) global.query = all.select(1, 1 + n);
  return global;
}

torch::Tensor unit_prefix(const torch::Tensor& x, const Prefix& prefix) {
  return unit_rows(x.narrow(1, 0, prefix.width));
}

/// This rank's rows of one direction against all columns.
struct Scores {
  torch::Tensor cosine = {};    // [B, columns]
  torch::Tensor positive = {};  // [B]
  torch::Tensor own = {};       // bool [B, columns], the positives
  torch::Tensor excluded = {};  // bool [B, columns]
};

Scores score(const torch::Tensor& rows, const torch::Tensor& columns, torch::Tensor excluded,
             const Contrast& contrast) {
  Scores scores{.cosine = at::matmul(rows, columns.t())};
  const auto positives_of = [&](const torch::Tensor& tile) {
    return tile.narrow(1, contrast.layout.my_first(), rows.size(0)).diagonal();
  };
  scores.positive = positives_of(scores.cosine);
  scores.own = at::zeros(scores.cosine.sizes(), scores.cosine.options().dtype(torch::kBool));
  positives_of(scores.own).fill_(1);
  scores.excluded = excluded.defined() ? std::move(excluded) : at::zeros_like(scores.own);
  if (contrast.config.exclude_margin) {
    const torch::Tensor limit = scores.positive.detach() + *contrast.config.exclude_margin;
    scores.excluded.logical_or_(scores.cosine.detach() > limit.unsqueeze(1));
  }
  positives_of(scores.excluded).fill_(0);
  return scores;
}

torch::Tensor sum_of_losses(const Scores& scores, const Contrast& contrast) {
  torch::Tensor logits = scores.cosine * contrast.scale;
  if (contrast.config.hardness > 0)
    logits = logits + scores.cosine.detach().masked_fill(scores.own, 0) * contrast.config.hardness;
  logits = logits.masked_fill(scores.excluded, -kInfinity);
  return (at::logsumexp(logits, 1) - scores.positive * contrast.scale).sum();
}

InfoNceMetrics metrics_of(const Scores& with_gradient, const torch::Tensor& candidates, const Contrast& contrast) {
  const torch::Tensor cosine = with_gradient.cosine.detach();
  const torch::Tensor positive = with_gradient.positive.detach();
  const torch::Tensor no_negative = at::logical_or(with_gradient.own, with_gradient.excluded);
  const auto rows = static_cast<double>(contrast.layout.global_rows);
  const torch::Tensor hardest = cosine.masked_fill(no_negative, -kInfinity).amax(1);
  const torch::Tensor negatives = cosine.size(1) - no_negative.sum(1);
  const torch::Tensor mean = cosine.masked_fill(no_negative, 0).sum(1) / negatives.clamp_min(1);
  const torch::Tensor units = candidates.detach();
  return {.accuracy = (positive > hardest).sum(positive.scalar_type()) / rows,
          .positive_cosine = positive.sum() / rows,
          .negative_cosine = mean.sum() / rows,
          .excluded = with_gradient.excluded.sum(positive.scalar_type()) / rows,
          .candidate_cosine = mean_cosine_between(units.sum(0), (units * units).sum(), contrast.layout.global_rows) /
                              static_cast<double>(contrast.layout.ranks())};
}

}  // namespace

InfoNceResult gathered_info_nce(const ContrastiveRows& rows, const Contrast& contrast) {
  const GlobalRows global = gather(rows, contrast);
  const TileRange mine{contrast.layout.my_first(), contrast.layout.my_rows()};
  const TileRange all{0, contrast.layout.global_rows};
  torch::Tensor excluded = contrast.exclusion.candidates(mine, all);
  if (excluded.defined() && global.hard_negative.defined()) {
    const TileRange columns{0, contrast.layout.global_rows * contrast.layout.hard_negatives};
    excluded = at::cat({excluded, contrast.exclusion.hard_negatives(mine, columns)}, 1);
  }
  torch::Tensor excluded_queries;
  if (contrast.symmetric() && contrast.exclusion.any()) excluded_queries = contrast.exclusion.candidates(all, mine).t();
  const auto copied = [](const torch::Tensor& mask) { return mask.defined() ? mask.clone() : mask; };

  InfoNceResult result;
  for (const Prefix& prefix : contrast.prefixes) {
    const torch::Tensor candidates = unit_prefix(global.candidate, prefix);
    torch::Tensor columns = candidates;
    if (global.hard_negative.defined()) columns = at::cat({columns, unit_prefix(global.hard_negative, prefix)});
    const Scores scores = score(unit_prefix(rows.query, prefix), columns, copied(excluded), contrast);
    torch::Tensor loss = sum_of_losses(scores, contrast);
    if (contrast.symmetric()) {
      const Scores reversed = score(unit_prefix(rows.candidate, prefix), unit_prefix(global.query, prefix),
                                    copied(excluded_queries), contrast);
      loss = loss + sum_of_losses(reversed, contrast);
    }
    loss = loss * (prefix.weight * contrast.row_weight());
    result.loss = result.loss.defined() ? result.loss + loss : loss;
    if (!result.metrics.accuracy.defined()) result.metrics = metrics_of(scores, candidates, contrast);
  }
  return result;
}

}  // namespace trireme
