#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

/// Ten rounds of Philox4x32: 128 random bits as a pure function of a 128-bit counter and a 64-bit key.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Random123).
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Random numbers that depend on nothing but (seed, name, step, rank) and how many were drawn: no global state, nothing
/// to save in a checkpoint. `name` says what they are for ("lora.init", "sampler.shuffle"); different names give
/// independent streams. Streams of one (seed, name) never overlap: step and rank are words of the counter.
/// Runs are reproduced from these values, so they never change (golden test).
/// throws InternalError after 2^34 32-bit words, the length of a stream.
class RandomStream {
 public:
  /// Whole numbers uniform over all 32 or 64 bits.
  uint32_t next_uint32();
  uint64_t next_uint64();
  /// Uniform over 0..bound-1 without bias (Lemire's multiplication with rejection, arXiv:1805.10941); bound >= 1.
  uint64_t uniform_below(uint64_t bound);
  /// Uniform over [0, 1), a multiple of 2^-53.
  double uniform();
  /// Mean 0, standard deviation 1 (Box and Muller); two draws of 64 bits each.
  double normal();
  /// Fisher-Yates: every order equally likely.
  template <class T>
  void shuffle(std::span<T> items) {
    for (uint64_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[uniform_below(i)]);
  }

 private:
  friend RandomStream random_stream(uint64_t, std::string_view, int64_t, int64_t);
  friend class Permutation;
  RandomStream(std::array<uint32_t, 2> key, int64_t step, uint32_t rank_word);

  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  uint32_t words_used_ = 4;
  bool spent_ = false;
};

/// For streams that every rank draws alike.
inline constexpr int64_t kAllRanks = -1;

/// The one place where streams come from. step: any int64, 0 outside the training loop; rank: 0..2^31-1, or kAllRanks.
/// To seed a torch::Generator, give it next_uint64() of a stream of its own (its CPU generator reads the low 32 bits).
RandomStream random_stream(uint64_t seed, std::string_view name, int64_t step = 0, int64_t rank = kAllRanks);

/// A random order of 0..size-1 that is computed, not stored: order[i] costs 6 log2(size) Philox blocks (about 1 us for
/// a million) and no memory, so a sampler can ask for any position of any epoch. Each index occurs once.
/// The swap-or-not shuffle: Hoang, Morris, Rogaway, "An enciphering scheme based on a card shuffle", CRYPTO 2012.
class Permutation {
 public:
  /// Pure function of all four; epoch takes the place of the step. size: 0..2^32.
  Permutation(uint64_t seed, std::string_view name, int64_t epoch, int64_t size);
  int64_t size() const noexcept { return size_; }
  /// i in 0..size-1.
  int64_t operator[](int64_t i) const;

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 2> epoch_words_;
  int64_t size_;
  /// Of each round: what an index and its partner add up to, modulo size.
  std::vector<int64_t> partner_sums_;
};

}  // namespace trireme
