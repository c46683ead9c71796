#pragma once

#include <cstdint>
#include <vector>

namespace trireme {

/// A pair on its way into a batch.
struct ClashItem {
  int64_t item = 0;           ///< the caller's number
  int64_t kind = 0;           ///< only batches that had this kind to begin with get it, and as many of it as before
  std::vector<int64_t> keys;  ///< no two items of a batch may share one
};

struct SeparatedBatch {
  std::vector<int64_t> items;
  int64_t clashes = 0;  ///< items that share a key with one before them in the batch: there was no way round
};

/// Moves items between the batches of a window until no two of a batch share a key: each stays where it is if it can,
/// else goes to the next batch with room for its kind, else changes places with an item elsewhere. A pure function;
/// every item ends up in one batch, and every batch is as large as before.
/// cost: O(keys) where little clashes; at worst the square of the window's items.
std::vector<SeparatedBatch> separate_clashes(const std::vector<std::vector<ClashItem>>& window);

}  // namespace trireme
