#include "core/read_ahead.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/elapsed.h"
#include "core/error.h"

namespace trireme {
namespace {

/// An item and how far it is.
struct QueuedItem {
  ItemQueue::Work work;
  std::size_t claimed = 0, done = 0;  ///< parts
  std::shared_ptr<void> made;
  std::exception_ptr failure;   ///< of the first part that failed
  std::size_t failed_part = 0;  ///< once there is a failure
  bool ready = false;           ///< made, or failed
};

template <class Body>
std::exception_ptr failure_of(const Body& body) {
  try {
    body();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

struct ItemQueue::State {
  State(Open open_item, const ReadAheadOptions& options)
      : open(std::move(open_item)), queued(options.queued), next_number(options.first) {}
  ~State() {
    const std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }

  /// A thread: a part of the earliest item that has some left, else a further item is opened.
  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (const auto item = first_with_parts()) {
        do_part(*item, lock);
      } else if (!opening && !ended && std::ssize(items) < queued) {
        open_next(lock);
      } else {
        changed.wait(lock);
      }
    }
  }

  std::shared_ptr<QueuedItem> first_with_parts() const {
    for (const auto& item : items) {
      if (item->claimed < item->work.parts) return item;
    }
    return nullptr;
  }

  void do_part(QueuedItem& item, std::unique_lock<std::mutex>& lock) {
    const std::size_t part = item.claimed++;
    lock.unlock();
    const std::exception_ptr failure = failure_of([&] { item.work.do_part(part); });
    lock.lock();
    if (failure && (!item.failure || part < item.failed_part)) {
      item.failure = failure;
      item.failed_part = part;
    }
    if (++item.done == item.work.parts && !stopping) finish(item, lock);
  }

  void open_next(std::unique_lock<std::mutex>& lock) {
    opening = true;
    const int64_t number = next_number++;
    lock.unlock();
    std::optional<Work> work;
    const std::exception_ptr failure = failure_of([&] { work = open(number); });
    lock.lock();
    opening = false;
    ended = ended || (!work && !failure);
    if (work || failure) {
      const auto item = std::make_shared<QueuedItem>();
      item->failure = failure;
      if (work) item->work = std::move(*work);
      items.push_back(item);
      if (item->work.parts == 0) finish(*item, lock);
    }
    changed.notify_all();
  }

  /// Its parts are done: nobody else touches the item until it is ready.
  void finish(QueuedItem& item, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    if (!item.failure) item.failure = failure_of([&] { item.made = item.work.finish(); });
    item.work.do_part = nullptr;
    item.work.finish = nullptr;
    lock.lock();
    ended = ended || item.failure;
    item.ready = true;
    changed.notify_all();
  }

  const Open open;
  const int64_t queued;
  int64_t next_number;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<QueuedItem>> items;  ///< in order
  bool opening = false;
  bool ended = false;  ///< nothing more is opened: the last was, or one failed
  bool stopping = false;
  double last_wait_s = 0, waited_s = 0;
  std::vector<std::jthread> threads;  // last: joined before what they use goes
};

ItemQueue::ItemQueue(Open open, const ReadAheadOptions& options)
    : state_(std::make_unique<State>(std::move(open), options)) {
  TRIREME_ASSERT(options.threads >= 1 && options.queued >= 1, "{} threads, {} queued", options.threads, options.queued);
  for (int64_t i = 0; i < options.threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->run(); });
}
ItemQueue::~ItemQueue() = default;
ItemQueue::ItemQueue(ItemQueue&&) noexcept = default;
ItemQueue& ItemQueue::operator=(ItemQueue&&) noexcept = default;

std::shared_ptr<void> ItemQueue::next() {
  State& state = *state_;
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock,
                     [&] { return state.items.empty() ? state.ended && !state.opening : state.items.front()->ready; });
  state.last_wait_s = seconds_since(begin);
  state.waited_s += state.last_wait_s;
  if (state.items.empty()) return nullptr;
  if (state.items.front()->failure) std::rethrow_exception(state.items.front()->failure);
  const std::shared_ptr<void> made = std::move(state.items.front()->made);
  state.items.pop_front();
  state.changed.notify_all();
  return made;
}

double ItemQueue::last_wait_s() const noexcept { return state_->last_wait_s; }
double ItemQueue::waited_s() const noexcept { return state_->waited_s; }

}  // namespace trireme
