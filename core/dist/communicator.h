#pragma once

#include <torch/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace trireme {

enum class ReduceOp { kSum, kMean, kMax, kMin };

/// A collective under way. wait() returns when its output may be read; destroying an unwaited Work is a bug (asserts).
class Work {
 public:
  struct State;
  explicit Work(std::shared_ptr<State> state);
  Work(Work&&) noexcept;
  Work& operator=(Work&&) noexcept;
  ~Work();
  /// throws DistError past the communicator's timeout: names this rank, the op, its number in the ledger, its count and
  /// dtype, and the ranks that have not arrived where the transport can tell.
  void wait();

 private:
  std::shared_ptr<State> state_;
};

struct CommunicatorOptions {
  std::chrono::milliseconds timeout{600'000};
  /// Before each collective, compare (number, op, count, dtype) over all ranks; the first difference is a DistError
  /// that prints both sides. Costs one small collective each.
  bool verify = false;
};

/// The ranks of one job and their collectives. Every rank makes the same calls in the same order, whatever its data is:
/// the ledger numbers them. Tensors are contiguous, of equal count and dtype on all ranks, and stay untouched until the
/// Work was waited for. Implementations: Self (one rank), Thread (ranks are threads of one process, for tests), MPI (CPU
/// tensors); NCCL (CUDA tensors) joins with training.
/// throws ShapeError: a tensor not contiguous, of an unsupported dtype, or sizes that do not fit the op.
/// throws DistError: timeout, a lost rank, ranks that differ (verify).
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;

  [[nodiscard]] Work all_reduce(torch::Tensor tensor, ReduceOp op);                    ///< in place
  [[nodiscard]] Work all_gather(torch::Tensor output, torch::Tensor input);            ///< [R, ..input] <- [..input]
  [[nodiscard]] Work reduce_scatter(torch::Tensor output, torch::Tensor input, ReduceOp op);  ///< [..] <- [R, ..]
  [[nodiscard]] Work broadcast(torch::Tensor tensor, int64_t root);                    ///< in place
  [[nodiscard]] Work send(torch::Tensor tensor, int64_t to);
  [[nodiscard]] Work recv(torch::Tensor tensor, int64_t from);
  void barrier();

  /// Collectives issued so far by this rank.
  uint64_t ledger_number() const noexcept { return ledger_number_; }

 protected:
  uint64_t ledger_number_ = 0;
};

}  // namespace trireme
