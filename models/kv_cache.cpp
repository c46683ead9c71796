#include "models/kv_cache.h"

#include <algorithm>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "models/nn/rotary.h"

namespace trireme {
namespace {

std::size_t index_of(int64_t i) { return static_cast<std::size_t>(i); }

/// At least `rows` of capacity; what is taken is kept.
void make_room(KvCache& cache, int64_t rows) {
  if (rows <= cache.capacity()) return;
  const int64_t capacity = std::max(rows, cache.capacity() * 3 / 2);
  const auto grown = [&](const torch::Tensor& old) {
    auto storage = at::empty({capacity, old.size(1), old.size(2)}, old.options());
    storage.narrow(0, 0, cache.rows).copy_(old.narrow(0, 0, cache.rows));
    return storage;
  };
  for (KvLayer& layer : cache.layers) layer = {grown(layer.keys), grown(layer.values)};
}

/// Rows of the sequence's own, none of them in use yet.
void open_span(KvCache& cache, CachedSequence& sequence, int64_t room) {
  sequence.spans.push_back({cache.rows, 0});
  sequence.room = room;
  cache.rows += room;
}

std::vector<int64_t> bounds_of(const PackedBatch& batch) {
  const auto values = batch.cu_seqlens.accessor<int64_t, 1>();
  std::vector<int64_t> bounds;
  for (int64_t i = 0; i < values.size(0); ++i) bounds.push_back(values[i]);
  return bounds;
}

/// The largest position of each sequence's tokens.
std::vector<int64_t> largest_positions(const PackedBatch& batch, const std::vector<int64_t>& bounds) {
  const auto largest_of_token = std::get<0>(batch.position_ids.max(0)).cpu();
  const auto values = largest_of_token.accessor<int64_t, 1>();
  std::vector<int64_t> largest;
  for (std::size_t b = 1; b < bounds.size(); ++b) {
    int64_t top = 0;
    for (int64_t i = bounds[b - 1]; i < bounds[b]; ++i) top = std::max(top, values[i]);
    largest.push_back(top);
  }
  return largest;
}

void check_parents(const KvCache& cache, std::span<const int64_t> parents, std::size_t sequences) {
  TRIREME_CHECK(parents.size() == sequences, ShapeError, "kv_cache",
                "one parent per packed sequence required; got {} and {} sequences; name what each continues.",
                parents.size(), sequences);
  for (const int64_t parent : parents) {
    TRIREME_CHECK(parent == kNoParent || (parent >= 0 && parent < std::ssize(cache.sequences)), ShapeError, "kv_cache",
                  "a parent must be one of the {} cached sequences; got {}; extend a sequence that is there.",
                  cache.sequences.size(), parent);
  }
}

torch::Tensor on_device(const std::vector<int64_t>& values, c10::Device device) {
  return at::tensor(values, at::TensorOptions(torch::kInt64)).to(device);
}

/// Runs the decoder on new tokens whose rows are set out.
torch::Tensor run(const Lmm& model, KvCache& cache, const torch::Tensor& position_ids, CachedSeqlens seqlens,
                  const torch::Tensor& rows, torch::Tensor hidden) {
  const DecoderConfig& c = model.config.decoder;
  const CachedPass pass{c, decoder_rotary_table(position_ids, c.mrope_section, c.head_dim, c.rope_theta),
                        std::move(seqlens), rows};
  return decode_rows(model.decoder, pass, cache.layers, std::move(hidden));
}

}  // namespace

KvCache make_kv_cache(const Lmm& model, int64_t rows) {
  const DecoderConfig& c = model.config.decoder;
  const auto options = at::TensorOptions(model.dtype).device(model.device);
  KvCache cache;
  for (int64_t i = 0; i < c.layers; ++i) {
    cache.layers.push_back(
        {at::empty({rows, c.kv_heads, c.head_dim}, options), at::empty({rows, c.kv_heads, c.head_dim}, options)});
  }
  return cache;
}

void truncate(KvCache& cache, int64_t sequences) {
  TRIREME_ASSERT(sequences >= 0 && sequences <= std::ssize(cache.sequences), "{} of {} sequences", sequences,
                 cache.sequences.size());
  cache.sequences.resize(index_of(sequences));
  cache.rows = 0;
  for (const CachedSequence& sequence : cache.sequences) {
    for (const KvSpan& span : sequence.spans) cache.rows = std::max(cache.rows, span.begin + span.length);
    cache.rows = std::max(cache.rows, sequence.spans.back().begin + sequence.spans.back().length + sequence.room);
  }
}

torch::Tensor extend_rows(const Lmm& model, KvCache& cache, const PackedBatch& batch, std::span<const int64_t> parents,
                          const ExtendOptions& options) {
  const at::NoGradGuard no_gradient;
  const bool kept = options.features.defined();
  if (kept) {
    check_batch_with_features(model.config, batch, options.features);
  } else {
    check_batch(model.config, batch);
  }
  const bool has_images = !kept && batch.patches.defined() && batch.patches.size(0) > 0;
  std::vector<int64_t> bounds = make_seqlens(bounds_of(batch), torch::kCPU).bounds;
  const std::size_t count = bounds.size() - 1;
  check_parents(cache, parents, count);

  const auto largest = largest_positions(batch, bounds);
  make_room(cache, cache.rows + bounds.back() + static_cast<int64_t>(count) * options.room);
  std::vector<int64_t> slots;
  CachedSeqlens seqlens;
  std::vector<CachedSequence> added;
  int64_t next_row = cache.rows;
  for (std::size_t b = 0; b < count; ++b) {
    const int64_t tokens = bounds[b + 1] - bounds[b];
    CachedSequence sequence;
    if (parents[b] != kNoParent) sequence = cache.sequences[index_of(parents[b])];
    std::erase_if(sequence.spans, [](const KvSpan& span) { return span.length == 0; });
    sequence.spans.push_back({next_row, tokens});
    sequence.length += tokens;
    sequence.next_position = std::max(sequence.next_position, largest[b] + 1);
    sequence.room = options.room;
    for (int64_t i = 0; i < tokens; ++i) slots.push_back(next_row + i);
    next_row += tokens + options.room;
    seqlens.spans.push_back(sequence.spans);
    added.push_back(std::move(sequence));
  }
  seqlens.bounds = std::move(bounds);
  seqlens.slots = on_device(slots, model.device);
  const auto features = kept ? options.features : has_images ? image_features(model, batch) : torch::Tensor();
  auto hidden =
      run(model, cache, batch.position_ids, std::move(seqlens), batch.rows, embedded_tokens(model, batch, features));
  cache.rows = next_row;
  std::ranges::move(added, std::back_inserter(cache.sequences));
  return hidden;
}

int64_t fork(KvCache& cache, int64_t parent, int64_t room) {
  const int64_t parents[] = {parent};
  check_parents(cache, parents, 1);
  TRIREME_ASSERT(parent != kNoParent && room >= 0, "parent {}, room {}", parent, room);
  make_room(cache, cache.rows + room);
  CachedSequence sequence = cache.sequences[index_of(parent)];
  sequence.room = 0;
  if (room > 0) open_span(cache, sequence, room);
  cache.sequences.push_back(std::move(sequence));
  return std::ssize(cache.sequences) - 1;
}

torch::Tensor advance_rows(const Lmm& model, KvCache& cache, std::span<const int64_t> sequences,
                           const torch::Tensor& tokens) {
  constexpr int64_t kMoreRoom = 64;  // for a sequence that has none left
  const at::NoGradGuard no_gradient;
  TRIREME_CHECK(!sequences.empty() && tokens.dim() == 1 && tokens.scalar_type() == torch::kInt64 &&
                    tokens.size(0) == std::ssize(sequences),
                ShapeError, "kv_cache", "tokens [{}] int64 required, one per sequence; got {}; pass one token each.",
                sequences.size(), shape_string(tokens));
  std::vector<int64_t> named(sequences.begin(), sequences.end());
  std::ranges::sort(named);
  TRIREME_CHECK(named.front() >= 0 && named.back() < std::ssize(cache.sequences) &&
                    std::ranges::adjacent_find(named) == named.end(),
                ShapeError, "kv_cache",
                "sequences must be among the {} cached ones, each once; got {}; advance sequences that are there.",
                cache.sequences.size(), fmt::join(sequences, ", "));
  std::vector<int64_t> slots, positions;
  CachedSeqlens seqlens;
  seqlens.bounds.push_back(0);
  for (const int64_t index : sequences) {
    CachedSequence& sequence = cache.sequences[index_of(index)];
    if (sequence.room == 0) {
      make_room(cache, cache.rows + kMoreRoom);
      open_span(cache, sequence, kMoreRoom);
    }
    KvSpan& tail = sequence.spans.back();
    slots.push_back(tail.begin + tail.length);
    ++tail.length, ++sequence.length, --sequence.room;
    positions.push_back(sequence.next_position++);
    seqlens.spans.push_back(sequence.spans);
    seqlens.bounds.push_back(seqlens.bounds.back() + 1);
  }
  seqlens.slots = on_device(slots, model.device);
  PackedBatch batch;
  batch.tokens = tokens;
  return run(model, cache, on_device(positions, model.device).expand({3, -1}), std::move(seqlens),
             at::arange(tokens.size(0), tokens.options()), embedded_tokens(model, batch, {}));
}

}  // namespace trireme
