#include "models/nn/cpu_attention.h"

#include <algorithm>
#include <atomic>

#include <ATen/Parallel.h>

#include "core/parallel.h"
#include "models/nn/cpu_attention_tiles.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

namespace trireme::cpu {

#if defined(__x86_64__)

namespace {

constexpr int64_t kMinBlock = 128;  // tokens per piece of work, at least: amortises the packing of its
                                    // keys and values

/// Tokens [first, last) of the sequence that begins at row `begin`, for one key/value head.
struct Piece {
  int64_t begin, length, kv_head, first, last;
};

/// Whole sequences where there are many, blocks of long ones where threads would go without.
std::vector<Piece> cut_into_pieces(const std::vector<int64_t>& bounds, int64_t kv_heads, int64_t threads) {
  constexpr int64_t kPiecesPerThread = 8;
  const int64_t block = std::max(kMinBlock, bounds.back() * kv_heads / (threads * kPiecesPerThread));
  std::vector<Piece> pieces;
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    const int64_t begin = bounds[i - 1], length = bounds[i] - begin;
    for (int64_t first = 0; first < length; first += block) {
      for (int64_t head = 0; head < kv_heads; ++head) {
        pieces.push_back({begin, length, head, first, std::min(first + block, length)});
      }
    }
  }
  return pieces;
}

/// What one thread works in, for sequences of up to `columns` keys (a multiple of kLanes).
struct Scratch {
  Scratch(int64_t dim, int64_t max_columns)
      : columns(max_columns),
        width(round_up(dim, kLanes)),
        keys(width * columns),
        values(columns * width),
        rows(kLanes * width),
        scores(kTileRows * columns) {}
  int64_t columns, width;
  Buffer keys;    // [width, columns]: transposed, so that a step of the product
                  // reads 64 keys' next component
  Buffer values;  // [columns, width]
  Buffer rows;    // [kLanes, width]: keys on their way, then the queries of a tile
  Buffer scores;  // [kTileRows, columns]
};

template <class T>
TRIREME_INLINE void pack_keys(const AttentionCall<T>& call, const Piece& piece, int64_t count, Scratch& scratch) {
  float* rows = scratch.rows.data();
  std::fill(rows, rows + kLanes * scratch.width, 0.0f);
  for (int64_t first = 0; first < count; first += kLanes) {
    const int64_t here = std::min(count - first, kLanes);
    for (int64_t i = 0; i < here; ++i) {
      const int64_t token = piece.begin + first + i;
      turn_token(call, call.k + token * call.k_stride + piece.kv_head * call.dim, token, 1.0f,
                 rows + i * scratch.width);
    }
    for (int64_t component = 0; component < scratch.width; component += kLanes) {
      Floats square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) load(rows + i * scratch.width + component, square[i]);
      transpose(square);
      float* to = scratch.keys.data() + component * scratch.columns + first;
      for (int64_t i = 0; i < kLanes; ++i) store(square[i], to + i * scratch.columns);
    }
  }
}

template <class T>
TRIREME_INLINE void pack_values(const AttentionCall<T>& call, const Piece& piece, int64_t count, Scratch& scratch) {
  float* values = scratch.values.data();
  for (int64_t i = 0; i < count; ++i, values += scratch.width) {
    const T* from = call.v + (piece.begin + i) * call.v_stride + piece.kv_head * call.dim;
    for (int64_t j = 0; j < call.dim; ++j) values[j] = static_cast<float>(from[j]);
    for (int64_t j = call.dim; j < scratch.width; ++j) values[j] = 0.0f;
  }
}

template <class T>
TRIREME_INLINE void run_piece(const AttentionCall<T>& call, const Piece& piece, Scratch& scratch) {
  const int64_t group = call.heads / call.kv_heads, dim = call.dim, columns = scratch.columns;
  const int64_t keys = call.causal ? piece.last : piece.length;
  pack_keys(call, piece, keys, scratch);
  pack_values(call, piece, keys, scratch);
  float *queries = scratch.rows.data(), *scores = scratch.scores.data();
  const int64_t rows = (piece.last - piece.first) * group;  // (token, head of the group) pairs, token by token
  for (int64_t first_row = 0; first_row < rows; first_row += kTileRows) {
    const int64_t here = std::min(kTileRows, rows - first_row);
    const auto token_of = [&](int64_t r) { return piece.first + (first_row + r) / group; };
    const auto head_of = [&](int64_t r) { return piece.kv_head * group + (first_row + r) % group; };
    for (int64_t r = 0; r < here; ++r) {
      const int64_t token = piece.begin + token_of(r);
      turn_token(call, call.q + token * call.q_stride + head_of(r) * dim, token, call.scale,
                 queries + r * scratch.width);
    }
    std::fill(queries + here * scratch.width, queries + kTileRows * scratch.width, 0.0f);
    const int64_t seen = call.causal ? token_of(here - 1) + 1 : keys;  // keys that any row of the tile sees
    score_rows(queries, scratch.width, scratch.keys.data(), dim, columns, seen, scores);
    float inverse_sums[kTileRows] = {};
    for (int64_t r = 0; r < here; ++r) {
      const int64_t sees = call.causal ? token_of(r) + 1 : keys;
      inverse_sums[r] = exponentiate_row(scores + r * columns, sees, seen);
    }
    for (int64_t column = 0; column < dim; column += kTileColumns) {
      const auto write = [&](int64_t r, int64_t c, const Floats& sum) __attribute__((always_inline)) {
        const int64_t at = column + c * kLanes;
        if (r >= here || at >= dim) return;
        T* to = call.out + (piece.begin + token_of(r)) * call.out_stride + head_of(r) * dim + at;
        const Floats scaled = sum * inverse_sums[r];
        if (dim - at >= kLanes) {
          store(scaled, to);
        } else {
          store_tail(scaled, dim - at, to);
        }
      };
      const float* values = scratch.values.data() + column;
      switch (std::min(kTileVectors, (scratch.width - column) / kLanes)) {
        case 1:
          value_tile<1>(scores, values, seen, columns, scratch.width, write);
          break;
        case 2:
          value_tile<2>(scores, values, seen, columns, scratch.width, write);
          break;
        case 3:
          value_tile<3>(scores, values, seen, columns, scratch.width, write);
          break;
        default:
          value_tile<4>(scores, values, seen, columns, scratch.width, write);
      }
    }
  }
}

__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionCall<float>& call, const Piece& piece,
                                                                Scratch& scratch) {
  run_piece(call, piece, scratch);
}
__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionCall<c10::BFloat16>& call,
                                                                const Piece& piece, Scratch& scratch) {
  run_piece(call, piece, scratch);
}

template <class T>
void run_all(const AttentionCall<T>& call, const std::vector<int64_t>& bounds) {
  const int64_t threads = at::get_num_threads();
  const std::vector<Piece> pieces = cut_into_pieces(bounds, call.kv_heads, threads);
  int64_t longest = 0;
  for (const Piece& piece : pieces) longest = std::max(longest, piece.length);
  const int64_t columns = round_up(longest, kLanes);
  // Pieces differ in cost, so threads take the next one as they get free.
  std::atomic<std::size_t> next{0};
  const auto count = static_cast<int64_t>(pieces.size());
  parallel_for(std::min(threads, count), 1, [&](int64_t, int64_t) {
    Scratch scratch(call.dim, columns);
    for (std::size_t i = next++; i < pieces.size(); i = next++) run_piece_avx512(call, pieces[i], scratch);
  });
}

}  // namespace

bool has_attention() { return __builtin_cpu_supports("x86-64-v4"); }

void attention(const AttentionCall<float>& call, const std::vector<int64_t>& bounds) { run_all(call, bounds); }
void attention(const AttentionCall<c10::BFloat16>& call, const std::vector<int64_t>& bounds) { run_all(call, bounds); }

#else

bool has_attention() { return false; }
void attention(const AttentionCall<float>&, const std::vector<int64_t>&) {}
void attention(const AttentionCall<c10::BFloat16>&, const std::vector<int64_t>&) {}

#endif

}  // namespace trireme::cpu
