#include "models/nn/cpu_attention.h"

#include <algorithm>
#include <atomic>

#include <ATen/Parallel.h>

#include "core/parallel.h"
#include "models/nn/cpu_attention_rows.h"
#include "models/nn/cpu_attention_tiles.h"
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

template <class T>
TRIREME_INLINE void run_piece(const AttentionCall<T>& call, const Piece& piece, AttentionScratch& scratch) {
  const int64_t group = call.heads / call.kv_heads, dim = call.dim;
  const int64_t keys = call.causal ? piece.last : piece.length;
  pack_keys(
      keys, 0, scratch, [&](int64_t i, float* row) __attribute__((always_inline)) {
        const int64_t token = piece.begin + i;
        turn_token(call, call.k + token * call.k_stride + piece.kv_head * dim, token, 1.0f, row);
      });
  pack_values(
      dim, keys, 0, scratch, [&](int64_t i) __attribute__((always_inline)) {
        return call.v + (piece.begin + i) * call.v_stride + piece.kv_head * dim;
      });
  // Rows are (token, head of the group) pairs, token by token.
  const auto token_of = [&](int64_t r) __attribute__((always_inline)) { return piece.first + r / group; };
  const auto head_of = [&](int64_t r) __attribute__((always_inline)) { return piece.kv_head * group + r % group; };
  attend_rows(
      dim, (piece.last - piece.first) * group, scratch,
      [&](int64_t r, float* row) __attribute__((always_inline)) {
        const int64_t token = piece.begin + token_of(r);
        turn_token(call, call.q + token * call.q_stride + head_of(r) * dim, token, call.scale, row);
      },
      [&](int64_t r) __attribute__((always_inline)) { return call.causal ? token_of(r) + 1 : keys; },
      [&](int64_t r) __attribute__((always_inline)) {
        return call.out + (piece.begin + token_of(r)) * call.out_stride + head_of(r) * dim;
      });
}

__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionCall<float>& call, const Piece& piece,
                                                                AttentionScratch& scratch) {
  run_piece(call, piece, scratch);
}
__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const AttentionCall<c10::BFloat16>& call,
                                                                const Piece& piece, AttentionScratch& scratch) {
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
    AttentionScratch scratch(call.dim, columns);
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
