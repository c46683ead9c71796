#include "data/tokenizer/merges.h"

#include <bit>

namespace trireme {

MergeTable::MergeTable(std::span<const MergeOfPair> merges)
    : slot_bits_(std::bit_width(merges.size() + merges.size() / 3 + 1)), slots_(std::size_t{1} << slot_bits_) {
  for (const MergeOfPair& merge : merges)
    slots_[slot_of(merge.left, merge.right)] = {merge.left, merge.right, merge.merge};
}

Merge MergeTable::find(TokenId left, TokenId right) const { return slots_[slot_of(left, right)].merge; }

/// The pair's own slot, or the empty one where it would go.
std::size_t MergeTable::slot_of(TokenId left, TokenId right) const {
  const uint64_t pair = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = pair * 0x9E3779B97F4A7C15ull >> (64 - slot_bits_);  // Fibonacci hashing: the high bits are mixed
  while (slots_[slot].left != -1 && (slots_[slot].left != left || slots_[slot].right != right))
    slot = (slot + 1) & mask;
  return slot;
}

}  // namespace trireme
