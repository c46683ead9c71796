#include "data/loader/pair_batch.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/error.h"

namespace trireme {
namespace {

std::span<const int64_t> values_of(const torch::Tensor& tensor) {
  TRIREME_ASSERT(tensor.dtype() == torch::kInt64 && tensor.is_contiguous() && tensor.device().is_cpu(),
                 "offsets are contiguous int64 on the CPU");
  return {tensor.const_data_ptr<int64_t>(), static_cast<std::size_t>(tensor.numel())};
}

/// Runs of consecutive sequences with at most `tokens` each, filled from the front.
std::vector<SequenceRange> filled(std::span<const int64_t> offsets, int64_t tokens) {
  std::vector<SequenceRange> ranges;
  const auto sequences = std::ssize(offsets) - 1;
  for (int64_t first = 0; first < sequences;) {
    int64_t end = first + 1;
    while (end < sequences &&
           offsets[static_cast<std::size_t>(end + 1)] - offsets[static_cast<std::size_t>(first)] <= tokens)
      ++end;
    ranges.push_back({first, end - first});
    first = end;
  }
  return ranges;
}

}  // namespace

PairBatchCounts counts_of(const PairBatch& batch) {
  const PackedBatch& packed = batch.sequences;
  return {.sequences = packed.cu_seqlens.size(0) - 1,
          .tokens = packed.tokens.size(0),
          .images = packed.grid.defined() ? packed.grid.size(0) : 0,
          .patches = packed.patches.defined() ? packed.patches.size(0) : 0};
}

std::vector<SequenceRange> balanced_chunks(const torch::Tensor& cu_seqlens, int64_t chunks) {
  TRIREME_ASSERT(chunks >= 1, "{} chunks", chunks);
  const auto offsets = values_of(cu_seqlens);
  const auto sequences = std::ssize(offsets) - 1;
  if (sequences <= 0) return {};
  // The least bound that `chunks` runs can keep, by bisection: filling from the front uses as few runs as possible.
  int64_t low = 0, high = offsets.back() - offsets.front();
  for (int64_t i = 0; i < sequences; ++i)
    low = std::max(low, offsets[static_cast<std::size_t>(i + 1)] - offsets[static_cast<std::size_t>(i)]);
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (std::ssize(filled(offsets, middle)) <= chunks) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  std::vector<SequenceRange> ranges = filled(offsets, low);
  // Filling may need fewer than asked for; the longest of more than one sequence are halved until there are as many.
  const int64_t wanted = std::min(chunks, sequences);
  while (std::ssize(ranges) < wanted) {
    const auto tokens = [&](const SequenceRange& r) {
      return r.count < 2
                 ? -1
                 : offsets[static_cast<std::size_t>(r.first + r.count)] - offsets[static_cast<std::size_t>(r.first)];
    };
    const auto longest = std::max_element(ranges.begin(), ranges.end(),
                                          [&](const auto& a, const auto& b) { return tokens(a) < tokens(b); });
    const int64_t half = longest->count / 2;
    const SequenceRange rest{longest->first + half, longest->count - half};
    longest->count = half;
    ranges.insert(longest + 1, rest);
  }
  return ranges;
}

std::vector<SequenceRange> chunks_within(const torch::Tensor& cu_seqlens, int64_t tokens) {
  TRIREME_ASSERT(tokens >= 1, "{} tokens", tokens);
  const auto chunks = std::ssize(filled(values_of(cu_seqlens), tokens));
  if (chunks == 0) return {};
  return balanced_chunks(cu_seqlens, chunks);
}

PackedBatch slice(const PackedBatch& batch, SequenceRange range) {
  const auto offsets = values_of(batch.cu_seqlens);
  TRIREME_ASSERT(range.first >= 0 && range.count >= 1 && range.first + range.count < std::ssize(offsets),
                 "sequences [{}, + {}) of {}", range.first, range.count, offsets.size() - 1);
  const int64_t begin = offsets[static_cast<std::size_t>(range.first)];
  const int64_t end = offsets[static_cast<std::size_t>(range.first + range.count)];
  const auto rows_within = [&](const torch::Tensor& rows) {
    const auto values = values_of(rows);
    const auto low = std::lower_bound(values.begin(), values.end(), begin) - values.begin();
    const auto high = std::lower_bound(values.begin(), values.end(), end) - values.begin();
    return SequenceRange{low, high - low};
  };
  PackedBatch out;
  out.tokens = batch.tokens.narrow(0, begin, end - begin);
  out.position_ids = batch.position_ids.narrow(1, begin, end - begin);
  out.cu_seqlens = batch.cu_seqlens.narrow(0, range.first, range.count + 1) - begin;
  const SequenceRange asked = rows_within(batch.rows);
  out.rows = batch.rows.narrow(0, asked.first, asked.count) - begin;
  out.patches = batch.patches;
  out.grid = batch.grid;
  if (!batch.image_rows.defined()) return out;
  const SequenceRange image_rows = rows_within(batch.image_rows);
  out.image_rows = batch.image_rows.narrow(0, image_rows.first, image_rows.count) - begin;
  if (!batch.patches.defined() || batch.patches.size(0) == 0) return out;
  const int64_t patches_per_row = batch.patches.size(0) / batch.image_rows.size(0);
  out.patches = batch.patches.narrow(0, image_rows.first * patches_per_row, image_rows.count * patches_per_row);
  // Images lie in the order of their rows: those before the range own the rows before it.
  const auto grid = values_of(batch.grid);
  const auto images_until = [&](int64_t rows) {
    int64_t images = 0;
    for (std::size_t i = 0; rows > 0; i += 3, ++images) rows -= grid[i] * grid[i + 1] * grid[i + 2] / patches_per_row;
    return images;
  };
  const int64_t first_image = images_until(image_rows.first);
  out.grid = batch.grid.narrow(0, first_image, images_until(image_rows.first + image_rows.count) - first_image);
  return out;
}

}  // namespace trireme
