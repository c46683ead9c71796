#include "data/loader/step_loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "core/elapsed.h"
#include "core/error.h"

namespace trireme {
namespace {

/// A step and how far it is.
struct Entry {
  std::unique_ptr<StepInWork> work;
  std::size_t rows = 0, claimed = 0, done = 0;
  std::exception_ptr failure;  ///< of the first row that failed
  std::size_t failed_row = std::numeric_limits<std::size_t>::max();
  bool ready = false;  ///< assembled, or failed
};

}  // namespace

struct StepLoader::State {
  /// A loading thread: rows of the earliest step that has some left, else a further step is opened.
  void load() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (const auto entry = next_with_rows()) {
        const std::size_t begin = entry->claimed;
        entry->claimed = std::min(begin + kRowsClaimed, entry->rows);
        const std::size_t end = entry->claimed;
        lock.unlock();
        for (std::size_t row = begin; row < end; ++row) load_row(*entry, row);
        finish_rows(*entry, end - begin);
        lock.lock();
      } else if (!opening && !failed && std::ssize(steps) < queued_steps) {
        opening = true;
        const int64_t step = next_step++;
        lock.unlock();
        std::shared_ptr<Entry> opened = open_step(step);
        lock.lock();
        failed = failed || opened->ready;
        steps.push_back(std::move(opened));
        opening = false;
        changed.notify_all();
      } else {
        changed.wait(lock);
      }
    }
  }

  std::shared_ptr<Entry> next_with_rows() const {
    for (const auto& entry : steps) {
      if (entry->claimed < entry->rows) return entry;
    }
    return nullptr;
  }

  std::shared_ptr<Entry> open_step(int64_t step) const {
    auto entry = std::make_shared<Entry>();
    try {
      entry->work = open(step);
      entry->rows = entry->work->rows();
      TRIREME_ASSERT(entry->rows > 0, "step {} has no rows", step);
    } catch (...) {
      entry->failure = std::current_exception();
      entry->rows = 0;
      entry->ready = true;
    }
    return entry;
  }

  void load_row(Entry& entry, std::size_t row) {
    try {
      entry.work->load_row(row);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (row < entry.failed_row) {
        entry.failed_row = row;
        entry.failure = std::current_exception();
      }
    }
  }

  void finish_rows(Entry& entry, std::size_t count) {
    {
      const std::lock_guard lock(mutex);
      entry.done += count;
      if (entry.done < entry.rows) return;
    }
    // The last rows are in: nobody else touches the step until it is ready.
    if (!entry.failure) {
      try {
        entry.work->assemble();
      } catch (...) {
        entry.failure = std::current_exception();
      }
    }
    const std::lock_guard lock(mutex);
    failed = failed || entry.failure;
    entry.ready = true;
    changed.notify_all();
  }

  static constexpr std::size_t kRowsClaimed = 4;

  Open open;
  int64_t next_step = 0, queued_steps = 1;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Entry>> steps;  ///< in order
  bool opening = false, failed = false, stopping = false;
  double last_wait_s = 0, waited_s = 0;
  std::vector<std::jthread> threads;  // last: joined before what they use goes
};

StepLoader::StepLoader(Open open, int64_t first_step, int64_t threads, int64_t queued_steps)
    : state_(std::make_unique<State>()) {
  TRIREME_ASSERT(first_step >= 0 && threads >= 1 && queued_steps >= 1, "step {}, {} threads, {} queued", first_step,
                 threads, queued_steps);
  State& state = *state_;
  state.open = std::move(open);
  state.next_step = first_step;
  state.queued_steps = queued_steps;
  for (int64_t i = 0; i < threads; ++i) state.threads.emplace_back([&state] { state.load(); });
}

StepLoader::~StepLoader() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

std::unique_ptr<StepInWork> StepLoader::next() {
  State& state = *state_;
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return !state.steps.empty() && state.steps.front()->ready; });
  state.last_wait_s = seconds_since(begin);
  state.waited_s += state.last_wait_s;
  if (state.steps.front()->failure) std::rethrow_exception(state.steps.front()->failure);
  std::unique_ptr<StepInWork> work = std::move(state.steps.front()->work);
  state.steps.pop_front();
  state.changed.notify_all();
  return work;
}

double StepLoader::last_wait_s() const noexcept { return state_->last_wait_s; }

double StepLoader::waited_s() const noexcept { return state_->waited_s; }

}  // namespace trireme
