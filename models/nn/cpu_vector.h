#pragma once

#include <cstdint>
#include <cstring>

#include <c10/util/BFloat16.h>

/// For bodies that are compiled once per instruction set: a called function would keep the baseline's.
#define TRIREME_INLINE inline __attribute__((always_inline))

namespace trireme::cpu {

/// 16 float32 lanes as GCC's vector extension: one AVX-512 register, two of AVX2, four of SSE. Passed by reference,
/// since how such a value is passed depends on the instruction set.
constexpr int64_t kLanes = 16;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Ints = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));
using UInts = uint32_t __attribute__((vector_size(kLanes * sizeof(uint32_t))));
using UShorts = uint16_t __attribute__((vector_size(kLanes * sizeof(uint16_t))));

TRIREME_INLINE void load(const float* from, Floats& to) { std::memcpy(&to, from, sizeof(Floats)); }
TRIREME_INLINE void store(const Floats& from, float* to) { std::memcpy(to, &from, sizeof(Floats)); }

TRIREME_INLINE void load(const c10::BFloat16* from, Floats& to) {
  UShorts half;
  std::memcpy(&half, from, sizeof(UShorts));
  const UInts bits = __builtin_convertvector(half, UInts) << 16;
  std::memcpy(&to, &bits, sizeof(Floats));
}

/// Rounds to nearest, ties to even; NaN stays NaN.
TRIREME_INLINE void store(const Floats& from, c10::BFloat16* to) {
  UInts bits;
  std::memcpy(&bits, &from, sizeof(UInts));
  const UInts rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const UShorts half = __builtin_convertvector(from == from ? rounded : (UInts{} + 0x7FC0u), UShorts);
  std::memcpy(to, &half, sizeof(UShorts));
}

/// Loads `count` < kLanes values, the rest zero.
template <class T>
TRIREME_INLINE void load_tail(const T* from, int64_t count, Floats& to) {
  T padded[kLanes] = {};
  std::memcpy(padded, from, count * sizeof(T));
  load(padded, to);
}
template <class T>
TRIREME_INLINE void store_tail(const Floats& from, int64_t count, T* to) {
  T padded[kLanes];
  store(from, padded);
  std::memcpy(to, padded, count * sizeof(T));
}

/// The lanes `step` away, of a group of 2 * step, in each other's places.
template <int step>
TRIREME_INLINE void swap_lanes(Floats& values) {
  Ints index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  index ^= step;
  values = __builtin_shuffle(values, index);
}

TRIREME_INLINE float sum_of_lanes(const Floats& values) {
  Floats sums = values, others = values;
  swap_lanes<8>(others), sums += others, others = sums;
  swap_lanes<4>(others), sums += others, others = sums;
  swap_lanes<2>(others), sums += others, others = sums;
  swap_lanes<1>(others), sums += others;
  return sums[0];
}

TRIREME_INLINE float largest_lane(const Floats& values) {
  Floats largest = values, others = values;
  swap_lanes<8>(others), largest = others > largest ? others : largest, others = largest;
  swap_lanes<4>(others), largest = others > largest ? others : largest, others = largest;
  swap_lanes<2>(others), largest = others > largest ? others : largest, others = largest;
  swap_lanes<1>(others), largest = others > largest ? others : largest;
  return largest[0];
}

/// rows[i][j] and rows[j][i] in each other's places.
TRIREME_INLINE void transpose(Floats (&rows)[kLanes]) {
  const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma GCC unroll 4
  for (int32_t step = 8; step > 0; step /= 2) {  // swap the off-diagonal blocks of each 2 step x 2 step square
    const Ints in_second = (lane & step) != 0;
    const Ints from_low = in_second ? lane - step + static_cast<int32_t>(kLanes) : lane;
    const Ints from_high = in_second ? lane + static_cast<int32_t>(kLanes) : lane + step;
#pragma GCC unroll 16
    for (int64_t i = 0; i < kLanes; ++i) {
      if ((i & step) != 0) continue;
      const Floats low = rows[i], high = rows[i + step];
      rows[i] = __builtin_shuffle(low, high, from_low);
      rows[i + step] = __builtin_shuffle(low, high, from_high);
    }
  }
}

/// e^x to 2 units in the last place. x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7.
/// Below e^-87 the result is e^-87, above e^88 e^88; NaN stays NaN.
TRIREME_INLINE void exponential(Floats& x) {
  constexpr float kLog2E = 1.44269504089f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -87.0f ? Floats{} - 87.0f : x;
  x = x > 88.0f ? Floats{} + 88.0f : x;
  const Floats shifted = x * kLog2E + kRounder;
  const Floats n = shifted - kRounder;
  const Floats r = x - n * kLn2High - n * kLn2Low;
  Floats p = r * (1.0f / 5040.0f) + (1.0f / 720.0f);
  p = p * r + (1.0f / 120.0f);
  p = p * r + (1.0f / 24.0f);
  p = p * r + (1.0f / 6.0f);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  Ints exponent;
  std::memcpy(&exponent, &shifted, sizeof(Ints));
  exponent = (exponent << 23) + (127 << 23);
  Floats power;
  std::memcpy(&power, &exponent, sizeof(Floats));
  x = p * power;
}

}  // namespace trireme::cpu
