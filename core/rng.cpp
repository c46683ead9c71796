#include "core/rng.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include <xxhash.h>

#include "core/error.h"

namespace trireme {
namespace {

/// The low and high half of a product of two 64-bit numbers.
struct Product {
  uint64_t low;
  uint64_t high;
};

Product multiply(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return {static_cast<uint64_t>(product), static_cast<uint64_t>(product >> 64)};
}

std::array<uint32_t, 2> words(uint64_t value) {
  return {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
}

/// XXH3 is fixed for good by its specification, and gives names of any length 64 mixed bits.
std::array<uint32_t, 2> key_of(uint64_t seed, std::string_view name) {
  return words(XXH3_64bits_withSeed(name.data(), name.size(), seed));
}

/// Where streams have their rank, permutations have these words; no rank is as large.
constexpr uint32_t kPartnerSumsWord = 0x80000000;
constexpr uint32_t kFirstRoundWord = 0x80000001;

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr int kRounds = 10;
  constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < kRounds; ++round) {
    const auto [low0, high0] = words(uint64_t{kMultiplier0} * counter[0]);
    const auto [low1, high1] = words(uint64_t{kMultiplier1} * counter[2]);
    counter = {high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

RandomStream::RandomStream(std::array<uint32_t, 2> key, int64_t step, uint32_t rank_word)
    : key_(key), counter_{0, rank_word, words(static_cast<uint64_t>(step))[0], words(static_cast<uint64_t>(step))[1]} {}

RandomStream random_stream(uint64_t seed, std::string_view name, int64_t step, int64_t rank) {
  TRIREME_ASSERT(rank >= kAllRanks && rank <= std::numeric_limits<int32_t>::max(), "rank {}", rank);
  return {key_of(seed, name), step, static_cast<uint32_t>(rank)};
}

uint32_t RandomStream::next_uint32() {
  if (words_used_ == block_.size()) {
    TRIREME_ASSERT(!spent_, "a random stream gave all of its 2^34 words");
    block_ = philox4x32(counter_, key_);
    spent_ = ++counter_[0] == 0;
    words_used_ = 0;
  }
  return block_[words_used_++];
}

uint64_t RandomStream::next_uint64() {
  const uint64_t low = next_uint32();
  return uint64_t{next_uint32()} << 32 | low;
}

uint64_t RandomStream::uniform_below(uint64_t bound) {
  TRIREME_ASSERT(bound >= 1, "a draw from no values");
  Product product = multiply(next_uint64(), bound);
  if (product.low < bound) {
    const uint64_t surplus = (0 - bound) % bound;  // 2^64 mod bound: as many of the 2^64 draws belong to no value
    while (product.low < surplus) product = multiply(next_uint64(), bound);
  }
  return product.high;
}

double RandomStream::uniform() { return static_cast<double>(next_uint64() >> 11) * 0x1p-53; }

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));  // 1 - u lies in (0, 1]
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

Permutation::Permutation(uint64_t seed, std::string_view name, int64_t epoch, int64_t size)
    : key_(key_of(seed, name)), epoch_words_(words(static_cast<uint64_t>(epoch))), size_(size) {
  TRIREME_ASSERT(size >= 0 && size <= int64_t{1} << 32, "size {}", size);
  if (size < 2) return;
  // The shuffle mixes in O(log size) rounds; from 16 on no test of ours sees a bias, down to orders of two.
  constexpr int64_t kMinRounds = 32;
  const int64_t rounds = std::max<int64_t>(kMinRounds, 6 * std::bit_width(static_cast<uint64_t>(size)));
  RandomStream sums(key_, epoch, kPartnerSumsWord);
  for (int64_t round = 0; round < rounds; ++round) {
    partner_sums_.push_back(static_cast<int64_t>(sums.uniform_below(static_cast<uint64_t>(size))));
  }
}

int64_t Permutation::operator[](int64_t i) const {
  TRIREME_ASSERT(i >= 0 && i < size_, "position {} of {}", i, size_);
  for (std::size_t round = 0; round < partner_sums_.size(); ++round) {
    const int64_t sum = partner_sums_[round];
    const int64_t partner = sum >= i ? sum - i : sum - i + size_;
    // Both partners see the same coin, so they swap places or both stay.
    const auto pair = static_cast<uint32_t>(std::max(i, partner));
    const auto coin =
        philox4x32({pair, kFirstRoundWord + static_cast<uint32_t>(round), epoch_words_[0], epoch_words_[1]}, key_);
    if (coin[0] & 1) i = partner;
  }
  return i;
}

}  // namespace trireme
