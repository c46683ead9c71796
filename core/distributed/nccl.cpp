#include "core/distributed/nccl.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <list>
#include <optional>
#include <utility>

#include <nccl.h>

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "core/distributed/collective.h"
#include "core/distributed/mpi.h"
#include "core/distributed/pause.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

ncclDataType_t nccl_type(c10::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return ncclFloat32;
    case torch::kFloat64:
      return ncclFloat64;
    case torch::kInt64:
      return ncclInt64;
    case torch::kInt32:
      return ncclInt32;
    case torch::kUInt8:
    case torch::kBool:
      return ncclUint8;
    // Only moved: reductions of 16-bit floats arrive here in float32.
    case torch::kFloat16:
      return ncclFloat16;
    case torch::kBFloat16:
      return ncclBfloat16;
    default:
      TRIREME_ASSERT(false, "{} over NCCL", c10::toString(dtype));
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return ncclSum;
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
    case ReduceOp::kMean:
      break;
  }
  TRIREME_ASSERT(false, "ReduceOp {} over NCCL", static_cast<int>(op));
}

bool is_point_to_point(const Collective& call) {
  return call.op == CollectiveOp::kSend || call.op == CollectiveOp::kRecv;
}

/// A call with the tensors that the GPU reads and writes until `done` has passed.
struct InFlight {
  Collective call;
  c10::cuda::CUDAEvent done{};
  bool issued = false;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, c10::DeviceIndex device, const CommunicatorOptions& options);
  ~NcclCommunicator() override;
  int64_t rank() const override { return host_->rank(); }
  int64_t size() const override { return host_->size(); }
  void check_peers() override { host_->check_peers(); }
  void announce_failure(const RankEnding& mine) override { host_->announce_failure(mine); }
  std::vector<std::optional<RankEnding>> gather_endings(const RankEnding& mine,
                                                        std::chrono::milliseconds patience) override {
    return host_->gather_endings(mine, patience);
  }

  /// Polls until the GPU has done the call, then forgets it.
  void wait_for(std::list<InFlight>::iterator flight);

 protected:
  void abort_group(int exit_code) override { host_->abort(exit_code); }
  std::unique_ptr<PendingCollective> start(const Collective& call) override;

 private:
  void connect_gpus();
  void issue_waiting_messages();
  ncclResult_t begin(const Collective& call);
  void settle(ncclResult_t result, const std::string& what);
  void check_health(const std::string& what);
  void abandon();

  std::unique_ptr<Communicator> host_;
  c10::DeviceIndex device_;
  c10::cuda::CUDAStream stream_;
  ncclComm_t comm_ = nullptr;
  std::list<InFlight> in_flight_;
  std::vector<InFlight*> waiting_messages_;  ///< sends and recvs that NCCL has not been given yet
};

class PendingNccl final : public PendingCollective {
 public:
  PendingNccl(NcclCommunicator& communicator, std::list<InFlight>::iterator flight)
      : communicator_(communicator), flight_(flight) {}
  void wait() override { communicator_.wait_for(flight_); }

 private:
  NcclCommunicator& communicator_;
  std::list<InFlight>::iterator flight_;
};

/// A call over CPU tensors that the host's communicator has begun.
class PendingHost final : public PendingCollective {
 public:
  explicit PendingHost(Work work) : work_(std::move(work)) {}
  void wait() override { work_->wait(); }

 private:
  std::optional<Work> work_;  ///< always there; Work by itself has a throwing destructor
};

/// The reduction is one of a plain dtype, so the host's communicator passes it on as it is.
std::unique_ptr<PendingCollective> start_on_host(Communicator& host, const Collective& call) {
  switch (call.op) {
    case CollectiveOp::kAllReduce:
      if (!call.output.is_same(call.input)) call.output.copy_(call.input);
      return std::make_unique<PendingHost>(host.all_reduce(call.output, call.reduce));
    case CollectiveOp::kAllGather:
      return std::make_unique<PendingHost>(host.all_gather(call.output, call.input));
    case CollectiveOp::kReduceScatter:
      return std::make_unique<PendingHost>(host.reduce_scatter(call.output, call.input, call.reduce));
    case CollectiveOp::kBroadcast:
      return std::make_unique<PendingHost>(host.broadcast(call.output, call.peer));
    case CollectiveOp::kSend:
      return std::make_unique<PendingHost>(host.send(call.input, call.peer));
    case CollectiveOp::kRecv:
      return std::make_unique<PendingHost>(host.recv(call.output, call.peer));
    case CollectiveOp::kBarrier:
      break;
  }
  TRIREME_ASSERT(false, "CollectiveOp {} on the host", static_cast<int>(call.op));
}

class Done final : public PendingCollective {
 public:
  void wait() override {}
};

/// NCCL counts in 64 bits and holds no room for what it moves. In pieces, messages to and fro could block each other.
CommunicatorOptions in_one_piece(CommunicatorOptions options) {
  options.piece_bytes = std::numeric_limits<int64_t>::max();
  return options;
}

NcclCommunicator::NcclCommunicator(std::unique_ptr<Communicator> host, c10::DeviceIndex device,
                                   const CommunicatorOptions& options)
    : Communicator(in_one_piece(options)),
      host_(std::move(host)),
      device_(device),
      stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device)) {
  try {
    connect_gpus();
  } catch (const Error&) {
    abandon();
    throw;
  }
}

NcclCommunicator::~NcclCommunicator() {
  if (comm_ == nullptr) return;
  if (!in_flight_.empty()) {
    abandon();
    return;
  }
  // Finalizing is collective and does not block; a rank that is gone must not hold this one up for ever.
  ncclResult_t state = ncclCommFinalize(comm_);
  Pause pause;
  for (const auto deadline = Clock::now() + options().grace; state == ncclInProgress && Clock::now() < deadline;) {
    pause();
    if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess) break;
  }
  if (state == ncclSuccess) {
    ncclCommDestroy(comm_);
  } else {
    ncclCommAbort(comm_);
  }
}

void NcclCommunicator::connect_gpus() {
  ncclUniqueId id{};
  if (rank() == 0) settle(ncclGetUniqueId(&id), "ncclGetUniqueId");
  const torch::Tensor bytes = at::empty({NCCL_UNIQUE_ID_BYTES}, torch::kUInt8);
  std::memcpy(bytes.data_ptr(), id.internal, NCCL_UNIQUE_ID_BYTES);
  host_->broadcast(bytes, 0).wait();
  std::memcpy(id.internal, bytes.const_data_ptr(), NCCL_UNIQUE_ID_BYTES);

  const c10::cuda::CUDAGuard guard(device_);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;  // every call returns at once, so that every wait can have an end
  const ncclResult_t result =
      ncclCommInitRankConfig(&comm_, static_cast<int>(size()), id, static_cast<int>(rank()), &config);
  settle(result, "ncclCommInitRankConfig");
}

/// NCCL goes on with a call in a thread of its own; afterwards the call is in the stream.
void NcclCommunicator::settle(ncclResult_t result, const std::string& what) {
  const auto deadline = Clock::now() + options().timeout;
  Pause pause;
  while (result == ncclInProgress) {
    host_->check_peers();
    TRIREME_CHECK(
        Clock::now() < deadline, DistError, "nccl",
        "{} must be ready within {:g} s on every rank; got rank {} waiting; look for a rank that is stuck, or "
        "set NCCL_DEBUG=INFO.",
        what, std::chrono::duration<double>(options().timeout).count(), rank());
    pause();
    if (const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result); asked != ncclSuccess) result = asked;
  }
  TRIREME_CHECK(result == ncclSuccess, DistError, "nccl",
                "{} must succeed; got \"{}\" ({}); look at the other ranks, and set NCCL_DEBUG=INFO.", what,
                ncclGetErrorString(result), ncclGetLastError(comm_));
}

void NcclCommunicator::check_health(const std::string& what) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  const ncclResult_t result = asked == ncclSuccess ? state : asked;
  TRIREME_CHECK(result == ncclSuccess || result == ncclInProgress, DistError, "nccl",
                "{} must succeed; got \"{}\" ({}); look at the other ranks, and set NCCL_DEBUG=INFO.", what,
                ncclGetErrorString(result), ncclGetLastError(comm_));
}

/// Ends NCCL's kernels on this GPU, which would wait for the other ranks for ever.
void NcclCommunicator::abandon() {
  if (ncclComm_t comm = std::exchange(comm_, nullptr)) ncclCommAbort(comm);
}

std::unique_ptr<PendingCollective> NcclCommunicator::start(const Collective& call) {
  if (call.op == CollectiveOp::kBarrier) {
    host_->barrier();
    return std::make_unique<Done>();
  }
  const torch::Tensor& any = call.input.defined() ? call.input : call.output;
  if (any.is_cpu()) return start_on_host(*host_, call);
  for (const torch::Tensor& tensor : {call.input, call.output}) {
    TRIREME_CHECK(!tensor.defined() || (tensor.is_cuda() && tensor.device().index() == device_), ShapeError,
                  op_name(call.op), "tensors must be on GPU {} of this rank; got {} on {}; move it.", device_,
                  shape_string(tensor), tensor.device().str());
  }
  TRIREME_CHECK(comm_ != nullptr, DistError, "nccl",
                "a collective must not follow one that failed; got {}; end this rank.", call.entry.text());

  const c10::cuda::CUDAGuard guard(device_);
  c10::cuda::CUDAEvent ready;
  ready.record(c10::cuda::getCurrentCUDAStream(device_));
  ready.block(stream_);
  const auto flight = in_flight_.emplace(in_flight_.end());
  flight->call = call;
  try {
    if (is_point_to_point(call)) {
      waiting_messages_.push_back(&*flight);
      const auto has = [this](CollectiveOp op) {
        return std::ranges::any_of(waiting_messages_, [op](const InFlight* each) { return each->call.op == op; });
      };
      if (has(CollectiveOp::kSend) && has(CollectiveOp::kRecv)) issue_waiting_messages();
    } else {
      issue_waiting_messages();
      settle(begin(call), call.entry.text());
      flight->done.record(stream_);
      flight->issued = true;
    }
  } catch (const Error&) {
    abandon();
    throw;
  }
  return std::make_unique<PendingNccl>(*this, flight);
}

void NcclCommunicator::issue_waiting_messages() {
  if (waiting_messages_.empty()) return;
  const std::string what = waiting_messages_.front()->call.entry.text();
  settle(ncclGroupStart(), what);
  for (const InFlight* message : waiting_messages_) {
    const ncclResult_t result = begin(message->call);
    if (result != ncclInProgress) settle(result, message->call.entry.text());
  }
  settle(ncclGroupEnd(), what);
  for (InFlight* message : waiting_messages_) {
    message->done.record(stream_);
    message->issued = true;
  }
  waiting_messages_.clear();
}

ncclResult_t NcclCommunicator::begin(const Collective& call) {
  const torch::Tensor& any = call.input.defined() ? call.input : call.output;
  const ncclDataType_t type = nccl_type(any.scalar_type());
  const auto count_of = [](const torch::Tensor& tensor) { return static_cast<size_t>(tensor.numel()); };
  const void* input = call.input.defined() ? call.input.const_data_ptr() : nullptr;
  void* output = call.output.defined() ? call.output.data_ptr() : nullptr;
  const int peer = static_cast<int>(call.peer);
  cudaStream_t stream = stream_.stream();
  switch (call.op) {
    case CollectiveOp::kAllReduce:
      return ncclAllReduce(input, output, count_of(call.output), type, nccl_op(call.reduce), comm_, stream);
    case CollectiveOp::kAllGather:
      return ncclAllGather(input, output, count_of(call.input), type, comm_, stream);
    case CollectiveOp::kReduceScatter:
      return ncclReduceScatter(input, output, count_of(call.output), type, nccl_op(call.reduce), comm_, stream);
    case CollectiveOp::kBroadcast:
      return ncclBroadcast(output, output, count_of(call.output), type, peer, comm_, stream);
    case CollectiveOp::kSend:
      return ncclSend(input, count_of(call.input), type, peer, comm_, stream);
    case CollectiveOp::kRecv:
      return ncclRecv(output, count_of(call.output), type, peer, comm_, stream);
    case CollectiveOp::kBarrier:
      break;
  }
  TRIREME_ASSERT(false, "CollectiveOp {} over NCCL", static_cast<int>(call.op));
}

void NcclCommunicator::wait_for(std::list<InFlight>::iterator flight) {
  const c10::cuda::CUDAGuard guard(device_);
  const std::string what = flight->call.entry.text();
  TRIREME_CHECK(comm_ != nullptr, DistError, "nccl",
                "a collective must not be waited for after one that failed; got {}; end this rank.", what);
  try {
    if (!flight->issued) issue_waiting_messages();
    const auto deadline = Clock::now() + options().timeout;
    for (Pause pause; !flight->done.query(); pause()) {
      check_health(what);
      host_->check_peers();
      if (Clock::now() >= deadline) {
        throw timeout_error(flight->call.entry, rank(), options().timeout, {}, stopped_ranks(*host_));
      }
    }
  } catch (const Error&) {
    abandon();
    throw;
  }
  in_flight_.erase(flight);
}

}  // namespace

std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> host, int64_t device,
                                                const CommunicatorOptions& options) {
  const int64_t devices = c10::cuda::device_count();
  TRIREME_CHECK(device >= 0 && device < devices, ConfigError, "nccl",
                "every rank must have a GPU of its own; got local rank {} and {} GPUs; start fewer ranks on this host.",
                device, devices);
  return std::make_unique<NcclCommunicator>(std::move(host), static_cast<c10::DeviceIndex>(device), options);
}

}  // namespace trireme
