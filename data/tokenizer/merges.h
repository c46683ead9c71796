#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/tokenizer/vocabulary.h"

namespace trireme {

/// What two neighbours become, and how early: the lowest rank goes first.
struct Merge {
  int32_t rank;
  TokenId result;
};

struct MergeOfPair {
  TokenId left, right;
  Merge merge;
};

/// The merges of a BPE by their pair: an open-addressing table, for this is what encoding spends its time on.
class MergeTable {
 public:
  /// Where a pair stands twice the later merge holds.
  explicit MergeTable(std::span<const MergeOfPair> merges);
  /// The merge of the pair; rank -1 where there is none.
  Merge find(TokenId left, TokenId right) const;

 private:
  struct Slot {
    TokenId left = -1, right = -1;  ///< -1: empty
    Merge merge{-1, -1};
  };
  std::size_t slot_of(TokenId left, TokenId right) const;
  int slot_bits_;
  std::vector<Slot> slots_;  ///< 2^slot_bits_, at most three quarters full
};

}  // namespace trireme
