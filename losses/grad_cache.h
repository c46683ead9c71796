#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Generator.h>

#include "core/tensor.h"
#include "losses/info_nce.h"

namespace trireme {

enum class ContrastiveSide { kQuery, kCandidate, kHardNegative };
enum class GradCachePass { kCollect, kBackward, kOnly };

/// One call of embed: which sequences, and what for.
struct GradCacheChunk {
  ContrastiveSide side = ContrastiveSide::kQuery;
  /// 0 .. number of chunks of the side - 1.
  int64_t index = 0;
  /// kCollect runs without gradient, first, and is where a closure keeps what the second pass need not compute again
  /// (the features of a frozen vision tower); kBackward runs with gradient, and may drop it afterwards. The last chunk
  /// of all is embedded once, with gradient, after the first pass of the others: kOnly.
  GradCachePass pass = GradCachePass::kCollect;
};

/// How one rank's share of the batch is cut. Chunks may have any number of rows; ranks may have other numbers of chunks
/// unless embed itself makes collectives.
struct GradCacheChunks {
  int64_t query = 1;
  int64_t candidate = 1;
  int64_t hard_negative = 0;  ///< 0: rows.hard_negative is undefined
};

struct GradCacheSteps {
  /// -> [rows of the chunk, D], any floating dtype. The chunks of a side, in order, make up the side; a query's N hard
  /// negatives stand together, in the order of the queries. Equal in both passes, up to rounding: replayed below.
  std::function<torch::Tensor(const GradCacheChunk& chunk)> embed;
  /// Called once, between the passes, with all of this rank's rows (float32, or float64 from a float64 model): usually
  /// info_nce of them. Parameters of the loss itself get their gradient here.
  std::function<InfoNceResult(const ContrastiveRows& rows)> loss;
  /// Before the backward of the last chunk, the only one in which gradients are to be reduced over ranks. May be empty.
  std::function<void()> before_last_backward;
};

/// The gradient of a contrastive loss over a batch whose activations do not fit: embed all chunks without gradient,
/// take the loss's gradient at the embeddings, then embed chunk by chunk again and go back from there; the last chunk's
/// activations stay, so it is not embedded again. Source: Gao et al., arXiv:2101.06983, sec. 3. Gradients are added to
/// .grad, those of the same chunks embedded with gradient in order (queries, candidates, hard negatives) and one
/// backward.
///
/// generators  those that embed draws from (dropout): usually {at::globalContext().defaultGenerator(device)}; none if
///             the closure's randomness is a function of the chunk (core/rng.h). A chunk's state is replayed in the
///             second pass; afterwards the generators stand where the first pass left them.
/// return      of the loss closure, without gradient.
/// throws      ShapeError: chunks of other widths or dtypes, hard negatives that do not divide by the queries.
///             InternalError: embed returned something else in the second pass (a row further off than rounding
///             explains: 1e-9, 1e-3, 0.1 of its length in float64, float32, 16 bits), whose gradient would be wrong.
/// cost        one more forward of every chunk but the last; held: one chunk's activations, also while the loss is
///             taken, B (2 + N) D embeddings and gradients.
InfoNceResult grad_cache(const GradCacheChunks& chunks, const GradCacheSteps& steps,
                         std::vector<torch::Generator> generators);

}  // namespace trireme
