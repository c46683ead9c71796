#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace trireme {

/// One step's share of a rank while it is loaded: rows that can be read side by side, and what they become together.
class StepInWork {
 public:
  virtual ~StepInWork() = default;
  virtual std::size_t rows() const noexcept = 0;
  /// Each row once, from several threads at a time.
  virtual void load_row(std::size_t row) = 0;
  /// Once, when all rows are loaded.
  virtual void assemble() = 0;
};

/// Loads steps in order on threads of its own, up to queued_steps ahead, all threads on the rows of the earliest step
/// that has some left. What comes out depends on `open` alone, never on threads or timing.
class StepLoader {
 public:
  using Open = std::function<std::unique_ptr<StepInWork>(int64_t step)>;

  /// open: makes the work of a step; called for one step at a time, from first_step on. Starts loading at once.
  StepLoader(Open open, int64_t first_step, int64_t threads, int64_t queued_steps);
  ~StepLoader();  ///< stops the threads, whatever is still to come
  StepLoader(const StepLoader&) = delete;
  StepLoader& operator=(const StepLoader&) = delete;

  /// The next step, assembled. throws what opening, the first row that failed, or assembling threw, when it is that
  /// step's turn.
  std::unique_ptr<StepInWork> next();
  /// Seconds that next() has waited, the last time and altogether.
  double last_wait_s() const noexcept;
  double waited_s() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
