#include "data/loader/separate_clashes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace trireme {
namespace {

/// The batches of a window while they fill.
class Window {
 public:
  explicit Window(std::size_t batches) : batches_(batches) {}

  bool fits(std::size_t batch, const ClashItem& item) const {
    const auto& taken = batches_[batch].keys;
    return std::none_of(item.keys.begin(), item.keys.end(), [&](int64_t key) { return taken.contains(key); });
  }
  void put(std::size_t batch, const ClashItem& item) {
    batches_[batch].items.push_back(&item);
    for (const int64_t key : item.keys) ++batches_[batch].keys[key];
  }
  void leave_room(std::size_t batch, int64_t kind) { ++batches_[batch].room[kind]; }
  bool has_room(std::size_t batch, int64_t kind) const {
    const auto found = batches_[batch].room.find(kind);
    return found != batches_[batch].room.end() && found->second > 0;
  }
  void take_room(std::size_t batch, int64_t kind) { --batches_[batch].room[kind]; }

  /// Puts `item` into some batch in the place of another of its kind that fits where there is room.
  bool change_places(const ClashItem& item, std::size_t first) {
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      const std::size_t open = (first + i) % batches_.size();
      if (!has_room(open, item.kind)) continue;
      for (std::size_t j = 1; j < batches_.size(); ++j) {
        const std::size_t full = (open + j) % batches_.size();
        for (const ClashItem*& other : batches_[full].items) {
          if (other->kind != item.kind || !fits(open, *other) || !fits_instead(full, item, *other)) continue;
          release(full, *other);
          put(open, *other);
          take_room(open, item.kind);
          other = &item;
          for (const int64_t key : item.keys) ++batches_[full].keys[key];
          return true;
        }
      }
    }
    return false;
  }

  std::vector<SeparatedBatch> result() const {
    std::vector<SeparatedBatch> placed;
    for (const Batch& batch : batches_) {
      SeparatedBatch& out = placed.emplace_back();
      std::unordered_set<int64_t> taken;
      for (const ClashItem* item : batch.items) {
        out.items.push_back(item->item);
        out.clashes +=
            std::any_of(item->keys.begin(), item->keys.end(), [&](int64_t key) { return taken.contains(key); });
        taken.insert(item->keys.begin(), item->keys.end());
      }
    }
    return placed;
  }

 private:
  struct Batch {
    std::vector<const ClashItem*> items;
    std::unordered_map<int64_t, int64_t> keys;
    std::map<int64_t, int64_t> room;  ///< by kind
  };

  /// Whether `item` clashes with nothing in the batch once `other` has left it.
  bool fits_instead(std::size_t batch, const ClashItem& item, const ClashItem& other) const {
    const auto& taken = batches_[batch].keys;
    std::unordered_map<int64_t, int64_t> freed;
    for (const int64_t key : other.keys) ++freed[key];
    return std::all_of(item.keys.begin(), item.keys.end(), [&](int64_t key) {
      const auto found = taken.find(key);
      if (found == taken.end()) return true;
      const auto goes = freed.find(key);
      return goes != freed.end() && goes->second == found->second;
    });
  }
  void release(std::size_t batch, const ClashItem& item) {
    auto& keys = batches_[batch].keys;
    for (const int64_t key : item.keys) {
      const auto found = keys.find(key);
      if (--found->second == 0) keys.erase(found);
    }
  }

  std::vector<Batch> batches_;
};

}  // namespace

std::vector<SeparatedBatch> separate_clashes(const std::vector<std::vector<ClashItem>>& window) {
  struct Homeless {
    const ClashItem* item;
    std::size_t home;
  };
  Window batches(window.size());
  std::vector<Homeless> homeless;
  for (std::size_t batch = 0; batch < window.size(); ++batch) {
    for (const ClashItem& item : window[batch]) {
      if (batches.fits(batch, item)) {
        batches.put(batch, item);
      } else {
        batches.leave_room(batch, item.kind);
        homeless.push_back({&item, batch});
      }
    }
  }
  const auto next_room = [&](const Homeless& h, bool must_fit) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < window.size(); ++i) {
      const std::size_t batch = (h.home + i) % window.size();
      if (batches.has_room(batch, h.item->kind) && (!must_fit || batches.fits(batch, *h.item))) return batch;
    }
    return std::nullopt;
  };
  std::vector<Homeless> left;
  for (const Homeless& h : homeless) {
    if (const auto batch = next_room(h, true)) {
      batches.put(*batch, *h.item);
      batches.take_room(*batch, h.item->kind);
    } else {
      left.push_back(h);
    }
  }
  for (const Homeless& h : left) {
    if (batches.change_places(*h.item, h.home)) continue;
    const std::size_t batch = next_room(h, false).value();
    batches.put(batch, *h.item);
    batches.take_room(batch, h.item->kind);
  }
  return batches.result();
}

}  // namespace trireme
