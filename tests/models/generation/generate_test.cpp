#include "models/generation/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "models/nn/cpu_attention.h"
#include "models/weights/hub_checkpoint.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::GoldenCase;
using test::largest_difference;
using test::message_of;
using test::packed;
using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr int64_t kNewTokens = 6;
const SamplingConfig kSampling{.temperature = 8, .top_k = 50, .top_p = 0.95};  // these weights give sharp scores

Lmm load_with_head(const std::string& checkpoint, c10::ScalarType dtype = torch::kFloat32) {
  HubCheckpoint files(test::golden_checkpoint_path(checkpoint));
  return load_model(files, {.dtype = dtype, .head = true});
}

GenerateOptions options_of(const SamplingConfig& sampling = {}, int64_t max_new_tokens = kNewTokens) {
  GenerateOptions options;
  options.sampling = sampling;
  options.max_new_tokens = max_new_tokens;
  return options;
}

std::vector<uint64_t> seeds_for(std::size_t count, uint64_t first = 1) {
  std::vector<uint64_t> seeds(count);
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

/// The prompt with tokens behind it, each at the largest position + 1.
GoldenCase continued(GoldenCase one, const std::vector<int64_t>& tokens) {
  const int64_t next = one.position_ids.max().item<int64_t>() + 1, count = static_cast<int64_t>(tokens.size());
  one.tokens = at::cat({one.tokens, at::tensor(tokens)});
  one.position_ids = at::cat({one.position_ids, at::arange(next, next + count).expand({3, count})}, 1);
  return one;
}

/// The scores behind the prompt and each new token but the last, from a forward pass over everything.
torch::Tensor forward_logits(const Lmm& model, const GoldenCase& prompt, const std::vector<int64_t>& tokens) {
  PackedBatch batch = packed({continued(prompt, tokens)}, model.config);
  const int64_t length = prompt.tokens.size(0);
  batch.rows = at::arange(length - 1, length - 1 + static_cast<int64_t>(tokens.size()));
  return logits_rows(model, batch);
}

class Generate : public testing::TestWithParam<std::string> {
 protected:
  const Lmm model_ = load_with_head(GetParam());
  const std::vector<GoldenCase> cases_ = golden_cases(GetParam());
  const torch::NoGradGuard no_gradient_;

  std::vector<Generation> generated(const GenerateOptions& options, uint64_t first_seed = 1) const {
    return generate(model_, packed(cases_, model_.config), seeds_for(cases_.size(), first_seed), options);
  }
};

TEST_P(Generate, GreedyTokensAndTheirLogProbabilitiesAreThoseOfTheForward) {
  for (const SamplingConfig& sampling : {SamplingConfig{}, kSampling}) {
    const auto results = generated(options_of(sampling));
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      const Generation& result = results[i];
      ASSERT_EQ(std::ssize(result.tokens), kNewTokens) << cases_[i].name;
      const torch::Tensor logits = forward_logits(model_, cases_[i], result.tokens);
      const torch::Tensor tokens = at::tensor(result.tokens);
      if (sampling.temperature == 0) {
        EXPECT_TRUE(at::equal(logits.argmax(1), tokens)) << cases_[i].name;
      }
      const torch::Tensor expected = at::log_softmax(logits, 1).gather(1, tokens.unsqueeze(1)).squeeze(1);
      const torch::Tensor ours = at::tensor(result.log_probabilities);
      EXPECT_LT(largest_difference(ours, expected), 1e-5) << cases_[i].name;
      if (cpu::has_attention()) {
        EXPECT_TRUE(at::equal(ours, expected)) << cases_[i].name;
      }
    }
  }
}

TEST_P(Generate, ASequenceDoesNotDependOnTheOthers) {
  const auto together = generated(options_of(kSampling));
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    const uint64_t seed[] = {i + 1};
    const auto alone = generate(model_, packed({cases_[i]}, model_.config), seed, options_of(kSampling));
    EXPECT_EQ(alone.front().tokens, together[i].tokens) << cases_[i].name;
    EXPECT_THAT(alone.front().log_probabilities,
                testing::Pointwise(testing::FloatNear(1e-5F), together[i].log_probabilities));
  }
}

TEST_P(Generate, SeedsDecideAndSeveralCompletionsShareAPrompt) {
  const auto first = generated(options_of(kSampling)), again = generated(options_of(kSampling)),
             other = generated(options_of(kSampling), 1000);
  int64_t changed = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].tokens, again[i].tokens);
    changed += first[i].tokens != other[i].tokens;
  }
  EXPECT_GT(changed, 0);
  constexpr std::size_t kEach = 3;
  const auto many =
      generate(model_, packed(cases_, model_.config), seeds_for(kEach * cases_.size()), options_of(kSampling));
  for (std::size_t i = 0; i < many.size(); ++i) {
    const uint64_t seed[] = {i + 1};
    const auto alone = generate(model_, packed({cases_[i / kEach]}, model_.config), seed, options_of(kSampling));
    EXPECT_EQ(many[i].tokens, alone.front().tokens) << i;
  }
}

TEST_P(Generate, StopTokensEndASequenceAndItsLastTokenIsOne) {
  const auto free = generated(options_of());
  GenerateOptions options = options_of();
  options.stop_tokens = {free.front().tokens[2]};
  const auto stopped = generated(options);
  for (std::size_t i = 0; i < free.size(); ++i) {
    const auto& whole = free[i].tokens;
    const auto end = std::ranges::find(whole, options.stop_tokens.front());
    EXPECT_EQ(stopped[i].stopped, end != whole.end());
    const std::vector<int64_t> wanted(whole.begin(), end == whole.end() ? end : end + 1);
    EXPECT_EQ(stopped[i].tokens, wanted) << cases_[i].name;
  }
  EXPECT_TRUE(stopped.front().stopped);
}

TEST_P(Generate, OnlyAllowedTokensAreDrawnWithTheirWholeProbability) {
  for (const SamplingConfig& sampling : {SamplingConfig{}, kSampling}) {
    GenerateOptions options = options_of(sampling);
    options.allowed_tokens = {3, 11, 12};
    const auto results = generated(options);
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_THAT(results[i].tokens, Each(testing::AnyOf(3, 11, 12)));
      const torch::Tensor expected = at::log_softmax(forward_logits(model_, cases_[i], results[i].tokens), 1)
                                         .gather(1, at::tensor(results[i].tokens).unsqueeze(1))
                                         .squeeze(1);
      EXPECT_LT(largest_difference(at::tensor(results[i].log_probabilities), expected), 1e-5);
    }
  }
}

TEST_P(Generate, Bfloat16FollowsItsOwnForward) {
  const Lmm model = load_with_head(GetParam(), torch::kBFloat16);
  const auto results = generate(model, packed(cases_, model.config), seeds_for(cases_.size()), options_of());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto expected = at::log_softmax(forward_logits(model, cases_[i], results[i].tokens).to(torch::kFloat32), 1)
                              .gather(1, at::tensor(results[i].tokens).unsqueeze(1))
                              .squeeze(1);
    EXPECT_LT(largest_difference(at::tensor(results[i].log_probabilities), expected), 0.2) << cases_[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Generate, testing::Values("qwen2_vl_hub", "qwen2_5_vl_hub", "qwen2_hub"),
                         [](const auto& tested) { return tested.param; });

TEST(GenerateRefusal, NamesWhatIsWrong) {
  const Lmm model = load_with_head("qwen2_hub");
  const PackedBatch batch = packed({golden_cases("qwen2_hub").front()}, model.config);
  const uint64_t seed[] = {1};
  const auto refused = [&](auto&& change) {
    GenerateOptions options;
    change(options);
    return message_of<ConfigError>([&] { generate(model, batch, seed, options); });
  };
  EXPECT_THAT(refused([](GenerateOptions& o) { o.max_new_tokens = 0; }), HasSubstr("max_new_tokens"));
  EXPECT_THAT(refused([](GenerateOptions& o) { o.stop_tokens = {-4}; }), HasSubstr("-4"));
  EXPECT_THAT(refused([](GenerateOptions& o) { o.allowed_tokens = {1 << 20}; }), HasSubstr("1048576"));
  const std::vector<uint64_t> none;
  EXPECT_THAT(message_of<ShapeError>([&] { generate(model, batch, none, {}); }), HasSubstr("seed"));
  Lmm broken = load_with_head("qwen2_hub");
  broken.decoder.norm.fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<DataError>([&] { generate(broken, batch, seed, {}); }), HasSubstr("finite"));
  broken.head.weight = torch::Tensor();
  EXPECT_THAT(message_of<ConfigError>([&] { generate(broken, batch, seed, {}); }), HasSubstr("head"));
}

}  // namespace
}  // namespace trireme
