#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace trireme {

/// How one item is made: parts that threads do side by side, then a last step.
template <class Item>
struct ItemWork {
  std::size_t parts = 0;                     ///< 0: the last step is all
  std::function<void(std::size_t)> do_part;  ///< each part once, in any order, from several threads at a time
  std::function<Item()> finish;              ///< once, when every part is done; not when one failed
};

struct ReadAheadOptions {
  int64_t threads = 1;  ///< at least 1
  int64_t queued = 1;   ///< items begun and not taken yet, at least 1: what bounds memory
  int64_t first = 0;    ///< number of the first item
};

/// ReadAhead for items of any type.
class ItemQueue {
 public:
  using Work = ItemWork<std::shared_ptr<void>>;
  using Open = std::function<std::optional<Work>(int64_t number)>;

  ItemQueue(Open open, const ReadAheadOptions& options);
  ~ItemQueue();
  ItemQueue(ItemQueue&&) noexcept;
  ItemQueue& operator=(ItemQueue&&) noexcept;

  std::shared_ptr<void> next();  ///< null after the last
  double last_wait_s() const noexcept;
  double waited_s() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Makes items on threads of its own, some ahead of whoever takes them, and gives them in the order of their numbers.
/// All threads work on the earliest item that has parts left. What comes out depends on `open` alone, never on threads
/// or timing.
template <class Item>
class ReadAhead {
 public:
  /// open: the work of item `number`, nullopt after the last. Called for one number at a time, from options.first on,
  /// and, as its work is, on the threads; what it refers to outlives the ReadAhead. Begins at once.
  template <class Open>
  ReadAhead(Open open, const ReadAheadOptions& options)
      : queue_(
            [open = std::move(open)](int64_t number) -> std::optional<ItemQueue::Work> {
              std::optional<ItemWork<Item>> work = open(number);
              if (!work) return std::nullopt;
              return ItemQueue::Work{work->parts, std::move(work->do_part),
                                     [finish = std::move(work->finish)] { return std::make_shared<Item>(finish()); }};
            },
            options) {}
  // Destruction stops the threads: what they are in the middle of ends, nothing further is begun.

  /// The next item; nullopt after the last.
  /// throws, when it is that item's turn and from then on, what opening it, the first of its parts that failed, or
  /// finishing it threw. Nothing is begun after a failure.
  std::optional<Item> next() {
    const std::shared_ptr<void> item = queue_.next();
    if (!item) return std::nullopt;
    return std::move(*static_cast<Item*>(item.get()));
  }
  /// Seconds that next() has waited: the last time, and altogether.
  double last_wait_s() const noexcept { return queue_.last_wait_s(); }
  double waited_s() const noexcept { return queue_.waited_s(); }

 private:
  ItemQueue queue_;
};

}  // namespace trireme
