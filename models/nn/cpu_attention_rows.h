#pragma once

#include <algorithm>
#include <cstdint>

#include "models/nn/cpu_attention_tiles.h"
#include "models/nn/cpu_buffer.h"
#include "models/nn/cpu_tiles.h"
#include "models/nn/cpu_vector.h"

/// A forward pass of attention for one key/value head: keys and values laid out, then queries in tiles of rows. What a
/// row's bits are depends on its query and the keys it sees alone, not on the rows of its tile. Functions that are
/// passed in are always_inline lambdas.
namespace trireme::cpu {

/// What one thread works in, for up to `columns` keys (a multiple of kLanes).
struct AttentionScratch {
  AttentionScratch(int64_t dim, int64_t max_columns)
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

/// Lays out keys 0 .. count-1 at `column`, which overwrites up to 15 columns behind them; write_key(i, float* row)
/// writes the dim components of key i.
template <class WriteKey>
TRIREME_INLINE void pack_keys(int64_t count, int64_t column, AttentionScratch& scratch, const WriteKey& write_key) {
  float* rows = scratch.rows.data();
  std::fill(rows, rows + kLanes * scratch.width, 0.0f);
  for (int64_t first = 0; first < count; first += kLanes) {
    const int64_t here = std::min(count - first, kLanes);
    for (int64_t i = 0; i < here; ++i) write_key(first + i, rows + i * scratch.width);
    const int64_t at = column + first;
    const bool in_row = at + kLanes <= scratch.columns;  // else the lanes behind the last key have no place
    for (int64_t component = 0; component < scratch.width; component += kLanes) {
      Floats square[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) load(rows + i * scratch.width + component, square[i]);
      transpose(square);
      float* to = scratch.keys.data() + component * scratch.columns + at;
      for (int64_t i = 0; i < kLanes; ++i, to += scratch.columns) {
        if (in_row) {
          store(square[i], to);
        } else {
          store_tail(square[i], here, to);
        }
      }
    }
  }
}

/// Lays out values 0 .. count-1 at `row`; value(i): where the dim components of value i are.
template <class Value>
TRIREME_INLINE void pack_values(int64_t dim, int64_t count, int64_t row, AttentionScratch& scratch,
                                const Value& value) {
  float* values = scratch.values.data() + row * scratch.width;
  for (int64_t i = 0; i < count; ++i, values += scratch.width) {
    const auto* from = value(i);
    for (int64_t j = 0; j < dim; ++j) values[j] = static_cast<float>(from[j]);
    for (int64_t j = dim; j < scratch.width; ++j) values[j] = 0.0f;
  }
}

/// softmax(query . keys) values of `rows` rows. write_query(r, float* row) writes row r's scaled query; sees(r): how
/// many keys it sees, 1 or more and not falling with r; out(r): where its dim results go.
template <class WriteQuery, class Sees, class Out>
TRIREME_INLINE void attend_rows(int64_t dim, int64_t rows, AttentionScratch& scratch, const WriteQuery& write_query,
                                const Sees& sees, const Out& out) {
  const int64_t columns = scratch.columns;
  float *queries = scratch.rows.data(), *scores = scratch.scores.data();
  for (int64_t first_row = 0; first_row < rows; first_row += kTileRows) {
    const int64_t here = std::min(kTileRows, rows - first_row);
    for (int64_t r = 0; r < here; ++r) write_query(first_row + r, queries + r * scratch.width);
    std::fill(queries + here * scratch.width, queries + kTileRows * scratch.width, 0.0f);
    const int64_t seen = sees(first_row + here - 1);  // keys that any row of the tile sees
    score_rows(queries, scratch.width, scratch.keys.data(), dim, columns, seen, scores);
    float inverse_sums[kTileRows] = {};
    for (int64_t r = 0; r < here; ++r) {
      inverse_sums[r] = exponentiate_row(scores + r * columns, sees(first_row + r), seen);
    }
    for (int64_t column = 0; column < dim; column += kTileColumns) {
      const auto write = [&](int64_t r, int64_t c, const Floats& sum) __attribute__((always_inline)) {
        const int64_t at = column + c * kLanes;
        if (r >= here || at >= dim) return;
        auto* to = out(first_row + r) + at;
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

}  // namespace trireme::cpu
