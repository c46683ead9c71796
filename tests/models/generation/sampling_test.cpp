#include "models/generation/sampling.h"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

using ::testing::ElementsAre;

/// How often each token is drawn by evenly spaced uniform numbers: its probability, to a hundredth of a per cent.
std::map<int64_t, double> frequencies(const std::vector<float>& logits, const SamplingConfig& config) {
  constexpr int kDraws = 10'000;
  std::map<int64_t, double> counts;
  for (int i = 0; i < kDraws; ++i) counts[pick_token(logits, config, (i + 0.5) / kDraws)] += 1.0 / kDraws;
  return counts;
}

std::vector<int64_t> drawn(const std::vector<float>& logits, const SamplingConfig& config) {
  std::vector<int64_t> tokens;
  for (const auto& [token, frequency] : frequencies(logits, config)) tokens.push_back(token);
  return tokens;
}

const std::vector<float> kProbabilities = {0.1F, 0.4F, 0.05F, 0.25F, 0.2F};

std::vector<float> logits_of(const std::vector<float>& probabilities) {
  std::vector<float> logits;
  for (const float p : probabilities) logits.push_back(std::log(p) + 3);
  return logits;
}

TEST(Sampling, DrawsByProbability) {
  const auto found = frequencies(logits_of(kProbabilities), {.temperature = 1, .top_k = 0, .top_p = 1});
  for (std::size_t i = 0; i < kProbabilities.size(); ++i)
    EXPECT_NEAR(found.at(static_cast<int64_t>(i)), kProbabilities[i], 2e-4) << i;
}

TEST(Sampling, TemperatureSharpensAndFlattens) {
  const auto sharp = frequencies(logits_of(kProbabilities), {.temperature = 0.5, .top_k = 0, .top_p = 1});
  double total = 0;
  for (const float p : kProbabilities) total += p * p;
  EXPECT_NEAR(sharp.at(1), 0.16 / total, 2e-4);
  const auto flat = frequencies(logits_of(kProbabilities), {.temperature = 1e6, .top_k = 0, .top_p = 1});
  EXPECT_NEAR(flat.at(2), 0.2, 2e-4);
}

TEST(Sampling, TopKKeepsTheLikeliest) {
  const auto found = frequencies(logits_of(kProbabilities), {.temperature = 1, .top_k = 2, .top_p = 1});
  EXPECT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(1), 0.4 / 0.65, 2e-4);
  EXPECT_NEAR(found.at(3), 0.25 / 0.65, 2e-4);
  EXPECT_EQ(drawn(logits_of(kProbabilities), {.temperature = 1, .top_k = 50, .top_p = 1}).size(), 5U);
}

TEST(Sampling, TopPKeepsTheFewestThatReachIt) {
  const auto kept = [](double p) {
    return drawn(logits_of(kProbabilities), {.temperature = 1, .top_k = 0, .top_p = p});
  };
  EXPECT_THAT(kept(0), ElementsAre(1));
  EXPECT_THAT(kept(0.39), ElementsAre(1));
  EXPECT_THAT(kept(0.41), ElementsAre(1, 3));
  EXPECT_THAT(kept(0.66), ElementsAre(1, 3, 4));
  EXPECT_THAT(kept(0.94), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(kept(0.96), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Sampling, TopPIsThatOfWhatTopKLeft) {
  // 0.4 of 0.65 is 0.62: alone enough.
  EXPECT_THAT(drawn(logits_of(kProbabilities), {.temperature = 1, .top_k = 2, .top_p = 0.6}), ElementsAre(1));
}

TEST(Sampling, EqualScoresGoToTheLowerId) {
  EXPECT_EQ(pick_token(std::vector<float>{1, 7, 7, 2}, {}, 0.9), 1);
  EXPECT_THAT(drawn({1, 7, 7, 2}, {.temperature = 1, .top_k = 1, .top_p = 1}), ElementsAre(1));
}

TEST(Sampling, WhatIsRuledOutIsNeverDrawn) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const std::vector<float> logits = {kNever, 0, kNever, 0, kNever};
  EXPECT_THAT(drawn(logits, {.temperature = 1e3, .top_k = 4, .top_p = 0.999}), ElementsAre(1, 3));
  EXPECT_EQ(pick_token(logits, {.temperature = 1, .top_k = 0, .top_p = 1}, std::nextafter(1.0, 0.0)), 3);
}

}  // namespace
}  // namespace trireme
