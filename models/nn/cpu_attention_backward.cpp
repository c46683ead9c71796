#include <algorithm>
#include <atomic>

#include <ATen/Parallel.h>

#include "core/parallel.h"
#include "models/nn/cpu_attention.h"
#include "models/nn/cpu_attention_tiles.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

namespace trireme::cpu {

#if defined(__x86_64__)

namespace {

/// One sequence and one key/value head: nothing else adds to its keys' and values' gradients.
struct Piece {
  int64_t begin, length, kv_head;
};

std::vector<Piece> pieces_longest_first(const std::vector<int64_t>& bounds, int64_t kv_heads) {
  std::vector<Piece> pieces;
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    for (int64_t head = 0; head < kv_heads; ++head) pieces.push_back({bounds[i - 1], bounds[i] - bounds[i - 1], head});
  }
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.length > b.length; });
  return pieces;
}

/// What one thread works in. "_columns" are transposed: [width, columns]; rows are `width` apart, padded with zeros.
struct Scratch {
  Scratch(int64_t dim, int64_t max_columns)
      : columns(max_columns),
        width(round_up(dim, kLanes)),
        keys(columns * width),
        key_columns(width * columns),
        values(columns * width),
        value_columns(width * columns),
        grad_keys(columns * width),
        grad_values(columns * width),
        queries(kTileRows * width),
        grads(kTileRows * width),
        grad_queries(kTileRows * width),
        weights(kTileRows * columns),
        grad_scores(kTileRows * columns) {}
  int64_t columns, width;
  Buffer keys, key_columns, values, value_columns, grad_keys, grad_values;
  Buffer queries, grads, grad_queries;  // of a tile
  Buffer weights, grad_scores;          // [kTileRows, columns]
};

/// rows [count, width], the rest up to the next 16 zero, and transposed.
TRIREME_INLINE void transpose_rows(float* rows, int64_t count, int64_t width, int64_t columns, float* transposed) {
  const int64_t whole = round_up(count, kLanes);
  std::fill(rows + count * width, rows + whole * width, 0.0f);
  for (int64_t first = 0; first < whole; first += kLanes) {
    for (int64_t component = 0; component < width; component += kLanes) {
      Floats square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) load(rows + (first + i) * width + component, square[i]);
      transpose(square);
      float* to = transposed + component * columns + first;
      for (int64_t i = 0; i < kLanes; ++i) store(square[i], to + i * columns);
    }
  }
}

TRIREME_INLINE void clear_padding(float* row, int64_t dim, int64_t width) { std::fill(row + dim, row + width, 0.0f); }

template <class T>
TRIREME_INLINE void pack(const AttentionGradients<T>& call, const Piece& piece, Scratch& s) {
  const AttentionCall<T>& forward = call.forward;
  const int64_t dim = forward.dim, width = s.width;
  for (int64_t i = 0; i < piece.length; ++i) {
    const int64_t token = piece.begin + i;
    float *key = s.keys.data() + i * width, *value = s.values.data() + i * width;
    turn_token(forward, forward.k + token * forward.k_stride + piece.kv_head * dim, token, 1.0f, key);
    clear_padding(key, dim, width);
    widen(forward.v + token * forward.v_stride + piece.kv_head * dim, dim, 1.0f, value);
    clear_padding(value, dim, width);
  }
  transpose_rows(s.keys.data(), piece.length, width, s.columns, s.key_columns.data());
  transpose_rows(s.values.data(), piece.length, width, s.columns, s.value_columns.data());
  const int64_t used = piece.length * width;
  std::fill(s.grad_keys.data(), s.grad_keys.data() + used, 0.0f);
  std::fill(s.grad_values.data(), s.grad_values.data() + used, 0.0f);
}

/// From scores' exponentials e and dL/dp, with p = e * inverse_sum: p in e's place, dL/dscore = p (dL/dp - sum p
/// dL/dp).
TRIREME_INLINE void softmax_backward(float* weights, float* grads, float inverse_sum, int64_t count) {
  Floats p, g, sums{};
  for (int64_t j = 0; j < count; j += kLanes) {
    load(weights + j, p);
    load(grads + j, g);
    p *= inverse_sum;
    store(p, weights + j);
    sums += p * g;
  }
  const float mean = sum_of_lanes(sums);
  for (int64_t j = 0; j < count; j += kLanes) {
    load(weights + j, p);
    load(grads + j, g);
    store(p * (g - mean), grads + j);
  }
}

template <class T>
TRIREME_INLINE void run_piece(const AttentionGradients<T>& call, const Piece& piece, Scratch& s) {
  const AttentionCall<T>& forward = call.forward;
  const int64_t group = forward.heads / forward.kv_heads, dim = forward.dim, width = s.width, columns = s.columns;
  pack(call, piece, s);
  float *queries = s.queries.data(), *grads = s.grads.data(), *grad_queries = s.grad_queries.data();
  float *weights = s.weights.data(), *grad_scores = s.grad_scores.data();
  const int64_t rows = piece.length * group;  // (token, head of the group) pairs, token by token
  for (int64_t first = 0; first < rows; first += kTileRows) {
    const int64_t here = std::min(kTileRows, rows - first);
    const auto token_of = [&](int64_t r) { return (first + r) / group; };
    const auto head_of = [&](int64_t r) { return piece.kv_head * group + (first + r) % group; };
    std::fill(queries, queries + kTileRows * width, 0.0f);
    std::fill(grads, grads + kTileRows * width, 0.0f);
    for (int64_t r = 0; r < here; ++r) {
      const int64_t token = piece.begin + token_of(r), column = head_of(r) * dim;
      turn_token(forward, forward.q + token * forward.q_stride + column, token, forward.scale, queries + r * width);
      widen(call.grad_out + token * call.grad_out_stride + column, dim, 1.0f, grads + r * width);
    }
    const int64_t seen = forward.causal ? token_of(here - 1) + 1 : piece.length;  // by any row of the tile
    score_rows(queries, width, s.key_columns.data(), dim, columns, seen, weights);
    score_rows(grads, width, s.value_columns.data(), dim, columns, seen, grad_scores);
    for (int64_t r = 0; r < here; ++r) {
      const int64_t sees = forward.causal ? token_of(r) + 1 : piece.length;
      const float inverse_sum = exponentiate_row(weights + r * columns, sees, seen);
      softmax_backward(weights + r * columns, grad_scores + r * columns, inverse_sum, seen);
    }
    add_outer(weights, columns, grads, width, seen, s.grad_values.data());
    add_outer(grad_scores, columns, queries, width, seen, s.grad_keys.data());
    for_each_tile(
        width, [&](auto vectors, int64_t column) __attribute__((always_inline)) {
          const auto write = [&](int64_t r, int64_t c, const Floats& sum) __attribute__((always_inline)) {
            store(sum, grad_queries + r * width + column + c * kLanes);
          };
          value_tile<vectors.value>(grad_scores, s.keys.data() + column, seen, columns, width, write);
        });
    for (int64_t r = 0; r < here; ++r) {
      const int64_t token = piece.begin + token_of(r);
      turn_token_back(forward, grad_queries + r * width, token, forward.scale,
                      call.grad_q + token * call.grad_stride + head_of(r) * dim);
    }
  }
  for (int64_t i = 0; i < piece.length; ++i) {
    const int64_t token = piece.begin + i, at = token * call.grad_stride + piece.kv_head * dim;
    turn_token_back(forward, s.grad_keys.data() + i * width, token, 1.0f, call.grad_k + at);
    narrow(s.grad_values.data() + i * width, dim, call.grad_v + at);
  }
}

__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionGradients<float>& call,
                                                                const Piece& piece, Scratch& scratch) {
  run_piece(call, piece, scratch);
}
__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionGradients<c10::BFloat16>& call,
                                                                const Piece& piece, Scratch& scratch) {
  run_piece(call, piece, scratch);
}

template <class T>
void run_all(const AttentionGradients<T>& call, const std::vector<int64_t>& bounds) {
  const std::vector<Piece> pieces = pieces_longest_first(bounds, call.forward.kv_heads);
  const int64_t columns = round_up(pieces.front().length, kLanes);
  std::atomic<std::size_t> next{0};
  const auto count = static_cast<int64_t>(pieces.size());
  parallel_for(std::min<int64_t>(at::get_num_threads(), count), 1, [&](int64_t, int64_t) {
    Scratch scratch(call.forward.dim, columns);
    for (std::size_t i = next++; i < pieces.size(); i = next++) run_piece_avx512(call, pieces[i], scratch);
  });
}

}  // namespace

void attention_backward(const AttentionGradients<float>& call, const std::vector<int64_t>& bounds) {
  run_all(call, bounds);
}
void attention_backward(const AttentionGradients<c10::BFloat16>& call, const std::vector<int64_t>& bounds) {
  run_all(call, bounds);
}

#else

void attention_backward(const AttentionGradients<float>&, const std::vector<int64_t>&) {}
void attention_backward(const AttentionGradients<c10::BFloat16>&, const std::vector<int64_t>&) {}

#endif

}  // namespace trireme::cpu
