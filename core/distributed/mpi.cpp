#define OMPI_SKIP_MPICXX 1
#include "core/distributed/mpi.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <list>

#include <mpi.h>

#include "core/distributed/collective.h"
#include "core/distributed/pause.h"
#include "core/distributed/peer_watch.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

void check_mpi(int code, std::string_view what) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw DistError("mpi",
                  fmt::format("{} must succeed; got {}; start with --verify to compare the ranks' calls, and look at "
                              "the other ranks.",
                              what, std::string_view(text.data(), static_cast<std::size_t>(length))));
}

MPI_Datatype mpi_type(c10::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return MPI_FLOAT;
    case torch::kFloat64:
      return MPI_DOUBLE;
    case torch::kInt64:
      return MPI_INT64_T;
    case torch::kInt32:
      return MPI_INT32_T;
    case torch::kUInt8:
    case torch::kBool:
      return MPI_UINT8_T;
    // Only moved: reductions of 16-bit floats arrive here in float32.
    case torch::kFloat16:
    case torch::kBFloat16:
      return MPI_UINT16_T;
    default:
      TRIREME_ASSERT(false, "{} over MPI", c10::toString(dtype));
  }
}

MPI_Op mpi_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return MPI_SUM;
    case ReduceOp::kMax:
      return MPI_MAX;
    case ReduceOp::kMin:
      return MPI_MIN;
    case ReduceOp::kMean:
      break;
  }
  TRIREME_ASSERT(false, "ReduceOp {} over MPI", static_cast<int>(op));
}

constexpr std::chrono::milliseconds kGraceAfterLoss{150};

constexpr int64_t kCodesPerKind = 256;
int64_t encode(const RankEnding& ending) {
  return static_cast<int64_t>(ending.kind) * kCodesPerKind + ending.exit_code;
}
RankEnding decode(int64_t code) {
  return {static_cast<RankEnding::Kind>(code / kCodesPerKind), static_cast<int>(code % kCodesPerKind)};
}
bool announces(RankEnding::Kind kind) {
  return kind == RankEnding::Kind::kFailed || kind == RankEnding::Kind::kDistFailed;
}

/// A nonblocking MPI call with the tensors that MPI reads and writes until it is over.
struct InFlight {
  Collective call;
  MPI_Request request = MPI_REQUEST_NULL;
};

}  // namespace

class MpiSession {
 public:
  MpiSession() {
    int initialized = 0;
    MPI_Initialized(&initialized);
    TRIREME_ASSERT(!initialized, "MPI was started twice");
    int level = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
    if (level < MPI_THREAD_SERIALIZED) {
      MPI_Finalize();
      throw DistError("mpi", fmt::format("MPI must offer MPI_THREAD_SERIALIZED; got level {}; use an MPI built with "
                                         "thread support.",
                                         level));
    }
  }
  ~MpiSession() { MPI_Finalize(); }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// After a failure some calls never end, and MPI may touch their tensors until MPI_Finalize.
  void keep(std::list<InFlight> unfinished) { unfinished_.splice(unfinished_.end(), std::move(unfinished)); }

 private:
  std::list<InFlight> unfinished_;
};

namespace {

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(std::shared_ptr<MpiSession> session, const CommunicatorOptions& options);
  ~MpiCommunicator() override;
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  void check_peers() override;
  void announce_failure(const RankEnding& mine) override;
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                        std::chrono::milliseconds patience) override;
  std::vector<int64_t> stopped() const { return watch_->stopped(); }

  /// Polls until the request is over, then forgets it.
  void wait_for(std::list<InFlight>::iterator flight);

 protected:
  void abort_group(int exit_code) override;
  std::unique_ptr<PendingCollective> start(const Collective& call) override;

 private:
  void receive_notices();
  void check_lost(const LedgerEntry& entry);
  bool poll_endings(Clock::time_point deadline);

  std::shared_ptr<MpiSession> session_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  /// For failure notices and endings, which must get through while collectives on comm_ hang.
  MPI_Comm notices_comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 0;
  std::optional<PeerWatch> watch_;
  std::list<InFlight> in_flight_;

  std::vector<std::optional<RankEnding>> announced_;
  int64_t my_notice_ = 0;
  std::vector<MPI_Request> notices_sent_;
  int64_t my_ending_ = 0;
  std::vector<int64_t> endings_;
  MPI_Request endings_request_ = MPI_REQUEST_NULL;
  bool endings_complete_ = false;
};

class PendingMpi final : public PendingCollective {
 public:
  PendingMpi(MpiCommunicator& communicator, std::list<InFlight>::iterator flight)
      : communicator_(communicator), flight_(flight) {}
  void wait() override { communicator_.wait_for(flight_); }

 private:
  MpiCommunicator& communicator_;
  std::list<InFlight>::iterator flight_;
};

MpiCommunicator::MpiCommunicator(std::shared_ptr<MpiSession> session, const CommunicatorOptions& options)
    : Communicator(options), session_(std::move(session)) {
  for (MPI_Comm* comm : {&comm_, &notices_comm_}) {
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, comm), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);  // a failed call throws here instead of ending the process there
  }
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  announced_.resize(size_);
  endings_.resize(size_);
  const ProcessIdentity me = identify_process();
  std::vector<ProcessIdentity> processes(size_);
  check_mpi(MPI_Allgather(&me, sizeof(me), MPI_BYTE, processes.data(), sizeof(me), MPI_BYTE, comm_), "MPI_Allgather");
  watch_.emplace(processes, rank_);
}

MpiCommunicator::~MpiCommunicator() {
  const bool orderly =
      in_flight_.empty() && std::ranges::none_of(announced_, [](const auto& ending) { return ending.has_value(); });
  if (!orderly) {
    session_->keep(std::move(in_flight_));
    return;
  }
  MPI_Comm_free(&comm_);
  MPI_Comm_free(&notices_comm_);
}

std::unique_ptr<PendingCollective> MpiCommunicator::start(const Collective& call) {
  require_cpu(call);
  for (const torch::Tensor& tensor : {call.input, call.output}) {
    TRIREME_ASSERT(!tensor.defined() || tensor.numel() <= INT_MAX, "{} of {} in one piece of more than {} elements",
                   op_name(call.op), shape_string(tensor), INT_MAX);
  }
  const auto flight = in_flight_.insert(in_flight_.end(), {.call = call});
  MPI_Request* request = &flight->request;
  const torch::Tensor& any = call.input.defined() ? call.input : call.output;
  const MPI_Datatype type = any.defined() ? mpi_type(any.scalar_type()) : MPI_DATATYPE_NULL;
  const auto count_of = [](const torch::Tensor& tensor) { return static_cast<int>(tensor.numel()); };
  const void* input = call.input.defined() ? call.input.const_data_ptr() : nullptr;
  void* output = call.output.defined() ? call.output.data_ptr() : nullptr;
  const int peer = static_cast<int>(call.peer);
  constexpr int kTag = 0;
  int code = MPI_SUCCESS;
  switch (call.op) {
    case CollectiveOp::kAllReduce:
      code = MPI_Iallreduce(input == output ? MPI_IN_PLACE : input, output, count_of(call.output), type,
                            mpi_op(call.reduce), comm_, request);
      break;
    case CollectiveOp::kAllGather:
      code = MPI_Iallgather(input, count_of(call.input), type, output, count_of(call.input), type, comm_, request);
      break;
    case CollectiveOp::kReduceScatter:
      code = MPI_Ireduce_scatter_block(input, output, count_of(call.output), type, mpi_op(call.reduce), comm_, request);
      break;
    case CollectiveOp::kBroadcast:
      code = MPI_Ibcast(output, count_of(call.output), type, peer, comm_, request);
      break;
    case CollectiveOp::kBarrier:
      code = MPI_Ibarrier(comm_, request);
      break;
    case CollectiveOp::kSend:
      code = MPI_Isend(input, count_of(call.input), type, peer, kTag, comm_, request);
      break;
    case CollectiveOp::kRecv:
      code = MPI_Irecv(output, count_of(call.output), type, peer, kTag, comm_, request);
      break;
  }
  check_mpi(code, call.entry.text());
  return std::make_unique<PendingMpi>(*this, flight);
}

void MpiCommunicator::wait_for(std::list<InFlight>::iterator flight) {
  const Collective& call = flight->call;
  const auto deadline = Clock::now() + options().timeout;
  MPI_Status status{};
  Pause pause;
  for (;;) {
    int over = 0;
    check_mpi(MPI_Test(&flight->request, &over, &status), call.entry.text());
    if (over) break;
    check_peers();
    check_lost(call.entry);
    if (Clock::now() >= deadline) throw timeout_error(call.entry, rank_, options().timeout, {}, stopped());
    pause();
  }
  if (call.op == CollectiveOp::kRecv) {
    int count = 0;
    MPI_Get_count(&status, mpi_type(call.output.scalar_type()), &count);
    TRIREME_CHECK(count == call.output.numel(), DistError, "dist",
                  "rank {} must be sent what it asked for, {}; got {} elements; look at the matching send.", rank_,
                  call.entry.text(), count);
  }
  in_flight_.erase(flight);
}

void MpiCommunicator::receive_notices() {
  for (;;) {
    int waiting = 0;
    MPI_Status status{};
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, 0, notices_comm_, &waiting, &status), "MPI_Iprobe");
    if (!waiting) return;
    int64_t code = 0;
    check_mpi(MPI_Recv(&code, 1, MPI_INT64_T, status.MPI_SOURCE, 0, notices_comm_, MPI_STATUS_IGNORE), "MPI_Recv");
    announced_[status.MPI_SOURCE] = decode(code);
  }
}

void MpiCommunicator::check_peers() {
  receive_notices();
  for (int other = 0; other < size_; ++other) {
    if (other != rank_ && announced_[other]) throw PeerFailed(other, announced_[other]->exit_code);
  }
}

/// throws DistError when a rank's process is gone that has not said why.
void MpiCommunicator::check_lost(const LedgerEntry& entry) {
  const std::optional<int64_t> lost = watch_->gone();
  if (!lost) return;
  check_peers();
  throw lost_rank_error(entry, rank_, *lost);
}

void MpiCommunicator::announce_failure(const RankEnding& mine) {
  announced_[rank_] = mine;
  my_notice_ = encode(mine);
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    // A notice that cannot be sent leaves that rank to its timeout; the failure that is announced matters more.
    MPI_Isend(&my_notice_, 1, MPI_INT64_T, other, 0, notices_comm_, &notices_sent_.emplace_back());
  }
}

bool MpiCommunicator::poll_endings(Clock::time_point deadline) {
  Pause pause;
  bool failure_known = false, loss_known = false;
  for (;;) {
    int over = 0;
    check_mpi(MPI_Test(&endings_request_, &over, MPI_STATUS_IGNORE), "gathering the ranks' endings");
    if (over) return true;
    receive_notices();
    const bool any = std::ranges::any_of(announced_, [](const auto& ending) { return ending.has_value(); });
    if (any && !failure_known) deadline = std::min(deadline, Clock::now() + options().grace);
    failure_known = any;
    // A lost rank's ending never comes; what the others announce is there at once. mpirun kills all within a second.
    if (!loss_known && watch_->gone()) {
      loss_known = true;
      deadline = std::min(deadline, Clock::now() + kGraceAfterLoss);
    }
    if (Clock::now() >= deadline) return false;
    pause();
  }
}

std::vector<std::optional<RankEnding>> MpiCommunicator::gather_endings(const RankEnding& mine,
                                                                       std::chrono::milliseconds patience) {
  if (endings_request_ == MPI_REQUEST_NULL && !endings_complete_) {
    my_ending_ = encode(mine);
    check_mpi(
        MPI_Iallgather(&my_ending_, 1, MPI_INT64_T, endings_.data(), 1, MPI_INT64_T, notices_comm_, &endings_request_),
        "MPI_Iallgather");
  }
  if (!endings_complete_) endings_complete_ = poll_endings(Clock::now() + patience);
  std::vector<std::optional<RankEnding>> known = announced_;
  if (!endings_complete_) {
    known[rank_] = known[rank_].value_or(mine);
    return known;
  }
  for (int rank = 0; rank < size_; ++rank) {
    const RankEnding ending = decode(endings_[rank]);
    // Its notice was sent before its ending; MPI_Finalize wants it received.
    while (announces(ending.kind) && !announced_[rank]) receive_notices();
    known[rank] = announced_[rank].value_or(ending);
  }
  check_mpi(MPI_Waitall(static_cast<int>(notices_sent_.size()), notices_sent_.data(), MPI_STATUSES_IGNORE),
            "MPI_Waitall");
  return known;
}

void MpiCommunicator::abort_group(int exit_code) {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace

std::shared_ptr<MpiSession> start_mpi() { return std::make_shared<MpiSession>(); }

std::unique_ptr<Communicator> mpi_communicator(std::shared_ptr<MpiSession> session,
                                               const CommunicatorOptions& options) {
  return std::make_unique<MpiCommunicator>(std::move(session), options);
}

std::vector<int64_t> stopped_ranks(const Communicator& communicator) {
  const auto* const mpi = dynamic_cast<const MpiCommunicator*>(&communicator);
  return mpi == nullptr ? std::vector<int64_t>{} : mpi->stopped();
}

std::string mpi_library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string_view version(text.data(), static_cast<std::size_t>(length));
  return std::string(version.substr(0, version.find_first_of(",\n")));
}

}  // namespace trireme
