#include "models/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "models/lora.h"
#include "models/nn/cpu_attention.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::GoldenCase;
using test::largest_difference;
using test::load_golden_model;
using test::message_of;
using test::packed;
using ::testing::HasSubstr;

/// Every token's row of every sequence.
PackedBatch with_all_rows(PackedBatch batch) {
  batch.rows = at::arange(batch.tokens.size(0));
  return batch;
}

/// Tokens [begin, end) of the packed batch as one sequence, with all rows asked for; pictures by their features.
struct Piece {
  PackedBatch batch;
  torch::Tensor features;
};
Piece piece_of(const PackedBatch& whole, const torch::Tensor& features, int64_t begin, int64_t end) {
  Piece piece;
  piece.batch.tokens = whole.tokens.narrow(0, begin, end - begin);
  piece.batch.position_ids = whole.position_ids.narrow(1, begin, end - begin).contiguous();
  piece.batch.cu_seqlens = at::tensor({int64_t{0}, end - begin});
  piece.batch.rows = at::arange(end - begin);
  const auto inside = at::nonzero((whole.image_rows >= begin) & (whole.image_rows < end)).flatten();
  piece.batch.image_rows = whole.image_rows.index_select(0, inside) - begin;
  piece.features = features.index_select(0, inside);
  return piece;
}

torch::Tensor features_of(const Lmm& model, const PackedBatch& batch) {
  if (batch.patches.defined()) return image_features(model, batch);
  return at::empty({0, model.config.decoder.hidden_size}, model.dtype);
}

torch::Tensor extend(const Lmm& model, KvCache& cache, const Piece& piece, int64_t parent, int64_t room = 0) {
  const int64_t parents[] = {parent};
  return extend_rows(model, cache, piece.batch, parents, {.features = piece.features, .room = room});
}

/// Bits where ours are the kernels, else the bar.
void expect_same_rows(const torch::Tensor& ours, const torch::Tensor& expected, const std::string& what) {
  EXPECT_LT(largest_difference(ours, expected), 1e-5) << what;
  if (cpu::has_attention()) {
    EXPECT_TRUE(at::equal(ours, expected)) << what;
  }
}

class KvCacheTest : public testing::TestWithParam<std::string> {
 protected:
  const Lmm model_ = load_golden_model(GetParam());
  const std::vector<GoldenCase> cases_ = golden_cases(GetParam());
  const torch::NoGradGuard no_gradient_;
};

TEST_P(KvCacheTest, PrefillHasTheRowsOfTheForward) {
  const PackedBatch batch = with_all_rows(packed(cases_, model_.config));
  KvCache cache = make_kv_cache(model_);
  const std::vector<int64_t> parents(cases_.size(), kNoParent);
  expect_same_rows(extend_rows(model_, cache, batch, parents), hidden_rows(model_, batch), "prefill");
  EXPECT_EQ(cache.rows, batch.tokens.size(0));
}

TEST_P(KvCacheTest, ExtendHasTheRowsOfTheWholeSequence) {
  for (const GoldenCase& one : cases_) {
    const PackedBatch whole = with_all_rows(packed({one}, model_.config));
    const torch::Tensor expected = hidden_rows(model_, whole), features = features_of(model_, whole);
    const int64_t length = whole.tokens.size(0);
    for (const int64_t cut : {int64_t{1}, length / 3, length / 2, length - 1}) {  // pictures are cut through, too
      if (cut < 1 || cut >= length) continue;
      KvCache cache = make_kv_cache(model_);
      const auto head = extend(model_, cache, piece_of(whole, features, 0, cut), kNoParent);
      const auto tail = extend(model_, cache, piece_of(whole, features, cut, length), 0);
      expect_same_rows(at::cat({head, tail}), expected, one.name + " cut at " + std::to_string(cut));
      EXPECT_EQ(cache.sequences[1].length, length);
      EXPECT_EQ(cache.sequences[1].next_position, whole.position_ids.max().item<int64_t>() + 1);
    }
  }
}

TEST_P(KvCacheTest, ManySequencesContinueOnePrefixWithoutACopy) {
  const PackedBatch whole = packed({cases_.front()}, model_.config);
  const torch::Tensor features = features_of(model_, whole);
  const int64_t length = whole.tokens.size(0), cut = length / 2;
  KvCache cache = make_kv_cache(model_);
  extend(model_, cache, piece_of(whole, features, 0, cut), kNoParent);

  // Continuations of different lengths: the original, and shorter ones with other tokens.
  const Piece original = piece_of(whole, features, cut, length);
  std::vector<torch::Tensor> tokens, positions, expected;
  std::vector<int64_t> bounds = {0}, parents;
  for (int64_t i = 0; i < 5; ++i) {
    PackedBatch changed = whole;
    const int64_t end = length - i;
    changed.tokens = whole.tokens.narrow(0, 0, end).clone();
    if (changed.tokens[end - 1].item<int64_t>() != model_.config.image_token_id) changed.tokens[end - 1] = 10 + i;
    changed.position_ids = whole.position_ids.narrow(1, 0, end).contiguous();
    changed.cu_seqlens = at::tensor({int64_t{0}, end});
    changed.rows = at::arange(cut, end);
    expected.push_back(hidden_rows(model_, changed));
    tokens.push_back(changed.tokens.narrow(0, cut, end - cut));
    positions.push_back(changed.position_ids.narrow(1, cut, end - cut));
    bounds.push_back(bounds.back() + end - cut);
    parents.push_back(0);
  }
  PackedBatch batch;
  batch.tokens = at::cat(tokens);
  batch.position_ids = at::cat(positions, 1);
  batch.cu_seqlens = at::tensor(bounds);
  batch.rows = at::arange(bounds.back());
  batch.image_rows = at::nonzero(batch.tokens == model_.config.image_token_id).flatten();
  const auto ours = extend_rows(model_, cache, batch, parents,
                                {.features = original.features.repeat(
                                     {batch.image_rows.size(0) / std::max<int64_t>(1, original.features.size(0)), 1})});
  expect_same_rows(ours, at::cat(expected), "continuations");
  EXPECT_EQ(cache.rows, cut + bounds.back()) << "the prefix is there once";
  truncate(cache, 1);
  EXPECT_EQ(cache.rows, cut);
}

TEST_P(KvCacheTest, OneTokenAtATimeHasTheRowsOfTheForward) {
  std::vector<int64_t> lengths;
  std::vector<torch::Tensor> expected;
  KvCache cache = make_kv_cache(model_);
  constexpr int64_t kSteps = 5;
  std::vector<GoldenCase> ending_in_text;
  for (const GoldenCase& one : cases_) {
    const int64_t length = one.tokens.size(0);
    const auto tail = one.tokens.narrow(0, std::max<int64_t>(0, length - kSteps), std::min(kSteps, length));
    if (length > kSteps && !(tail == model_.config.image_token_id).any().item<bool>()) ending_in_text.push_back(one);
  }
  ASSERT_GE(ending_in_text.size(), 2U);
  for (std::size_t i = 0; i < ending_in_text.size(); ++i) {
    const PackedBatch whole = with_all_rows(packed({ending_in_text[i]}, model_.config));
    const int64_t length = whole.tokens.size(0);
    expected.push_back(hidden_rows(model_, whole).narrow(0, length - kSteps, kSteps));
    // Room for some of the steps, none, or all: a sequence goes on elsewhere when its rows are full.
    const int64_t room = std::array<int64_t, 3>{2, 0, kSteps}[i % 3];
    extend(model_, cache, piece_of(whole, features_of(model_, whole), 0, length - kSteps), kNoParent, room);
  }
  std::vector<int64_t> sequences(ending_in_text.size());
  std::iota(sequences.begin(), sequences.end(), 0);
  for (int64_t step = 0; step < kSteps; ++step) {
    std::vector<int64_t> tokens;
    std::vector<torch::Tensor> rows;
    for (std::size_t i = 0; i < ending_in_text.size(); ++i) {
      const auto& all = ending_in_text[i].tokens;
      tokens.push_back(all[all.size(0) - kSteps + step].item<int64_t>());
      rows.push_back(expected[i][step]);
    }
    expect_same_rows(advance_rows(model_, cache, sequences, at::tensor(tokens)), at::stack(rows),
                     "step " + std::to_string(step));
  }
}

TEST_P(KvCacheTest, AContinuationKeepsItsViewOfAParentThatGrows) {
  const PackedBatch whole = packed({cases_.front()}, model_.config);
  const torch::Tensor features = features_of(model_, whole);
  const int64_t length = whole.tokens.size(0);
  KvCache cache = make_kv_cache(model_);
  extend(model_, cache, piece_of(whole, features, 0, length), kNoParent, 4);
  const int64_t parent[] = {0};
  Piece word = piece_of(whole, features, 0, 1);
  word.batch.position_ids = word.batch.position_ids + cache.sequences[0].next_position;
  const auto before = extend(model_, cache, word, 0);
  advance_rows(model_, cache, parent, at::tensor({int64_t{7}}));
  EXPECT_EQ(cache.sequences[0].length, length + 1);
  EXPECT_EQ(cache.sequences[1].length, length + 1);
  truncate(cache, 1);
  advance_rows(model_, cache, parent, at::tensor({int64_t{9}}));
  KvCache other = make_kv_cache(model_);
  extend(model_, other, piece_of(whole, features, 0, length), kNoParent);
  EXPECT_TRUE(at::equal(extend(model_, other, word, 0), before));
}

TEST_P(KvCacheTest, Bfloat16IsCloseAndFloat64IsExact) {
  for (const auto dtype : {torch::kBFloat16, torch::kFloat64}) {
    const Lmm model = load_golden_model(GetParam(), dtype);
    for (const GoldenCase& one : cases_) {
      const PackedBatch whole = with_all_rows(packed({one}, model.config));
      const torch::Tensor expected = hidden_rows(model, whole), features = features_of(model, whole);
      const int64_t length = whole.tokens.size(0);
      if (length < 2) continue;
      KvCache cache = make_kv_cache(model);
      extend(model, cache, piece_of(whole, features, 0, length / 2), kNoParent);
      const auto tail = extend(model, cache, piece_of(whole, features, length / 2, length), 0);
      const auto wanted = expected.narrow(0, length / 2, length - length / 2);
      if (dtype == torch::kFloat64) {
        EXPECT_LT(largest_difference(tail, wanted), 1e-10) << one.name;
      } else {
        EXPECT_GT(at::cosine_similarity(tail.to(torch::kFloat64), wanted.to(torch::kFloat64), 1).min().item<double>(),
                  0.999)
            << one.name;
      }
    }
  }
}

TEST_P(KvCacheTest, LoraTermsTakePart) {
  Lmm model = load_golden_model(GetParam());
  LoraConfig config;
  config.rank = 4;
  attach_lora(model, config, 1);
  for (const LinearModule& module : linear_layers(model)) {
    for (LoraTerm& term : module.layer->lora) term.b.fill_(0.05);
  }
  const PackedBatch whole = with_all_rows(packed({cases_.front()}, model.config));
  const torch::Tensor expected = hidden_rows(model, whole), features = features_of(model, whole);
  EXPECT_GT(largest_difference(expected, hidden_rows(model_, whole)), 1e-3);
  const int64_t length = whole.tokens.size(0);
  KvCache cache = make_kv_cache(model);
  extend(model, cache, piece_of(whole, features, 0, length / 2), kNoParent);
  expect_same_rows(extend(model, cache, piece_of(whole, features, length / 2, length), 0),
                   expected.narrow(0, length / 2, length - length / 2), "LoRA");
}

INSTANTIATE_TEST_SUITE_P(Families, KvCacheTest, testing::Values("qwen2_vl_hub", "qwen2_5_vl_hub", "qwen2_hub"),
                         [](const auto& tested) { return tested.param; });

/// Three sequences of which the second and third continue 150 tokens of the first, in rows out of order.
TEST(CachedAttention, ScatteredAndSharedRowsHaveTheBitsOfWholeSequences) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  for (const AttentionHeads& heads : {AttentionHeads{6, 2, 64}, AttentionHeads{4, 4, 80}, AttentionHeads{8, 1, 24}}) {
    const int64_t shared = 150, lengths[] = {400, 163, 331}, width = (heads.query + 2 * heads.key_value) * heads.dim;
    std::vector<torch::Tensor> qkv, tables;
    for (const int64_t length : lengths) {
      qkv.push_back(at::randn({length, width}, generator, torch::kFloat32));
      tables.push_back(at::arange(length).expand({3, length}));
    }
    for (int i : {1, 2}) qkv[i].narrow(0, 0, shared).copy_(qkv[0].narrow(0, 0, shared));
    const auto table_of = [&](const torch::Tensor& positions) {
      return decoder_rotary_table(positions, {}, heads.dim, 1e4);
    };
    std::vector<torch::Tensor> expected;
    for (std::size_t i = 0; i < qkv.size(); ++i) {
      expected.push_back(rotary_attention(qkv[i], heads, table_of(tables[i]),
                                          make_seqlens({0, lengths[i]}, torch::kCPU), AttentionMask::kCausal));
    }
    KvLayer cache{at::empty({1000, heads.key_value, heads.dim}), at::empty({1000, heads.key_value, heads.dim})};
    const auto write = [&](std::size_t i, int64_t begin, int64_t count, int64_t row) {
      write_keys_and_values(qkv[i].narrow(0, begin, count), heads, table_of(tables[i].narrow(1, begin, count)),
                            at::arange(row, row + count), cache);
    };
    write(0, 0, 70, 500), write(0, 70, 80, 10), write(0, 150, 250, 600);
    write(1, 150, 13, 300), write(2, 150, 1, 0), write(2, 151, 180, 100);
    const std::vector<KvSpan> prefix = {{500, 70}, {10, 80}};
    CachedSeqlens seqlens;
    for (const std::vector<KvSpan>& own : {std::vector<KvSpan>{{600, 250}}, {{300, 13}}, {{0, 1}, {100, 180}}}) {
      seqlens.spans.push_back(prefix);
      seqlens.spans.back().insert(seqlens.spans.back().end(), own.begin(), own.end());
    }
    // Queries: all behind the prefix of the first two, the last 90 of the third.
    const int64_t queries[] = {250, 13, 90};
    std::vector<torch::Tensor> asked, positions, wanted;
    seqlens.bounds = {0};
    for (std::size_t i = 0; i < qkv.size(); ++i) {
      const int64_t begin = lengths[i] - queries[i];
      asked.push_back(qkv[i].narrow(0, begin, queries[i]));
      positions.push_back(tables[i].narrow(1, begin, queries[i]));
      wanted.push_back(expected[i].narrow(0, begin, queries[i]));
      seqlens.bounds.push_back(seqlens.bounds.back() + queries[i]);
    }
    expect_same_rows(cached_rotary_attention(at::cat(asked), heads, table_of(at::cat(positions, 1)), seqlens, cache),
                     at::cat(wanted), "head width " + std::to_string(heads.dim));
  }
}

TEST(KvCacheRefusal, NamesWhatIsNotThere) {
  const Lmm model = load_golden_model("qwen2_hub");
  const PackedBatch batch = packed({golden_cases("qwen2_hub").front()}, model.config);
  KvCache cache = make_kv_cache(model);
  const auto extended = [&](std::vector<int64_t> parents) {
    return message_of<ShapeError>([&] { extend_rows(model, cache, batch, parents); });
  };
  EXPECT_THAT(extended({0}), HasSubstr("0 cached sequences; got 0"));
  EXPECT_THAT(extended({kNoParent, kNoParent}), HasSubstr("got 2 and 1"));
  EXPECT_EQ(cache.rows, 0);
  const auto advanced = [&](std::vector<int64_t> sequences, const torch::Tensor& tokens) {
    return message_of<ShapeError>([&] { advance_rows(model, cache, sequences, tokens); });
  };
  EXPECT_THAT(advanced({0}, at::tensor({int64_t{1}})), HasSubstr("got 0"));
  const int64_t parents[] = {kNoParent};
  extend_rows(model, cache, batch, parents);
  EXPECT_THAT(advanced({0, 0}, at::tensor({int64_t{1}, int64_t{1}})), HasSubstr("each once; got 0, 0"));
  EXPECT_THAT(advanced({0}, at::tensor({int64_t{1}, int64_t{1}})), HasSubstr("[2]"));
}

}  // namespace
}  // namespace trireme
