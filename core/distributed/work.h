#pragma once

#include <memory>

namespace trireme {

class PendingCollective;

/// A collective under way. wait() returns when its tensors may be read and written again. Destroying a Work that nobody
/// waited for is a bug and throws InternalError, unless an exception is being handled anyway; the communicator then
/// keeps the tensors alive, because the transport may still write to them. Must not outlive its communicator.
class Work {
 public:
  explicit Work(std::unique_ptr<PendingCollective> pending);
  Work(Work&& other) noexcept;
  Work& operator=(Work&& other);
  ~Work() noexcept(false);
  /// A second wait() returns at once.
  /// throws DistError: past the communicator's timeout; names the op, its number in the ledger, its count and dtype,
  /// this rank, and the ranks that have not arrived where the transport can tell. PeerFailed: another rank failed.
  void wait();

 private:
  void check_waited() const;

  std::unique_ptr<PendingCollective> pending_;
  int exceptions_at_birth_;
};

}  // namespace trireme
