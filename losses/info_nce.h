#pragma once

#include "core/distributed/communicator.h"
#include "core/tensor.h"
#include "losses/info_nce_config.h"

namespace trireme {

/// What is contrasted: this rank's share of the global batch, B rows; B may differ between ranks, N and D may not.
/// Any floating dtype and any length: rows are normalised here, in float32 (float64 for float64 inputs) as all else.
struct ContrastiveRows {
  torch::Tensor query;      ///< [B, D]
  torch::Tensor candidate;  ///< [B, D], row i is the positive of query row i
  /// [B, N, D], a negative of every query, not of its own alone; or undefined.
  torch::Tensor hard_negative = {};
};

/// What tells false negatives, for InfoNceConfig::exclude; CPU int64, and only what the relations chosen need. An id is
/// any number that stands for one document (or query) on all ranks. Queries i, columns j (candidates, hard negatives):
///   same_candidate  candidate_id[j] == candidate_id[i], or hard_negative_id[j] == candidate_id[i]
///   same_query      query_id[j] == query_id[i]: j is the positive of the same query, drawn twice; no hard negatives
///   known_positive  the id of j is among known_id[known_offset[i] .. known_offset[i + 1])
///   same_concept    concepts are equal and not negative
/// Excluded in both directions; query i and its own candidate i always stay.
struct PairLabels {
  torch::Tensor query_id = {};               ///< [B]
  torch::Tensor candidate_id = {};           ///< [B]
  torch::Tensor hard_negative_id = {};       ///< [B, N]
  torch::Tensor concept_id = {};             ///< [B]
  torch::Tensor hard_negative_concept = {};  ///< [B, N]
  torch::Tensor known_offset = {};           ///< [B + 1]
  torch::Tensor known_id = {};               ///< [K]; K may differ between ranks
};

/// Each a 0-dim tensor without gradient, and this rank's share: the SUM over ranks is the value for the global batch.
/// Of query -> candidate over the full width, or the widest of matryoshka_dims.
struct InfoNceMetrics {
  torch::Tensor accuracy;         ///< queries whose positive scores above every negative, 0..1
  torch::Tensor positive_cosine;  ///< mean over queries
  torch::Tensor negative_cosine;  ///< mean over queries of the mean over a query's negatives; 0 for one without
  torch::Tensor excluded;         ///< columns a query that are no negatives, its own positive not counted; mean
  /// Mean over i != j of the cosine of candidates i and j of the global batch: near 1 when embeddings have collapsed.
  torch::Tensor candidate_cosine;
};

struct InfoNceResult {
  torch::Tensor loss;  ///< 0-dim, nats
  InfoNceMetrics metrics;
};

/// InfoNCE with negatives from every rank. Source: arXiv:1807.03748, eq. 4; LamRA (arXiv:2412.01720), sec. 3.3.
///   loss_i = -log( e^{l_ii} / (e^{l_ii} + sum_j e^{l_ij}) ),  l_ij = cos(q_i, c_j) / t + hardness * sg(cos(q_i, c_j))
/// j over all B_global candidates and B_global N hard negatives but i and those excluded; no hardness term at i; sg
/// stops the gradient (after arXiv:2503.04812). symmetric: half of it, plus half of the same with the roles of q and c
/// exchanged and no hard negatives. matryoshka_dims: the weighted sum over prefixes (arXiv:2205.13147, eq. 1).
/// exclude_margin m: also no negatives of a row are columns whose cosine is above its positive's + m.
///
/// log_inverse_temperature  0-dim, log(1/t), when config.learn_temperature (initial_log_inverse_temperature makes it),
///        equal on all ranks; 1/t is capped at 1/min_temperature, without gradient above. Otherwise undefined.
/// return loss: (sum over MY B rows) / B_global: its SUM over ranks is the mean over the global batch. Gradients are
///        those of that sum: a row gets its gradient from the losses of all ranks, so parameter gradients are to be
///        SUMMED over ranks, never averaged. They are then those of one rank with the whole batch, however it was
///        dealt out. grad_scale released: the rows' gradient (not the temperature's) is divided by the number of ranks.
/// comm   collective, and so is the backward: every rank enters both, once, in the same order among its collectives,
///        and starts the backward with the same factor. comm outlives the backward. No gradient of a leaf is complete
///        before the backward's last collective, so a reducer may send gradients as they come.
///        Forward: one all-gather of counts; one of labels if `exclude` is not empty; one of known ids if it has
///        known_positive; gathered: one of rows, backward one reduce-scatter; tiled: sends and receives round the ring.
///        The calls depend on config, N, and whether gradients are recorded alone; their sizes on the largest B.
/// throws ShapeError: shapes, dtypes, labels that are missing; fewer than two columns; N, D or dtype differ between
///        ranks (the message names them, on every rank). ConfigError: what InfoNceConfig::check refuses. DistError.
/// cost   gathered: 2 R B B (1 + N) D flops a direction and pass, R B (1 + N) (B + D) values held. tiled: twice the
///        score products, held: one gradient of each input, two blocks under way if R > 1, and a dozen tiles.
InfoNceResult info_nce(const ContrastiveRows& rows, const PairLabels& labels, const InfoNceConfig& config,
                       Communicator& comm, const torch::Tensor& log_inverse_temperature = {});

/// throws ConfigError: one of matryoshka_dims is wider than the model's embedding.
void check_widths(const InfoNceConfig& config, int64_t embedding_width);

/// log(1 / config.temperature), 0-dim float32 (a parameter when config.learn_temperature); the trainer owns it, its
/// optimiser trains it without weight decay, the reducer sums its gradient.
torch::Tensor initial_log_inverse_temperature(const InfoNceConfig& config);

}  // namespace trireme
