#include "core/rng.h"

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <ATen/core/PhiloxRNGEngine.h>

#include "core/error.h"

namespace trireme {
namespace {

using Words4 = std::array<uint32_t, 4>;
using Words2 = std::array<uint32_t, 2>;

/// sum of (seen - expected)^2 / expected over equally likely cells; it has cells - 1 degrees of freedom.
double chi_square(const std::vector<int64_t>& seen) {
  const double total = std::accumulate(seen.begin(), seen.end(), 0.0);
  const double expected = total / static_cast<double>(seen.size());
  double sum = 0;
  for (const int64_t count : seen) sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  return sum;
}

/// Exceeded by chance once in a million (Wilson and Hilferty); the streams are fixed, so a pass stays a pass.
double chi_square_limit(double cells) {
  const double freedom = cells - 1, spread = 2 / (9 * freedom);
  return freedom * std::pow(1 - spread + 4.75 * std::sqrt(spread), 3);
}

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  // kat_vectors of Random123: zeros, ones, digits of pi.
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EqualsLibtorchs) {
  RandomStream stream = random_stream(1, "test");
  for (int i = 0; i < 1000; ++i) {
    const uint64_t key = stream.next_uint64(), low = stream.next_uint64(), high = stream.next_uint64();
    at::philox_engine reference(key, high, low);
    const auto word = [](uint64_t value, int half) { return static_cast<uint32_t>(value >> (32 * half)); };
    const Words4 ours =
        philox4x32({word(low, 0), word(low, 1), word(high, 0), word(high, 1)}, {word(key, 0), word(key, 1)});
    for (const uint32_t expected : ours) ASSERT_EQ(reference(), expected);
  }
}

nlohmann::json golden() {
  std::ifstream file(TRIREME_TEST_DIR "/golden/rng/values.json");
  return nlohmann::json::parse(file);
}

TEST(RandomStream, GivesTheGoldenValues) {
  const nlohmann::json streams = golden().at("streams");
  ASSERT_GE(streams.size(), 5u);
  for (const nlohmann::json& golden_stream : streams) {
    const auto name = golden_stream.at("name").get<std::string>();
    const auto fresh = [&] {
      return random_stream(golden_stream.at("seed"), name, golden_stream.at("step"), golden_stream.at("rank"));
    };
    RandomStream words = fresh(), longs = fresh(), tens = fresh(), thirds = fresh(), uniforms = fresh(),
                 normals = fresh();
    for (const uint32_t value : golden_stream.at("uint32")) EXPECT_EQ(words.next_uint32(), value) << name;
    for (const uint64_t value : golden_stream.at("uint64")) EXPECT_EQ(longs.next_uint64(), value) << name;
    for (const uint64_t value : golden_stream.at("below_10")) EXPECT_EQ(tens.uniform_below(10), value) << name;
    for (const uint64_t value : golden_stream.at("below_3_2_62")) {
      EXPECT_EQ(thirds.uniform_below(uint64_t{3} << 62), value) << name;  // rejects a quarter of all draws
    }
    for (const double value : golden_stream.at("uniform")) EXPECT_EQ(uniforms.uniform(), value) << name;
    for (const double value : golden_stream.at("normal")) EXPECT_NEAR(normals.normal(), value, 1e-14) << name;
  }
}

TEST(Permutation, GivesTheGoldenOrders) {
  const nlohmann::json permutations = golden().at("permutations");
  ASSERT_GE(permutations.size(), 5u);
  for (const nlohmann::json& golden_order : permutations) {
    const auto name = golden_order.at("name").get<std::string>();
    const auto order = golden_order.at("order").get<std::vector<int64_t>>();
    const Permutation permutation(golden_order.at("seed"), name, golden_order.at("epoch"), golden_order.at("size"));
    ASSERT_EQ(permutation.size(), std::ssize(order));
    std::vector<int64_t> ours;
    for (int64_t i = 0; i < permutation.size(); ++i) ours.push_back(permutation[i]);
    EXPECT_EQ(ours, order);
  }
}

TEST(RandomStream, DiffersInEachOfSeedNameStepAndRank) {
  std::set<uint64_t> first_values;
  int streams = 0;
  for (const uint64_t seed : {0, 1, 2}) {
    for (const std::string_view name : {"a", "b", "ab", ""}) {
      for (const int64_t step : {-1, 0, 1, 2}) {
        for (const int64_t rank : {kAllRanks, int64_t{0}, int64_t{1}, int64_t{2}}) {
          first_values.insert(random_stream(seed, name, step, rank).next_uint64());
          ++streams;
        }
      }
    }
  }
  EXPECT_EQ(std::ssize(first_values), streams);
}

TEST(RandomStream, DependsOnNothingElse) {
  RandomStream one = random_stream(5, "x", 7, 3), two = random_stream(5, "x", 7, 3);
  std::vector<uint64_t> values;
  for (int i = 0; i < 100; ++i) values.push_back(one.next_uint64());
  random_stream(5, "y", 7, 3).next_uint64();
  for (const uint64_t value : values) EXPECT_EQ(two.next_uint64(), value);
}

TEST(RandomStream, StreamsOfNeighboursAreUncorrelated) {
  constexpr int kDraws = 20'000;
  const auto correlation = [](RandomStream a, RandomStream b) {
    double sum = 0;
    for (int i = 0; i < kDraws; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5) * 12;
    return sum / std::sqrt(kDraws);  // standard normal when independent
  };
  const RandomStream base = random_stream(1, "x", 10, 4);
  EXPECT_LT(std::abs(correlation(base, random_stream(1, "x", 10, 5))), 4.5);
  EXPECT_LT(std::abs(correlation(base, random_stream(1, "x", 11, 4))), 4.5);
  EXPECT_LT(std::abs(correlation(base, random_stream(2, "x", 10, 4))), 4.5);
  EXPECT_LT(std::abs(correlation(base, random_stream(1, "y", 10, 4))), 4.5);
}

TEST(RandomStream, UniformBelowIsUnbiased) {
  for (const uint64_t bound : {2, 3, 7, 10, 1000}) {
    RandomStream stream = random_stream(11, "bound", static_cast<int64_t>(bound));
    std::vector<int64_t> seen(bound);
    for (uint64_t i = 0; i < 100 * bound + 10'000; ++i) ++seen.at(stream.uniform_below(bound));
    EXPECT_LT(chi_square(seen), chi_square_limit(static_cast<double>(bound))) << bound;
  }
}

TEST(RandomStream, OneValueLeavesNoChoice) { EXPECT_EQ(random_stream(11, "one").uniform_below(1), 0u); }

TEST(RandomStream, UniformBelowIsUnbiasedWhereTheRemainderIsLarge) {
  // Taking 64 bits modulo 3 * 2^62 would give the first third twice as often as each other.
  RandomStream stream = random_stream(11, "large");
  std::vector<int64_t> thirds(3);
  for (int i = 0; i < 30'000; ++i) ++thirds.at(stream.uniform_below(uint64_t{3} << 62) >> 62);
  EXPECT_LT(chi_square(thirds), chi_square_limit(3));
}

TEST(RandomStream, RefusesABoundOfZero) {
  EXPECT_THROW(random_stream(1, "x").uniform_below(0), InternalError);
  EXPECT_THROW(random_stream(1, "x", 0, -2), InternalError);
  EXPECT_THROW(random_stream(1, "x", 0, int64_t{1} << 31), InternalError);
}

TEST(RandomStream, UniformAndNormalHaveTheirMoments) {
  constexpr int kDraws = 200'000;
  RandomStream stream = random_stream(3, "moments");
  double mean = 0, square = 0, fourth = 0, uniform_mean = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = stream.normal(), unit = stream.uniform();
    ASSERT_TRUE(std::isfinite(value));
    ASSERT_TRUE(unit >= 0 && unit < 1);
    mean += value / kDraws;
    square += value * value / kDraws;
    fourth += std::pow(value, 4) / kDraws;
    uniform_mean += unit / kDraws;
  }
  EXPECT_NEAR(mean, 0, 0.011);
  EXPECT_NEAR(square, 1, 0.016);
  EXPECT_NEAR(fourth, 3, 0.11);
  EXPECT_NEAR(uniform_mean, 0.5, 0.0033);
}

TEST(RandomStream, ShuffleGivesEveryOrderEquallyOften) {
  std::map<std::vector<int>, int64_t> seen;
  RandomStream stream = random_stream(4, "shuffle");
  for (int i = 0; i < 24'000; ++i) {
    std::vector<int> items = {0, 1, 2, 3};
    stream.shuffle(std::span(items));
    ++seen[items];
  }
  std::vector<int64_t> counts;
  for (const auto& [_, count] : seen) counts.push_back(count);
  ASSERT_EQ(counts.size(), 24u);
  EXPECT_LT(chi_square(counts), chi_square_limit(24));
}

TEST(Permutation, HoldsEachIndexOnceAndStaysInRange) {
  for (const int64_t size : {0, 1, 2, 3, 4, 5, 16, 17, 1000, 4096, 10'001}) {
    const Permutation permutation(9, "once", 2, size);
    std::vector<bool> seen(size);
    for (int64_t i = 0; i < size; ++i) {
      ASSERT_FALSE(seen.at(permutation[i])) << "size " << size;
      seen[permutation[i]] = true;
    }
    EXPECT_THROW(permutation[size], InternalError);
    EXPECT_THROW(permutation[-1], InternalError);
  }
}

TEST(Permutation, ReachesEveryOrderEquallyOften) {
  for (const int64_t size : {2, 3, 4, 5}) {
    std::map<std::vector<int64_t>, int64_t> seen;
    for (int64_t epoch = 0; epoch < 20'000; ++epoch) {
      const Permutation permutation(9, "orders", epoch, size);
      std::vector<int64_t> order;
      for (int64_t i = 0; i < size; ++i) order.push_back(permutation[i]);
      ++seen[order];
    }
    std::vector<int64_t> counts;
    for (const auto& [_, count] : seen) counts.push_back(count);
    ASSERT_EQ(std::ssize(counts), std::llround(std::tgamma(size + 1))) << "size " << size;
    EXPECT_LT(chi_square(counts), chi_square_limit(static_cast<double>(counts.size()))) << "size " << size;
  }
}

TEST(Permutation, PlacesAndNeighboursAreUniformAtLargeSizes) {
  constexpr int64_t kSize = 1'000'003, kCells = 50;
  const Permutation permutation(9, "large", 0, kSize);
  std::vector<int64_t> places(kCells), steps(kCells);
  for (int64_t i = 0; i < 20'000; ++i) {
    const int64_t here = permutation[i], next = permutation[i + 1];
    ++places[here * kCells / kSize];
    ++steps[(next - here + kSize) % kSize * kCells / kSize];
  }
  EXPECT_LT(chi_square(places), chi_square_limit(kCells));
  EXPECT_LT(chi_square(steps), chi_square_limit(kCells));
}

}  // namespace
}  // namespace trireme
