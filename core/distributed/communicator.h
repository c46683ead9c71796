#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/distributed/ending.h"
#include "core/distributed/work.h"
#include "core/tensor.h"

namespace trireme {

struct Collective;
struct LedgerEntry;

enum class ReduceOp { kSum, kMean, kMax, kMin };

struct CommunicatorOptions {
  std::chrono::milliseconds timeout{600'000};
  /// How long the ranks wait for each other once one has failed, before the job is cut off
  /// (core/distributed/run_as_rank.h).
  std::chrono::milliseconds grace{10'000};
  /// Before each collective, compare (number, op, root, count, dtype) over all ranks; the first difference is a
  /// DistError that prints both sides. Costs one small collective each, and waits for it.
  bool verify = false;
  /// A collective of larger tensors travels in pieces of at most so many bytes, one after the other, and is one
  /// collective to the ledger and to messages all the same. The same on every rank.
  int64_t piece_bytes = int64_t{1} << 30;
};

/// The ranks of one job and their collectives. Every rank makes the same calls in the same order, whatever its data is:
/// the ledger numbers them. Tensors are contiguous, of equal count and dtype on all ranks, and stay untouched until the
/// Work was waited for. Calls may come from different threads, but never two at once.
/// Implementations: self.h (one rank), thread.h (ranks are threads of one process, for tests), mpi.h (CPU tensors),
/// nccl.h (CUDA tensors, beside another one for those on the CPU). connect.h picks one.
/// Tensors may have any size. A collective that goes in pieces (options.piece_bytes) is over when the call returns: it
/// does not overlap with what the caller does next. Beside what the transport takes for one piece, a gather or scatter
/// in pieces copies each piece once.
///
/// dtypes  float32, float64, float16, bfloat16, int64, int32, uint8, bool. Reductions of float16 and bfloat16 are taken
///         in float32 and rounded once. kMean is the sum, then divided, and needs a floating dtype; bool has no sum.
/// throws  ShapeError: a tensor not contiguous, on the wrong device, of an unsupported dtype, sizes that do not fit the
///         op, tensors that overlap. DistError: timeout, lost rank, ranks that differ (verify). PeerFailed: ending.h.
class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;

  [[nodiscard]] Work all_reduce(torch::Tensor tensor, ReduceOp op);                           ///< in place
  [[nodiscard]] Work all_gather(torch::Tensor output, torch::Tensor input);                   ///< [R, ..] <- [..]
  [[nodiscard]] Work reduce_scatter(torch::Tensor output, torch::Tensor input, ReduceOp op);  ///< [..] <- [R, ..]
  [[nodiscard]] Work broadcast(torch::Tensor tensor, int64_t root);                           ///< in place
  [[nodiscard]] Work send(torch::Tensor tensor, int64_t to);    ///< pairs with a recv of equal count and dtype
  [[nodiscard]] Work recv(torch::Tensor tensor, int64_t from);  ///< messages of one sender arrive in the order sent
  void barrier();

  /// Collectives issued so far by this rank; send and recv, which only two ranks make, do not count.
  uint64_t ledger_number() const noexcept { return ledger_number_; }

  // How a rank ends. run_as_rank (core/distributed/run_as_rank.h) makes these calls in the right order; only launch/
  // aborts.

  /// throws PeerFailed once another rank has announced its failure. One probe, no wait: call it between batches of long
  /// work without collectives, so that this rank ends soon after the one that failed.
  virtual void check_peers() = 0;
  /// Ends every other rank's waits, now and later, with PeerFailed. Does not block and is no collective.
  virtual void announce_failure(const RankEnding& mine) = 0;
  /// Every rank enters once, finished or failed; element r is rank r's ending, or nullopt when it was not heard of
  /// within `patience` (of the call, or of the first failure heard of, with options.grace). May be called again, to
  /// wait longer.
  virtual std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                                std::chrono::milliseconds patience) = 0;
  /// Ends this process and all others of the group with `exit_code`, now.
  [[noreturn]] void abort(int exit_code);

  const CommunicatorOptions& options() const noexcept { return options_; }

 protected:
  explicit Communicator(CommunicatorOptions options);
  /// Begins a collective whose arguments are checked, whose tensors are of at most piece_bytes and whose reduction is
  /// kSum, kMax or kMin of a dtype above 16 bits (core/distributed/collective.h).
  virtual std::unique_ptr<PendingCollective> start(const Collective& call) = 0;
  /// Does not return.
  virtual void abort_group(int exit_code) = 0;

 private:
  Work begin(Collective call);
  std::unique_ptr<PendingCollective> start_in_pieces(const Collective& call);
  void compare_over_ranks(const LedgerEntry& mine);

  CommunicatorOptions options_;
  uint64_t ledger_number_ = 0;
};

}  // namespace trireme
