#include "losses/grad_cache.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/shape.h"
#include "core/tensor.h"

namespace trireme {
namespace {

constexpr std::array kSides = {ContrastiveSide::kQuery, ContrastiveSide::kCandidate, ContrastiveSide::kHardNegative};

std::string_view side_name(ContrastiveSide side) {
  switch (side) {
    case ContrastiveSide::kQuery:
      return "query";
    case ContrastiveSide::kCandidate:
      return "candidate";
    case ContrastiveSide::kHardNegative:
      return "hard negative";
  }
  TRIREME_ASSERT(false, "side {} has no name", static_cast<int>(side));
}

int64_t chunks_of(const GradCacheChunks& chunks, ContrastiveSide side) {
  switch (side) {
    case ContrastiveSide::kQuery:
      return chunks.query;
    case ContrastiveSide::kCandidate:
      return chunks.candidate;
    case ContrastiveSide::kHardNegative:
      return chunks.hard_negative;
  }
  TRIREME_ASSERT(false, "side {} has no chunks", static_cast<int>(side));
}

/// Where several generators stand. A state is a tensor on the CPU.
class GeneratorStates {
 public:
  explicit GeneratorStates(std::vector<torch::Generator>& generators) {
    for (torch::Generator& generator : generators) {
      const std::scoped_lock lock(generator.mutex());
      states_.push_back(generator.get_state());
    }
  }
  void restore(std::vector<torch::Generator>& generators) const {
    for (std::size_t i = 0; i < generators.size(); ++i) {
      const std::scoped_lock lock(generators[i].mutex());
      generators[i].set_state(states_[i]);
    }
  }

 private:
  std::vector<torch::Tensor> states_;
};

/// What the first pass keeps of a chunk.
struct CollectedChunk {
  GradCacheChunk chunk;
  GeneratorStates before;
  torch::Tensor embeddings;  // float32 or float64, no gradient
  torch::Tensor with_graph;  // the last chunk's
};

torch::Tensor in_loss_dtype(const torch::Tensor& x) {
  return x.to(x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32);
}

void check_embeddings(const torch::Tensor& embeddings, const GradCacheChunk& chunk, const torch::Tensor* first) {
  TRIREME_CHECK(embeddings.defined() && embeddings.dim() == 2 && embeddings.is_floating_point(), ShapeError,
                "grad_cache", "embed must return [rows, D] of a floating dtype; got {} for {} chunk {}; check embed.",
                shape_string(embeddings), side_name(chunk.side), chunk.index);
  TRIREME_CHECK(first == nullptr || embeddings.size(1) == first->size(1), ShapeError, "grad_cache",
                "all chunks must have one width; got {} after {} for {} chunk {}; check embed.", embeddings.size(1),
                first->size(1), side_name(chunk.side), chunk.index);
}

/// The chunks of all sides, in order.
std::vector<GradCacheChunk> in_order(const GradCacheChunks& chunks) {
  std::vector<GradCacheChunk> all;
  for (const ContrastiveSide side : kSides)
    for (int64_t i = 0; i < chunks_of(chunks, side); ++i) all.push_back({side, i, GradCachePass::kCollect});
  return all;
}

/// The first pass; the last chunk's embeddings keep their graph.
std::vector<CollectedChunk> collect(const GradCacheChunks& chunks, const GradCacheSteps& steps,
                                    std::vector<torch::Generator>& generators) {
  std::vector<GradCacheChunk> all = in_order(chunks);
  all.back().pass = GradCachePass::kOnly;
  std::vector<CollectedChunk> collected;
  for (const GradCacheChunk& chunk : all) {
    const at::AutoGradMode with_gradient(chunk.pass == GradCachePass::kOnly);
    GeneratorStates before(generators);
    const torch::Tensor embeddings = steps.embed(chunk);
    check_embeddings(embeddings, chunk, collected.empty() ? nullptr : &collected.front().embeddings);
    const bool is_last = chunk.pass == GradCachePass::kOnly;
    collected.push_back(
        {chunk, std::move(before), in_loss_dtype(embeddings.detach()), is_last ? embeddings : torch::Tensor()});
  }
  return collected;
}

/// All rows of one side, as a leaf that takes a gradient.
torch::Tensor leaf_of(const std::vector<CollectedChunk>& collected, ContrastiveSide side) {
  std::vector<torch::Tensor> rows;
  for (const CollectedChunk& chunk : collected)
    if (chunk.chunk.side == side) rows.push_back(chunk.embeddings);
  return at::cat(rows).requires_grad_();
}

/// How far rounding alone may take a row of the second pass from the first's, of its length.
double allowed_difference(c10::ScalarType dtype) {
  if (dtype == torch::kFloat64) return 1e-9;
  return dtype == torch::kFloat32 ? 1e-3 : 0.1;
}

void check_replayed(const torch::Tensor& again, const CollectedChunk& first) {
  const at::NoGradGuard no_grad;
  TRIREME_ASSERT(again.defined() && again.sizes() == first.embeddings.sizes(),
                 "embed returned {} for {} chunk {} in the first pass and {} in the second",
                 shape_string(first.embeddings), side_name(first.chunk.side), first.chunk.index, shape_string(again));
  const auto lengths = [](const torch::Tensor& x) { return at::linalg_vector_norm(x, 2, {1}); };
  const torch::Tensor difference = lengths(again.detach().to(first.embeddings.scalar_type()) - first.embeddings);
  const double allowed = allowed_difference(again.scalar_type());
  const bool close = (difference <= lengths(first.embeddings) * allowed).all().item<bool>();
  TRIREME_ASSERT(close,
                 "embed returned rows for {} chunk {} that differ between the passes by more than {} of their length "
                 "(dropout from a generator that is not replayed?)",
                 side_name(first.chunk.side), first.chunk.index, allowed);
}

}  // namespace

InfoNceResult grad_cache(const GradCacheChunks& chunks, const GradCacheSteps& steps,
                         std::vector<torch::Generator> generators) {
  TRIREME_CHECK(chunks.query >= 1 && chunks.candidate >= 1 && chunks.hard_negative >= 0, ShapeError, "grad_cache",
                "queries and candidates must have at least one chunk each; got {} and {}, and {} of hard negatives; "
                "give every rank rows.",
                chunks.query, chunks.candidate, chunks.hard_negative);
  std::vector<CollectedChunk> collected = collect(chunks, steps, generators);
  const GeneratorStates after(generators);

  const at::AutoGradMode with_gradient(true);
  std::array<torch::Tensor, kSides.size()> leaves;
  for (std::size_t s = 0; s < kSides.size(); ++s)
    if (chunks_of(chunks, kSides[s]) > 0) leaves[s] = leaf_of(collected, kSides[s]);
  ContrastiveRows rows{.query = leaves[0], .candidate = leaves[1]};
  if (leaves[2].defined()) {
    const int64_t queries = rows.query.size(0), negatives = leaves[2].size(0);
    TRIREME_CHECK(queries > 0 && negatives % queries == 0, ShapeError, "grad_cache",
                  "every query must have as many hard negatives; got {} for {} queries; give each query N.", negatives,
                  queries);
    rows.hard_negative = leaves[2].view({queries, negatives / queries, leaves[2].size(1)});
  }
  InfoNceResult result = steps.loss(rows);
  torch::autograd::backward({result.loss}, {});
  result.loss = result.loss.detach();

  // The last chunk goes back first, so that its activations are gone before the next chunk's are made.
  std::array<int64_t, kSides.size()> done{};
  const auto go_back = [&](const CollectedChunk& chunk, const torch::Tensor& embeddings, int64_t first_row) {
    const torch::Tensor& gradients = leaves[static_cast<std::size_t>(chunk.chunk.side)].grad();
    torch::autograd::backward({embeddings},
                              {gradients.narrow(0, first_row, embeddings.size(0)).to(embeddings.scalar_type())});
  };
  const auto announce = [&](bool is_last) {
    if (is_last && steps.before_last_backward) steps.before_last_backward();
  };
  CollectedChunk last = std::move(collected.back());
  collected.pop_back();
  announce(collected.empty());
  const int64_t rows_of_side = leaves[static_cast<std::size_t>(last.chunk.side)].size(0);
  go_back(last, std::exchange(last.with_graph, {}), rows_of_side - last.embeddings.size(0));
  for (std::size_t i = 0; i < collected.size(); ++i) {
    CollectedChunk& first = collected[i];
    first.before.restore(generators);
    first.chunk.pass = GradCachePass::kBackward;
    const torch::Tensor again = steps.embed(first.chunk);
    check_replayed(again, first);
    announce(i + 1 == collected.size());
    int64_t& row = done[static_cast<std::size_t>(first.chunk.side)];
    go_back(first, again, row);
    row += again.size(0);
    first.embeddings.reset();
  }
  after.restore(generators);
  return result;
}

}  // namespace trireme
