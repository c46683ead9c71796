#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "losses/contrast.h"
#include "losses/ring.h"

namespace trireme {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What the two passes need to know, besides tensors.
struct TiledPlan : torch::CustomClassHolder {
  TiledPlan(const Contrast& contrast, double inverse_temperature)
      : comm(contrast.comm),
        layout(contrast.layout),
        exclusion(contrast.exclusion),
        tile(contrast.config.tile_rows),
        symmetric(contrast.symmetric()),
        margin(contrast.config.exclude_margin),
        row_weight(contrast.row_weight()),
        scale(inverse_temperature),
        negative_scale(inverse_temperature + contrast.config.hardness) {}
  Communicator& comm;
  const RowLayout layout;
  const PairExclusion exclusion;
  const int64_t tile;
  const bool symmetric;
  const std::optional<double> margin;
  const double row_weight;
  /// 1 / t: a positive's logit by its cosine, and a logit's derivative.
  const double scale;
  /// 1 / t + hardness: a negative's logit by its cosine.
  const double negative_scale;
};

/// Calls body(first, count) for the tiles of 0..rows.
template <class Body>
void for_each_tile(int64_t rows, int64_t tile, Body body) {
  for (int64_t first = 0; first < rows; first += tile) body(TileRange{first, std::min(tile, rows - first)});
}

torch::Tensor take(const torch::Tensor& x, TileRange range) { return x.narrow(0, range.first, range.count); }

/// log(sum_j e^{x_j}) of many rows as their columns come along, and the largest of the columns that came.
struct RunningLogSumExp {
  torch::Tensor largest, sum;

  /// Starts with one column each.
  explicit RunningLogSumExp(const torch::Tensor& logits) : largest(logits.clone()), sum(at::full_like(logits, 1)) {}
  RunningLogSumExp(torch::Tensor largest_so_far, torch::Tensor sum_so_far)
      : largest(std::move(largest_so_far)), sum(std::move(sum_so_far)) {}

  /// tile [rows of the range, columns]; -inf counts for nothing. Returns the tile's largest, by row.
  torch::Tensor add(TileRange range, const torch::Tensor& tile) {
    torch::Tensor of_tile = tile.amax(1);
    torch::Tensor old = take(largest, range);
    const torch::Tensor now = at::maximum(old, of_tile);
    take(sum, range).mul_((old - now).exp_()).add_((tile - now.unsqueeze(1)).exp_().sum(1));
    old.copy_(now);
    return of_tile;
  }
  torch::Tensor value() const { return largest + sum.log(); }
};

/// The columns of one rank while they are here: those that it owns, or that the ring brought.
struct Block {
  int64_t owner = 0;
  torch::Tensor candidate = {};      // [b, D]
  torch::Tensor hard_negative = {};  // [b N, D], or undefined
  /// What goes with each candidate. Forward: its positive's cosine. Backward: that, and its log-sum-exp over queries.
  torch::Tensor facts = {};  // [kinds of facts, b]
};

/// One flat tensor of equal length on all ranks, for the ring: candidates, hard negatives, facts.
class BlockCarrier {
 public:
  BlockCarrier(const Block& own, const RowLayout& layout)
      : layout_(layout), width_(own.candidate.size(1)), facts_(own.facts.size(0)) {
    buffer_ = at::zeros({layout.most_rows * ((1 + layout.hard_negatives) * width_ + facts_)}, own.candidate.options());
    Block mine = view(own.owner);
    mine.candidate.copy_(own.candidate);
    if (own.hard_negative.defined()) mine.hard_negative.copy_(own.hard_negative);
    mine.facts.copy_(own.facts);
    incoming_ = at::empty_like(buffer_);
  }
  Block view(int64_t owner) const {
    const int64_t rows = layout_.rows_of_rank[static_cast<std::size_t>(owner)];
    const int64_t n = layout_.hard_negatives;
    const int64_t candidates = layout_.most_rows * width_;
    Block block{.owner = owner, .candidate = buffer_.narrow(0, 0, rows * width_).view({rows, width_})};
    if (n > 0) block.hard_negative = buffer_.narrow(0, candidates, rows * n * width_).view({rows * n, width_});
    block.facts = buffer_.narrow(0, candidates * (1 + n), facts_ * layout_.most_rows)
                      .view({facts_, layout_.most_rows})
                      .narrow(1, 0, rows);
    return block;
  }
  RingShift pass_on(Communicator& comm) const { return {buffer_, incoming_, comm}; }
  void arrived() { std::swap(buffer_, incoming_); }

 private:
  const RowLayout& layout_;
  int64_t width_, facts_;
  torch::Tensor buffer_, incoming_;
};

/// Calls visit(block) for every rank's block, this rank's first. `along`: tensors [most_rows, ..] that belong to the
/// block here, changed by visit; after all visits of all ranks they are back at their owner.
void go_round(const Block& own, const TiledPlan& plan, std::vector<torch::Tensor>& along,
              const std::function<void(const Block&)>& visit) {
  const int64_t ranks = plan.layout.ranks();
  if (ranks == 1) return visit(own);
  BlockCarrier carrier(own, plan.layout);
  std::vector<torch::Tensor> incoming;
  for (const torch::Tensor& tensor : along) incoming.push_back(at::empty_like(tensor));
  for (int64_t step = 0; step < ranks; ++step) {
    const int64_t owner = (plan.layout.rank + ranks - step) % ranks;
    std::optional<RingShift> shift;
    if (step + 1 < ranks) shift.emplace(carrier.pass_on(plan.comm));  // under way while this block is visited
    visit(carrier.view(owner));
    for (std::size_t i = 0; i < along.size(); ++i) {
      RingShift(along[i], incoming[i], plan.comm).wait();
      along[i].copy_(incoming[i]);
    }
    if (shift) {
      shift->wait();
      carrier.arrived();
    }
  }
}

/// Which scores of a tile are no negatives.
struct TileMask {
  torch::Tensor excluded = {};      // bool, own positives not in it; undefined: none
  std::optional<int64_t> diagonal;  // where own positives are, if any
  void fill(torch::Tensor& tile, double value) const {
    if (excluded.defined()) tile.masked_fill_(excluded, value);
    if (diagonal) tile.diagonal(*diagonal).fill_(value);
  }
};

/// One tile of the scores: some of this rank's queries against some of a block's candidates, or hard negatives.
class Tile {
 public:
  Tile(const TiledPlan& plan, const Block& block, TileRange queries, TileRange columns, bool of_hard_negatives)
      : plan_(plan), queries_(queries), columns_(columns), of_hard_negatives_(of_hard_negatives) {
    const int64_t n = of_hard_negatives ? plan.layout.hard_negatives : 1;
    const int64_t first_query = plan.layout.my_first() + queries.first;
    const int64_t first_column = plan.layout.first_of_rank[static_cast<std::size_t>(block.owner)] * n + columns.first;
    const TileRange global_queries{first_query, queries.count}, global_columns{first_column, columns.count};
    related_ = of_hard_negatives ? plan.exclusion.hard_negatives(global_queries, global_columns)
                                 : plan.exclusion.candidates(global_queries, global_columns);
    const int64_t offset = first_query - first_column;
    if (!of_hard_negatives && offset > -queries.count && offset < columns.count) diagonal_ = offset;
  }
  TileRange queries() const { return queries_; }
  TileRange columns() const { return columns_; }
  bool of_hard_negatives() const { return of_hard_negatives_; }
  /// Whether its columns are classified among the queries, too.
  bool both_ways() const { return plan_.symmetric && !of_hard_negatives_; }

  /// No negatives of the queries, or of the columns. positives: the cosines of all queries, of all of the columns.
  TileMask mask_of_queries(const torch::Tensor& logits, const torch::Tensor& positives) const {
    return mask(logits, take(positives, queries_).unsqueeze(1));
  }
  TileMask mask_of_columns(const torch::Tensor& logits, const torch::Tensor& positives) const {
    return mask(logits, take(positives, columns_).unsqueeze(0));
  }
  bool masks_differ() const { return plan_.margin.has_value(); }

 private:
  TileMask mask(const torch::Tensor& logits, const torch::Tensor& positives) const {
    TileMask mask{related_, diagonal_};
    if (plan_.margin) {
      const torch::Tensor above = logits > (positives + *plan_.margin) * plan_.negative_scale;
      mask.excluded = related_.defined() ? at::logical_or(related_, above) : above;
    }
    if (mask.excluded.defined() && diagonal_) mask.excluded.diagonal(*diagonal_).fill_(0);
    return mask;
  }

  const TiledPlan& plan_;
  TileRange queries_, columns_;
  bool of_hard_negatives_;
  torch::Tensor related_;
  std::optional<int64_t> diagonal_;
};

struct TiledInputs {
  torch::Tensor query, candidate, hard_negative;  // this rank's; hard_negative [B N, D] or undefined
};

/// cos(q_i, c_i) of this rank's rows, [B].
torch::Tensor positive_cosines(const TiledInputs& rows, int64_t tile) {
  torch::Tensor cosines = at::empty({rows.query.size(0)}, rows.query.options());
  for_each_tile(rows.query.size(0), tile, [&](TileRange range) {
    take(cosines, range).copy_((unit_rows(take(rows.query, range)) * unit_rows(take(rows.candidate, range))).sum(1));
  });
  return cosines;
}

/// The block of this rank's own columns.
Block own_block(const TiledInputs& rows, const TiledPlan& plan, const torch::Tensor& facts) {
  return {plan.layout.rank, rows.candidate, rows.hard_negative, facts};
}

/// Calls body(tile, unit columns, logits) for the tiles of one row of tiles; scaled_queries are those of `queries`.
template <class Body>
void for_each_tile_of_block(const Block& block, const torch::Tensor& scaled_queries, TileRange queries,
                            const TiledPlan& plan, Body body) {
  const auto over = [&](const torch::Tensor& columns, bool of_hard_negatives) {
    for_each_tile(columns.size(0), plan.tile, [&](TileRange range) {
      const torch::Tensor units = unit_rows(take(columns, range));
      body(Tile(plan, block, queries, range, of_hard_negatives), units, at::mm(scaled_queries, units.t()));
    });
  };
  over(block.candidate, false);
  if (block.hard_negative.defined()) over(block.hard_negative, true);
}

torch::Tensor padded_to_most(const torch::Tensor& x, const RowLayout& layout) {
  auto sizes = x.sizes().vec();
  sizes[0] = layout.most_rows;
  torch::Tensor whole = at::zeros(sizes, x.options());
  whole.narrow(0, 0, x.size(0)).copy_(x);
  return whole;
}

/// The first pass: what the loss, the metrics and the second pass are made of.
struct TiledSums {
  torch::Tensor positive = {};       // [B] cosines
  torch::Tensor of_queries = {};     // [B] log-sum-exp of each query's logits
  torch::Tensor of_candidates = {};  // [B] the same of each candidate's, when symmetric
  torch::Tensor metrics = {};        // [5], in the order of InfoNceMetrics
};

TiledSums sum_tiles(const TiledInputs& rows, const TiledPlan& plan) {
  const RowLayout& layout = plan.layout;
  const torch::Tensor positive = positive_cosines(rows, plan.tile);
  RunningLogSumExp of_queries(positive * plan.scale);
  std::vector<torch::Tensor> along;  // of a block's candidates, among the queries that it has met
  if (plan.symmetric) {
    along = {padded_to_most(of_queries.largest, layout), padded_to_most(of_queries.sum, layout)};
  }
  torch::Tensor hardest = at::full_like(positive, -kInfinity);
  const torch::Tensor negative_sum = at::zeros_like(positive), excluded = at::zeros_like(positive);
  const torch::Tensor candidate_sum = at::zeros({rows.candidate.size(1)}, positive.options());
  const torch::Tensor candidate_squares = at::zeros({}, positive.options());

  go_round(own_block(rows, plan, positive.unsqueeze(0)), plan, along, [&](const Block& block) {
    std::optional<RunningLogSumExp> of_columns;
    if (plan.symmetric)
      of_columns.emplace(take(along[0], {0, block.candidate.size(0)}), take(along[1], {0, block.candidate.size(0)}));
    for_each_tile(block.candidate.size(0), plan.tile, [&](TileRange range) {
      const torch::Tensor units = unit_rows(take(block.candidate, range));
      candidate_sum.add_(units.sum(0));
      candidate_squares.add_((units * units).sum());
    });
    for_each_tile(rows.query.size(0), plan.tile, [&](TileRange queries) {
      const torch::Tensor scaled = unit_rows(take(rows.query, queries)).mul_(plan.negative_scale);
      for_each_tile_of_block(
          block, scaled, queries, plan, [&](const Tile& tile, const torch::Tensor&, torch::Tensor logits) {
            const TileMask mask = tile.mask_of_queries(logits, positive);
            if (tile.both_ways() && tile.masks_differ()) {
              torch::Tensor reversed = logits.clone();
              tile.mask_of_columns(logits, block.facts[0]).fill(reversed, -kInfinity);
              of_columns->add(tile.columns(), reversed.t());
            }
            mask.fill(logits, 0);
            take(negative_sum, queries).add_(logits.sum(1));
            if (mask.excluded.defined()) take(excluded, queries).add_(mask.excluded.sum(1));
            mask.fill(logits, -kInfinity);
            take(hardest, queries).copy_(at::maximum(take(hardest, queries), of_queries.add(queries, logits)));
            if (tile.both_ways() && !tile.masks_differ()) of_columns->add(tile.columns(), logits.t());
          });
    });
  });

  const auto global_rows = static_cast<double>(layout.global_rows);
  const double columns = global_rows * static_cast<double>(1 + layout.hard_negatives) - 1;
  const torch::Tensor negatives = (columns - excluded).clamp_min_(1);
  TiledSums sums{.positive = positive, .of_queries = of_queries.value()};
  if (plan.symmetric) sums.of_candidates = take(RunningLogSumExp(along[0], along[1]).value(), {0, layout.my_rows()});
  sums.metrics =
      at::stack({(positive * plan.negative_scale > hardest).sum(positive.scalar_type()) / global_rows,
                 positive.sum() / global_rows, (negative_sum / negatives).sum() / (global_rows * plan.negative_scale),
                 excluded.sum() / global_rows,
                 mean_cosine_between(candidate_sum, candidate_squares, layout.global_rows) /
                     static_cast<double>(layout.ranks())});
  return sums;
}

torch::Tensor loss_of(const TiledSums& sums, const TiledPlan& plan) {
  const torch::Tensor positive = sums.positive * plan.scale;
  torch::Tensor loss = (sums.of_queries - positive).sum();
  if (plan.symmetric) loss = loss + (sums.of_candidates - positive).sum();
  return loss * plan.row_weight;
}

struct TiledGradients {
  torch::Tensor query = {}, candidate = {}, hard_negative = {};  // like TiledInputs
  torch::Tensor scale = {};                                      // 0-dim: this rank's part
};

/// The second pass. Each tile's softmaxes are computed again; a block's gradient goes round with it.
TiledGradients differentiate_tiles(const TiledInputs& rows, const TiledSums& sums, const TiledPlan& plan) {
  const RowLayout& layout = plan.layout;
  const int64_t b = layout.my_rows(), width = rows.query.size(1), n = layout.hard_negatives;
  // exp(logit - this) is a column's probability times the weight of the row's loss.
  const double log_weight = std::log(plan.row_weight);
  const torch::Tensor of_queries = sums.of_queries - log_weight;
  torch::Tensor facts = sums.positive.unsqueeze(0);
  if (plan.symmetric) facts = at::stack({sums.positive, sums.of_candidates - log_weight});

  // The positives' own part. Gradients of candidates are those of their unit rows until the blocks are back.
  torch::Tensor at_positive = (sums.positive * plan.scale - sums.of_queries).expm1_();
  if (plan.symmetric) at_positive.add_((sums.positive * plan.scale - sums.of_candidates).expm1_());
  at_positive.mul_(plan.row_weight * plan.scale);
  const auto options = rows.query.options();
  TiledGradients gradients{.query = at::empty({b, width}, options), .scale = (at_positive * sums.positive).sum()};
  std::vector<torch::Tensor> along = {at::zeros({layout.most_rows, width}, options)};
  if (n > 0) along.push_back(at::zeros({layout.most_rows * n, width}, options));
  for_each_tile(b, plan.tile, [&](TileRange range) {
    const torch::Tensor q = take(rows.query, range), weight = take(at_positive, range).unsqueeze(1);
    take(along[0], range).copy_(unit_rows(q).mul_(weight));
    take(gradients.query, range).copy_(unit_rows_backward(unit_rows(take(rows.candidate, range)).mul_(weight), q));
  });

  go_round(own_block(rows, plan, facts), plan, along, [&](const Block& block) {
    for_each_tile(b, plan.tile, [&](TileRange queries) {
      const torch::Tensor q = take(rows.query, queries);
      const torch::Tensor units = unit_rows(q), scaled = units * plan.negative_scale;
      const torch::Tensor of_units = at::zeros_like(units);
      for_each_tile_of_block(block, scaled, queries, plan,
                             [&](const Tile& tile, const torch::Tensor& columns, torch::Tensor logits) {
                               const TileMask mask = tile.mask_of_queries(logits, sums.positive);
                               torch::Tensor reversed;  // logits of the columns among the queries
                               if (tile.both_ways() && tile.masks_differ()) {
                                 reversed = logits.clone();
                                 tile.mask_of_columns(logits, block.facts[0]).fill(reversed, -kInfinity);
                               }
                               mask.fill(logits, -kInfinity);
                               torch::Tensor weights = (logits - take(of_queries, queries).unsqueeze(1)).exp_();
                               if (tile.both_ways()) {
                                 if (!reversed.defined()) reversed = std::move(logits);
                                 weights.add_(reversed.sub_(take(block.facts[1], tile.columns()).unsqueeze(0)).exp_());
                               }
                               of_units.addmm_(weights, columns);
                               torch::Tensor of_columns = take(along[tile.of_hard_negatives() ? 1 : 0], tile.columns());
                               of_columns.addmm_(weights.t(), units, 1, plan.scale);
                             });
      of_units.mul_(plan.scale);
      gradients.scale.add_((of_units * units).sum());
      take(gradients.query, queries).add_(unit_rows_backward(of_units, q));
    });
  });

  const auto finish = [&](const torch::Tensor& of_units, const torch::Tensor& x) {
    const torch::Tensor mine = of_units.narrow(0, 0, x.size(0));
    for_each_tile(x.size(0), plan.tile, [&](TileRange range) {
      take(mine, range).copy_(unit_rows_backward(take(mine, range), take(x, range)));
    });
    return mine;
  };
  gradients.candidate = finish(along[0], rows.candidate);
  if (n > 0) gradients.hard_negative = finish(along[1], rows.hard_negative);
  gradients.scale.div_(plan.scale);
  return gradients;
}

/// -> loss, metrics.
struct TiledInfoNce : torch::autograd::Function<TiledInfoNce> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const torch::Tensor& query,
                                                const torch::Tensor& candidate,
                                                const std::optional<torch::Tensor>& hard_negative,
                                                const torch::Tensor& /*scale: the plan has its value*/,
                                                const c10::intrusive_ptr<TiledPlan>& plan) {
    const TiledSums sums = sum_tiles({query, candidate, hard_negative.value_or(torch::Tensor())}, *plan);
    context->save_for_backward({query, candidate, hard_negative.value_or(torch::Tensor()), sums.positive,
                                sums.of_queries, sums.of_candidates});
    context->saved_data["plan"] = torch::IValue::make_capsule(plan);
    context->mark_non_differentiable({sums.metrics});
    return {loss_of(sums, *plan), sums.metrics};
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outputs) {
    const auto plan = c10::static_intrusive_pointer_cast<TiledPlan>(context->saved_data["plan"].toCapsule());
    const auto saved = context->get_saved_variables();
    const TiledInputs rows{saved[0], saved[1], saved[2]};
    const TiledSums sums{.positive = saved[3], .of_queries = saved[4], .of_candidates = saved[5]};
    TiledGradients gradients = differentiate_tiles(rows, sums, *plan);
    const torch::Tensor& factor = outputs[0];
    if (gradients.hard_negative.defined()) gradients.hard_negative.mul_(factor);
    return {gradients.query.mul_(factor), gradients.candidate.mul_(factor), gradients.hard_negative,
            gradients.scale.mul_(factor), torch::Tensor()};
  }
};

}  // namespace

InfoNceResult tiled_info_nce(const ContrastiveRows& rows, const Contrast& contrast) {
  InfoNceResult result;
  for (const Prefix& prefix : contrast.prefixes) {
    const auto cut = [&](const torch::Tensor& x) {
      return x.size(-1) == prefix.width ? x : x.narrow(-1, 0, prefix.width);
    };
    std::optional<torch::Tensor> hard_negative;
    if (rows.hard_negative.defined()) hard_negative = cut(rows.hard_negative).flatten(0, 1);
    const auto outputs = TiledInfoNce::apply(cut(rows.query), cut(rows.candidate), hard_negative, contrast.scale,
                                             c10::make_intrusive<TiledPlan>(contrast, contrast.scale.item<double>()));
    const torch::Tensor loss = outputs[0] * prefix.weight;
    result.loss = result.loss.defined() ? result.loss + loss : loss;
    if (result.metrics.accuracy.defined()) continue;
    const torch::Tensor& metrics = outputs[1];
    result.metrics = {metrics[0], metrics[1], metrics[2], metrics[3], metrics[4]};
  }
  return result;
}

}  // namespace trireme
