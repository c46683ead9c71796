#include "data/loader/pair_batch.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>

#include "data/loader/packer.h"

namespace trireme {
namespace {

constexpr int64_t kPad = 99;

/// Sequences with up to two images of different sizes each.
std::vector<EncodedSequence> drawn_sequences() {
  std::vector<EncodedSequence> sequences(static_cast<std::size_t>(*rc::gen::inRange(1, 9)));
  float value = 0;
  for (EncodedSequence& sequence : sequences) {
    sequence.tokens.assign(static_cast<std::size_t>(*rc::gen::inRange(1, 9)), *rc::gen::inRange<int64_t>(1, 50));
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      ImagePatches image{.grid_h = 2 * *rc::gen::inRange(1, 4), .grid_w = 2 * *rc::gen::inRange(1, 3), .values = {}};
      for (int64_t v = 0; v < image.grid_h * image.grid_w * 3; ++v) image.values.push_back(value++);
      sequence.tokens.insert(sequence.tokens.end(), static_cast<std::size_t>(image.grid_h * image.grid_w / 4), kPad);
      sequence.tokens.push_back(7);
      sequence.images.push_back(std::move(image));
    }
  }
  return sequences;
}

RC_GTEST_PROP(SliceOfABatch, IsTheBatchOfThoseSequences, ()) {
  const auto sequences = drawn_sequences();
  const PackOptions options{.rope_mode = RopeMode::kMrope, .image_token_id = kPad, .merge_size = 2};
  const PackedBatch whole = pack(sequences, options);
  const int64_t first = *rc::gen::inRange<int64_t>(0, std::ssize(sequences));
  const int64_t count = *rc::gen::inRange<int64_t>(1, std::ssize(sequences) - first + 1);
  const PackedBatch part = slice(whole, {first, count});
  const PackedBatch alone =
      pack(std::span(sequences).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), options);
  RC_ASSERT(at::equal(part.tokens, alone.tokens));
  RC_ASSERT(at::equal(part.position_ids, alone.position_ids));
  RC_ASSERT(at::equal(part.cu_seqlens, alone.cu_seqlens));
  RC_ASSERT(at::equal(part.rows, alone.rows));
  RC_ASSERT(at::equal(part.image_rows, alone.image_rows));
  RC_ASSERT(at::equal(part.grid, alone.grid));
  RC_ASSERT(part.patches.size(0) == alone.patches.size(0));
  RC_ASSERT(part.patches.size(0) == 0 || at::equal(part.patches, alone.patches));
}

struct Lengths {
  std::vector<int64_t> lengths;
  torch::Tensor offsets() const {
    std::vector<int64_t> sums{0};
    for (int64_t length : lengths) sums.push_back(sums.back() + length);
    return at::from_blob(sums.data(), {std::ssize(sums)}, torch::kInt64).clone();
  }
  int64_t tokens(SequenceRange range) const {
    int64_t sum = 0;
    for (int64_t i = range.first; i < range.first + range.count; ++i) sum += lengths[static_cast<std::size_t>(i)];
    return sum;
  }
  int64_t longest(const std::vector<SequenceRange>& ranges) const {
    int64_t most = 0;
    for (const SequenceRange& range : ranges) most = std::max(most, tokens(range));
    return most;
  }
  bool covered_by(const std::vector<SequenceRange>& ranges) const {
    int64_t next = 0;
    for (const SequenceRange& range : ranges) {
      if (range.first != next || range.count < 1) return false;
      next += range.count;
    }
    return next == std::ssize(lengths);
  }
  /// The least longest run over all ways to cut, by trying them.
  int64_t best(std::size_t begin, int64_t chunks) const {
    if (begin == lengths.size()) return 0;
    if (chunks == 0) return std::numeric_limits<int64_t>::max();
    int64_t least = std::numeric_limits<int64_t>::max(), sum = 0;
    for (std::size_t end = begin; end < lengths.size(); ++end) {
      sum += lengths[end];
      least = std::min(least, std::max(sum, best(end + 1, chunks - 1)));
    }
    return least;
  }
};

RC_GTEST_PROP(BalancedChunks, AreAsManyAndAsShortAsCanBe, ()) {
  const Lengths all{*rc::gen::container<std::vector<int64_t>>(static_cast<std::size_t>(*rc::gen::inRange(1, 10)),
                                                              rc::gen::inRange<int64_t>(1, 60))};
  const int64_t chunks = *rc::gen::inRange(1, 12);
  const auto ranges = balanced_chunks(all.offsets(), chunks);
  RC_ASSERT(all.covered_by(ranges));
  RC_ASSERT(std::ssize(ranges) == std::min<int64_t>(chunks, std::ssize(all.lengths)));
  RC_ASSERT(all.longest(ranges) == all.best(0, chunks));
}

TEST(ChunksWithin, UseTheFewestThatKeepTheBound) {
  const Lengths all{{10, 10, 10, 30, 5, 5}};
  const auto ranges = chunks_within(all.offsets(), 20);
  EXPECT_TRUE(all.covered_by(ranges));
  EXPECT_EQ(ranges.size(), 4u);
  EXPECT_EQ(all.longest(ranges), 30);
  EXPECT_EQ(chunks_within(all.offsets(), 1000).size(), 1u);
}

}  // namespace
}  // namespace trireme
