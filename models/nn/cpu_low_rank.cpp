#include "models/nn/cpu_low_rank.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

namespace trireme::cpu {

#if defined(__x86_64__)

namespace {

/// The term's matrices, padded with zeros to whole vectors. low_width, in_width and out_width are rows' lengths.
struct Packed {
  explicit Packed(const LowRankTerm& term)
      : low_width(round_up(term.rank, kLanes)),
        in_width(round_up(term.in, kLanes)),
        out_width(round_up(term.out, kLanes)),
        a(term.rank * in_width),
        a_columns(term.in * low_width),
        b(term.out * low_width),
        b_columns(term.rank * out_width) {
    pack(term.a, term.rank, term.in, a.data(), in_width, a_columns.data(), low_width);
    pack(term.b, term.out, term.rank, b.data(), low_width, b_columns.data(), out_width);
  }
  int64_t low_width, in_width, out_width;
  Buffer a;          // [rank, in_width]
  Buffer a_columns;  // [in, low_width]: A transposed
  Buffer b;          // [out, low_width]
  Buffer b_columns;  // [rank, out_width]: B transposed

 private:
  static void pack(const float* from, int64_t rows, int64_t columns, float* to, int64_t width, float* transposed,
                   int64_t transposed_width) {
    for (int64_t i = 0; i < rows; ++i) {
      std::copy(from + i * columns, from + (i + 1) * columns, to + i * width);
      std::fill(to + i * width + columns, to + (i + 1) * width, 0.0f);
    }
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t i = 0; i < rows; ++i) transposed[j * transposed_width + i] = from[i * columns + j];
      std::fill(transposed + j * transposed_width + rows, transposed + (j + 1) * transposed_width, 0.0f);
    }
  }
};

/// Of one thread: a tile's rows.
struct Tile {
  explicit Tile(const Packed& packed)
      : x(kTileRows * packed.in_width),
        y(kTileRows * packed.out_width),
        low(kTileRows * packed.low_width),
        grad_low(kTileRows * packed.low_width) {}
  Buffer x, y, low, grad_low;
};

/// `count` < kLanes or all of them.
template <class T>
TRIREME_INLINE void load_part(const T* from, int64_t count, Floats& to) {
  if (count >= kLanes) {
    load(from, to);
  } else {
    load_tail(from, count, to);
  }
}
template <class T>
TRIREME_INLINE void store_part(const Floats& from, int64_t count, T* to) {
  if (count >= kLanes) {
    store(from, to);
  } else {
    store_tail(from, count, to);
  }
}

TRIREME_INLINE void keep(Floats& values, uint16_t bits, float factor) {
  const Ints lane_bit = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const Ints kept = ((Ints{} + static_cast<int32_t>(bits)) & lane_bit) != 0;
  values = kept ? values * factor : Floats{};
}

/// Rows of T as float rows padded with zeros, masked where `mask` is not nullptr; rows from `here` on are zero.
template <class T>
TRIREME_INLINE void take_rows(const T* from, int64_t stride, int64_t here, int64_t columns, const uint16_t* mask,
                              float factor, float* to, int64_t width) {
  const int64_t words = width / kLanes;
  for (int64_t r = 0; r < here; ++r, from += stride) {
    for (int64_t at = 0; at < width; at += kLanes) {
      Floats values;
      load_part(from + at, columns - at, values);
      if (mask != nullptr) keep(values, mask[r * words + at / kLanes], factor);
      store(values, to + r * width + at);
    }
  }
  std::fill(to + here * width, to + kTileRows * width, 0.0f);
}

TRIREME_INLINE const uint16_t* mask_of(const LowRankTerm& term, const Packed& packed, int64_t row) {
  return term.mask == nullptr ? nullptr : term.mask + row * (packed.in_width / kLanes);
}

template <class T>
TRIREME_INLINE void forward_rows(const LowRankTerm& term, const Packed& packed, Tile& tile, const T* x, int64_t begin,
                                 int64_t end, float* low, int64_t low_stride, T* y, int64_t y_stride) {
  for (int64_t row = begin; row < end; row += kTileRows) {
    const int64_t here = std::min(kTileRows, end - row);
    take_rows(x + row * term.in, term.in, here, term.in, mask_of(term, packed, row), term.factor, tile.x.data(),
              packed.in_width);
    score_rows(tile.x.data(), packed.in_width, packed.a_columns.data(), term.in, packed.low_width, term.rank,
               tile.low.data());
    for (int64_t r = 0; r < here; ++r) {
      const float* from = tile.low.data() + r * packed.low_width;
      std::copy(from, from + term.rank, low + (row + r) * low_stride);
    }
    for_each_tile(
        packed.out_width, [&](auto vectors, int64_t column) __attribute__((always_inline)) {
          const auto write = [&](int64_t r, int64_t c, const Floats& sum) __attribute__((always_inline)) {
            const int64_t at = column + c * kLanes;
            if (r >= here) return;
            T* to = y + (row + r) * y_stride + at;
            Floats values;
            load_part(to, term.out - at, values);
            store_part(values + sum * term.scale, term.out - at, to);
          };
          value_tile<vectors.value>(tile.low.data(), packed.b_columns.data() + column, term.rank, packed.low_width,
                                    packed.out_width, write);
        });
  }
}

template <class T>
struct BackwardCall {
  const LowRankTerm& term;
  const Packed& packed;
  const T *x, *grad_y;
  const float* low;
  int64_t low_stride, grad_y_stride;
  T* grad_x;
};

/// Adds to grad_a [rank, in_width] and grad_b [rank, out_width].
template <class T>
TRIREME_INLINE void backward_rows(const BackwardCall<T>& call, Tile& tile, int64_t begin, int64_t end, float* grad_a,
                                  float* grad_b) {
  const LowRankTerm& term = call.term;
  const Packed& packed = call.packed;
  const int64_t low_width = packed.low_width;
  float *low = tile.low.data(), *grad_low = tile.grad_low.data();
  for (int64_t row = begin; row < end; row += kTileRows) {
    const int64_t here = std::min(kTileRows, end - row);
    take_rows(call.grad_y + row * call.grad_y_stride, call.grad_y_stride, here, term.out, nullptr, 1.0f, tile.y.data(),
              packed.out_width);
    take_rows(call.x + row * term.in, term.in, here, term.in, mask_of(term, packed, row), term.factor, tile.x.data(),
              packed.in_width);
    std::fill(low, low + kTileRows * low_width, 0.0f);
    for (int64_t r = 0; r < here; ++r) {
      for (int64_t j = 0; j < term.rank; ++j) {
        low[r * low_width + j] = term.scale * call.low[(row + r) * call.low_stride + j];
      }
    }
    score_rows(tile.y.data(), packed.out_width, packed.b.data(), term.out, low_width, term.rank, grad_low);
    for (int64_t i = 0; i < kTileRows * low_width; ++i) grad_low[i] *= term.scale;
    add_outer(low, low_width, tile.y.data(), packed.out_width, term.rank, grad_b);
    add_outer(grad_low, low_width, tile.x.data(), packed.in_width, term.rank, grad_a);
    if (call.grad_x == nullptr) continue;
    const uint16_t* mask = mask_of(term, packed, row);
    for_each_tile(
        packed.in_width, [&](auto vectors, int64_t column) __attribute__((always_inline)) {
          const auto write = [&](int64_t r, int64_t c, const Floats& sum) __attribute__((always_inline)) {
            const int64_t at = column + c * kLanes;
            if (r >= here) return;
            T* to = call.grad_x + (row + r) * term.in + at;
            Floats values, change = sum;
            if (mask != nullptr) keep(change, mask[r * (packed.in_width / kLanes) + at / kLanes], term.factor);
            load_part(to, term.in - at, values);
            store_part(values + change, term.in - at, to);
          };
          value_tile<vectors.value>(grad_low, packed.a.data() + column, term.rank, low_width, packed.in_width, write);
        });
  }
}

#define TRIREME_AVX512 __attribute__((target("arch=x86-64-v4")))

TRIREME_AVX512 void run_forward(const LowRankTerm& term, const Packed& packed, Tile& tile, const float* x,
                                int64_t begin, int64_t end, float* low, int64_t low_stride, float* y,
                                int64_t y_stride) {
  forward_rows(term, packed, tile, x, begin, end, low, low_stride, y, y_stride);
}
TRIREME_AVX512 void run_forward(const LowRankTerm& term, const Packed& packed, Tile& tile, const c10::BFloat16* x,
                                int64_t begin, int64_t end, float* low, int64_t low_stride, c10::BFloat16* y,
                                int64_t y_stride) {
  forward_rows(term, packed, tile, x, begin, end, low, low_stride, y, y_stride);
}
TRIREME_AVX512 void run_backward(const BackwardCall<float>& call, Tile& tile, int64_t begin, int64_t end, float* grad_a,
                                 float* grad_b) {
  backward_rows(call, tile, begin, end, grad_a, grad_b);
}
TRIREME_AVX512 void run_backward(const BackwardCall<c10::BFloat16>& call, Tile& tile, int64_t begin, int64_t end,
                                 float* grad_a, float* grad_b) {
  backward_rows(call, tile, begin, end, grad_a, grad_b);
}

/// Rows whose sums are made one after the other: as many for any number of threads, few where matrices are large.
int64_t rows_per_chunk(int64_t rows, int64_t sum_bytes) {
  constexpr int64_t kMinRows = 32 * kTileRows, kMaxChunks = 32, kMaxBytes = 64 << 20;
  const int64_t chunks = std::clamp<int64_t>(kMaxBytes / sum_bytes, 1, kMaxChunks);
  return std::max(kMinRows, round_up((rows + chunks - 1) / chunks, kTileRows));
}

}  // namespace

bool has_low_rank() { return __builtin_cpu_supports("x86-64-v4"); }

template <class T>
void low_rank_forward(const LowRankTerm& term, const T* x, int64_t rows, float* low, int64_t low_stride, T* y,
                      int64_t y_stride) {
  constexpr int64_t kTilesPerThread = 16;
  const Packed packed(term);
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  parallel_for(tiles, kTilesPerThread, [&](int64_t begin, int64_t end) {
    Tile tile(packed);
    run_forward(term, packed, tile, x, begin * kTileRows, std::min(end * kTileRows, rows), low, low_stride, y,
                y_stride);
  });
}

template <class T>
void low_rank_backward(const LowRankTerm& term, const T* x, int64_t rows, const float* low, int64_t low_stride,
                       const T* grad_y, int64_t grad_y_stride, T* grad_x, float* grad_a, float* grad_b) {
  const Packed packed(term);
  const BackwardCall<T> call{term, packed, x, grad_y, low, low_stride, grad_y_stride, grad_x};
  const int64_t a_values = term.rank * packed.in_width, b_values = term.rank * packed.out_width;
  const int64_t chunk_rows = rows_per_chunk(rows, (a_values + b_values) * static_cast<int64_t>(sizeof(float)));
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  std::vector<float> sums(chunks * (a_values + b_values));
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    Tile tile(packed);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* sum = sums.data() + chunk * (a_values + b_values);
      run_backward(call, tile, chunk * chunk_rows, std::min((chunk + 1) * chunk_rows, rows), sum, sum + a_values);
    }
  });
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const float* more = sums.data() + chunk * (a_values + b_values);
    for (int64_t i = 0; i < a_values + b_values; ++i) sums[i] += more[i];
  }
  for (int64_t j = 0; j < term.rank; ++j) {
    const float* a_row = sums.data() + j * packed.in_width;
    std::copy(a_row, a_row + term.in, grad_a + j * term.in);
    const float* b_row = sums.data() + a_values + j * packed.out_width;
    for (int64_t i = 0; i < term.out; ++i) grad_b[i * term.rank + j] = b_row[i];
  }
}

#else

bool has_low_rank() { return false; }
template <class T>
void low_rank_forward(const LowRankTerm&, const T*, int64_t, float*, int64_t, T*, int64_t) {}
template <class T>
void low_rank_backward(const LowRankTerm&, const T*, int64_t, const float*, int64_t, const T*, int64_t, T*, float*,
                       float*) {}

#endif

template void low_rank_forward(const LowRankTerm&, const float*, int64_t, float*, int64_t, float*, int64_t);
template void low_rank_forward(const LowRankTerm&, const c10::BFloat16*, int64_t, float*, int64_t, c10::BFloat16*,
                               int64_t);
template void low_rank_backward(const LowRankTerm&, const float*, int64_t, const float*, int64_t, const float*, int64_t,
                                float*, float*, float*);
template void low_rank_backward(const LowRankTerm&, const c10::BFloat16*, int64_t, const float*, int64_t,
                                const c10::BFloat16*, int64_t, c10::BFloat16*, float*, float*);

}  // namespace trireme::cpu
