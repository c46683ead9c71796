#include "data/loader/separate_clashes.h"

#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace trireme {
namespace {

int64_t shared_keys(const std::vector<std::vector<ClashItem>>& window, const SeparatedBatch& batch) {
  std::map<int64_t, const ClashItem*> items;
  for (const auto& natural : window) {
    for (const ClashItem& item : natural) items[item.item] = &item;
  }
  std::set<int64_t> seen;
  int64_t shared = 0;
  for (int64_t item : batch.items) {
    bool clash = false;
    for (int64_t key : items.at(item)->keys) clash |= !seen.insert(key).second;
    shared += clash;
  }
  return shared;
}

RC_GTEST_PROP(SeparateClashes, KeepsSizesAndKindsAndCountsWhatClashes, ()) {
  const int64_t batches = *rc::gen::inRange(1, 7), keys = *rc::gen::inRange(1, 30);
  std::vector<std::vector<ClashItem>> window;
  int64_t number = 0;
  for (int64_t b = 0; b < batches; ++b) {
    window.emplace_back();
    for (int64_t i = *rc::gen::inRange(0, 8); i > 0; --i)
      window.back().push_back({number++, *rc::gen::inRange<int64_t>(0, 3), {*rc::gen::inRange<int64_t>(0, keys)}});
  }
  std::map<int64_t, int64_t> kind_of;
  const auto placed = separate_clashes(window);
  RC_ASSERT(placed.size() == window.size());
  std::set<int64_t> seen;
  for (const auto& natural : window) {
    for (const ClashItem& item : natural) kind_of[item.item] = item.kind;
  }
  for (std::size_t b = 0; b < window.size(); ++b) {
    std::multiset<int64_t> before, after;
    for (const ClashItem& item : window[b]) before.insert(item.kind);
    for (int64_t item : placed[b].items) {
      after.insert(kind_of.at(item));
      RC_ASSERT(seen.insert(item).second);
    }
    RC_ASSERT(before == after);
    RC_ASSERT(shared_keys(window, placed[b]) == placed[b].clashes);
  }
  RC_ASSERT(std::ssize(seen) == number);
}

TEST(SeparateClashes, ChangesPlacesWhereNoRoomFits) {
  // Batch 1 has all its room taken by others, so that 3 can only go there against one of them.
  const std::vector<std::vector<ClashItem>> window = {{{0, 0, {7}}, {1, 0, {7}}}, {{2, 0, {1}}, {3, 0, {2}}}};
  const auto placed = separate_clashes(window);
  EXPECT_EQ(placed[0].clashes + placed[1].clashes, 0);
}

TEST(SeparateClashes, LeavesWhatDoesNotClashWhereItWas) {
  const std::vector<std::vector<ClashItem>> window = {{{0, 0, {1}}, {1, 0, {2}}}, {{2, 0, {1}}, {3, 1, {3}}}};
  const auto placed = separate_clashes(window);
  EXPECT_EQ(placed[0].items, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(placed[1].items, (std::vector<int64_t>{2, 3}));
}

TEST(SeparateClashes, CountsWhatCannotBeHelped) {
  const std::vector<std::vector<ClashItem>> window = {{{0, 0, {7}}, {1, 0, {7}}, {2, 0, {7}}}};
  EXPECT_EQ(separate_clashes(window)[0].clashes, 2);
}

}  // namespace
}  // namespace trireme
