#include "models/nn/cpu_cached_attention.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include <ATen/Parallel.h>

#include "core/parallel.h"
#include "models/nn/cpu_attention_rows.h"
#include "models/nn/cpu_attention_tiles.h"
#include "models/nn/cpu_vector.h"

namespace trireme::cpu {

#if defined(__x86_64__)

namespace {

template <class T>
TRIREME_INLINE void write_tokens(const CacheWrite<T>& call, int64_t begin, int64_t end) {
  const int64_t dim = call.dim, half = dim / 2, width = call.kv_heads * dim;
  Buffer row(dim);
  float* turned = row.data();
  for (int64_t i = begin; i < end; ++i) {
    T *keys = call.keys + call.slots[i] * width, *values = call.values + call.slots[i] * width;
    for (int64_t head = 0; head < call.kv_heads; ++head) {
      turn_row(call.k + i * call.stride + head * dim, call.cos + i * half, call.sin + i * half, dim, 1.0f, turned);
      for (int64_t j = 0; j < dim; ++j) keys[head * dim + j] = static_cast<T>(turned[j]);
    }
    std::copy_n(call.v + i * call.stride, width, values);
  }
}

__attribute__((target("arch=x86-64-v4"))) void write_tokens_avx512(const CacheWrite<float>& call, int64_t begin,
                                                                   int64_t end) {
  write_tokens(call, begin, end);
}
__attribute__((target("arch=x86-64-v4"))) void write_tokens_avx512(const CacheWrite<c10::BFloat16>& call, int64_t begin,
                                                                   int64_t end) {
  write_tokens(call, begin, end);
}

template <class T>
void write_all(const CacheWrite<T>& call, int64_t tokens) {
  constexpr int64_t kGrain = 64;  // tokens that are worth a thread
  parallel_for(tokens, kGrain, [&](int64_t begin, int64_t end) { write_tokens_avx512(call, begin, end); });
}

/// Queries [first, last) of a sequence, for one key/value head.
struct Piece {
  int64_t sequence, kv_head, first, last;
};

/// Sequences in the order of their first rows, so that those with a prefix in common stand side by side.
std::vector<int64_t> order_by_prefix(const std::vector<std::vector<KvSpan>>& spans) {
  std::vector<int64_t> order(spans.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return spans[static_cast<std::size_t>(a)].front().begin < spans[static_cast<std::size_t>(b)].front().begin;
  });
  return order;
}

std::vector<Piece> cut_into_pieces(const std::vector<int64_t>& bounds, const std::vector<std::vector<KvSpan>>& spans,
                                   int64_t kv_heads, int64_t threads) {
  constexpr int64_t kMinBlock = 128, kPiecesPerThread = 8;
  const int64_t block = std::max(kMinBlock, bounds.back() * kv_heads / (threads * kPiecesPerThread));
  const std::vector<int64_t> order = order_by_prefix(spans);
  const auto prefix_of = [&](std::size_t place) { return spans[static_cast<std::size_t>(order[place])].front().begin; };
  std::vector<Piece> pieces;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && prefix_of(end) == prefix_of(begin)) ++end;
    for (int64_t head = 0; head < kv_heads; ++head) {
      for (std::size_t place = begin; place < end; ++place) {
        const auto sequence = static_cast<std::size_t>(order[place]);
        const int64_t queries = bounds[sequence + 1] - bounds[sequence];
        for (int64_t first = 0; first < queries; first += block) {
          pieces.push_back({order[place], head, first, std::min(first + block, queries)});
        }
      }
    }
  }
  return pieces;
}

/// What one thread works in, and whose keys and values it has laid out from the first column on.
struct CachedScratch {
  CachedScratch(int64_t dim, int64_t columns) : tiles(dim, columns) {}
  AttentionScratch tiles;
  int64_t kv_head = -1;
  std::vector<KvSpan> laid_out;
};

/// Lays out `count` keys and values of the spans, but for those that are there from the piece before.
template <class T>
TRIREME_INLINE void lay_out(const CachedAttentionCall<T>& call, int64_t kv_head, const std::vector<KvSpan>& spans,
                            int64_t count, CachedScratch& scratch) {
  const int64_t dim = call.dim, width = call.kv_heads * dim;
  if (scratch.kv_head != kv_head) scratch.laid_out.clear();
  scratch.kv_head = kv_head;
  auto& laid_out = scratch.laid_out;
  int64_t column = 0;
  for (std::size_t i = 0; i < spans.size() && column < count; ++i) {
    const KvSpan span{spans[i].begin, std::min(spans[i].length, count - column)};
    const bool begun = i < laid_out.size() && laid_out[i].begin == span.begin;
    const int64_t there = begun ? std::min(laid_out[i].length, span.length) : 0;
    if (there < span.length) {
      pack_keys(
          span.length - there, column + there,
          scratch.tiles, [&](int64_t k, float* row) __attribute__((always_inline)) {
            const T* from = call.keys + (span.begin + there + k) * width + kv_head * dim;
            for (int64_t j = 0; j < dim; ++j) row[j] = static_cast<float>(from[j]);
          });
      pack_values(
          dim, span.length - there, column + there, scratch.tiles, [&](int64_t k) __attribute__((always_inline)) {
            return call.values + (span.begin + there + k) * width + kv_head * dim;
          });
      laid_out.resize(i);
      laid_out.push_back(span);
    } else if (laid_out[i].length > span.length && column + span.length < count) {
      // The next span begins where the longer one went on.
      laid_out.resize(i);
      laid_out.push_back(span);
    }
    column += span.length;
  }
}

template <class T>
TRIREME_INLINE void run_piece(const CachedAttentionCall<T>& call, const Piece& piece, int64_t first_query,
                              int64_t keys_before, const std::vector<KvSpan>& spans, CachedScratch& scratch) {
  const int64_t group = call.heads / call.kv_heads, dim = call.dim, half = dim / 2;
  lay_out(call, piece.kv_head, spans, keys_before + piece.last, scratch);
  // Rows are (token, head of the group) pairs, token by token.
  const auto token_of = [&](int64_t r) __attribute__((always_inline)) { return piece.first + r / group; };
  const auto head_of = [&](int64_t r) __attribute__((always_inline)) { return piece.kv_head * group + r % group; };
  attend_rows(
      dim, (piece.last - piece.first) * group, scratch.tiles,
      [&](int64_t r, float* row) __attribute__((always_inline)) {
        const int64_t token = first_query + token_of(r);
        turn_row(call.q + token * call.q_stride + head_of(r) * dim, call.cos + token * half, call.sin + token * half,
                 dim, call.scale, row);
      },
      [&](int64_t r) __attribute__((always_inline)) { return keys_before + token_of(r) + 1; },
      [&](int64_t r) __attribute__((always_inline)) {
        return call.out + (first_query + token_of(r)) * call.out_stride + head_of(r) * dim;
      });
}

__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const CachedAttentionCall<float>& call,
                                                                const Piece& piece, int64_t first_query,
                                                                int64_t keys_before, const std::vector<KvSpan>& spans,
                                                                CachedScratch& scratch) {
  run_piece(call, piece, first_query, keys_before, spans, scratch);
}
__attribute__((target("arch=x86-64-v4"))) void run_piece_avx512(const CachedAttentionCall<c10::BFloat16>& call,
                                                                const Piece& piece, int64_t first_query,
                                                                int64_t keys_before, const std::vector<KvSpan>& spans,
                                                                CachedScratch& scratch) {
  run_piece(call, piece, first_query, keys_before, spans, scratch);
}

template <class T>
void run_all(const CachedAttentionCall<T>& call, const std::vector<int64_t>& bounds,
             const std::vector<std::vector<KvSpan>>& spans) {
  const int64_t threads = at::get_num_threads();
  const std::vector<Piece> pieces = cut_into_pieces(bounds, spans, call.kv_heads, threads);
  std::vector<int64_t> keys(spans.size());
  for (std::size_t b = 0; b < spans.size(); ++b) {
    for (const KvSpan& span : spans[b]) keys[b] += span.length;
  }
  const int64_t columns = round_up(*std::max_element(keys.begin(), keys.end()), kLanes);
  std::atomic<std::size_t> next{0};  // the next piece goes to whoever is free
  const auto count = static_cast<int64_t>(pieces.size());
  parallel_for(std::min(threads, count), 1, [&](int64_t, int64_t) {
    CachedScratch scratch(call.dim, columns);
    for (std::size_t i = next++; i < pieces.size(); i = next++) {
      const auto b = static_cast<std::size_t>(pieces[i].sequence);
      run_piece_avx512(call, pieces[i], bounds[b], keys[b] - (bounds[b + 1] - bounds[b]), spans[b], scratch);
    }
  });
}

}  // namespace

void write_cache(const CacheWrite<float>& call, int64_t tokens) { write_all(call, tokens); }
void write_cache(const CacheWrite<c10::BFloat16>& call, int64_t tokens) { write_all(call, tokens); }
void cached_attention(const CachedAttentionCall<float>& call, const std::vector<int64_t>& bounds,
                      const std::vector<std::vector<KvSpan>>& spans) {
  run_all(call, bounds, spans);
}
void cached_attention(const CachedAttentionCall<c10::BFloat16>& call, const std::vector<int64_t>& bounds,
                      const std::vector<std::vector<KvSpan>>& spans) {
  run_all(call, bounds, spans);
}

#else

void write_cache(const CacheWrite<float>&, int64_t) {}
void write_cache(const CacheWrite<c10::BFloat16>&, int64_t) {}
void cached_attention(const CachedAttentionCall<float>&, const std::vector<int64_t>&,
                      const std::vector<std::vector<KvSpan>>&) {}
void cached_attention(const CachedAttentionCall<c10::BFloat16>&, const std::vector<int64_t>&,
                      const std::vector<std::vector<KvSpan>>&) {}

#endif

}  // namespace trireme::cpu
