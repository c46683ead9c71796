#include "core/distributed/communicator.h"

#include <algorithm>
#include <array>
#include <exception>
#include <functional>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "core/distributed/collective.h"
#include "core/distributed/pieces.h"
#include "core/io/mapping_fault.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace trireme {
namespace {

constexpr std::array kDtypes = {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16,
                                torch::kInt64,   torch::kInt32,   torch::kUInt8,   torch::kBool};

bool is_point_to_point(CollectiveOp op) { return op == CollectiveOp::kSend || op == CollectiveOp::kRecv; }

bool is_half(const torch::Tensor& tensor) {
  return tensor.scalar_type() == torch::kFloat16 || tensor.scalar_type() == torch::kBFloat16;
}

void check_tensor(CollectiveOp op, std::string_view name, const torch::Tensor& tensor) {
  TRIREME_CHECK(tensor.defined(), ShapeError, op_name(op), "{} must be a tensor; got undefined; pass one.", name);
  TRIREME_CHECK(tensor.is_contiguous(), ShapeError, op_name(op),
                "{} must be contiguous; got {} with strides {}; call contiguous() first.", name, shape_string(tensor),
                shape_string(tensor.strides()));
  TRIREME_CHECK(std::ranges::find(kDtypes, tensor.scalar_type()) != kDtypes.end(), ShapeError, op_name(op),
                "{} must be float32, float64, float16, bfloat16, int64, int32, uint8 or bool; got {}; convert it.",
                name, shape_string(tensor));
}

bool overlap(const torch::Tensor& a, const torch::Tensor& b) {
  const auto* a_begin = static_cast<const std::byte*>(a.const_data_ptr());
  const auto* b_begin = static_cast<const std::byte*>(b.const_data_ptr());
  const std::less<> before;  // a total order, also over pointers into different tensors
  if (a_begin == nullptr || b_begin == nullptr) return false;  // empty, or shapes without memory
  return a.numel() > 0 && b.numel() > 0 && before(a_begin, b_begin + b.nbytes()) &&
         before(b_begin, a_begin + a.nbytes());
}

/// `many` must be [R, ..one].
void check_pair(CollectiveOp op, std::string_view many_name, const torch::Tensor& many, std::string_view one_name,
                const torch::Tensor& one, int64_t ranks) {
  check_tensor(op, many_name, many);
  check_tensor(op, one_name, one);
  std::vector<int64_t> required = {ranks};
  required.insert(required.end(), one.sizes().begin(), one.sizes().end());
  TRIREME_CHECK(many.sizes() == c10::IntArrayRef(required) && many.scalar_type() == one.scalar_type(), ShapeError,
                op_name(op), "{} must be {} {}: one {} per rank; got {}; allocate it so.", many_name,
                shape_string(c10::IntArrayRef(required)), dtype_name(one.scalar_type()), one_name, shape_string(many));
  TRIREME_CHECK(!overlap(many, one), ShapeError, op_name(op),
                "{} and {} must not share memory; got overlapping tensors; gather into a tensor of its own.", many_name,
                one_name);
}

void check_reduction(CollectiveOp op, ReduceOp reduce, const torch::Tensor& tensor) {
  TRIREME_CHECK(reduce != ReduceOp::kMean || tensor.is_floating_point(), ShapeError, op_name(op),
                "a mean needs a floating dtype; got {}; take the sum.", shape_string(tensor));
  TRIREME_CHECK(reduce != ReduceOp::kSum || tensor.scalar_type() != torch::kBool, ShapeError, op_name(op),
                "a sum needs a number dtype; got {}; use kMax for any, kMin for all.", shape_string(tensor));
}

Collective make_collective(CollectiveOp op, ReduceOp reduce, int64_t peer, torch::Tensor input, torch::Tensor output) {
  LedgerEntry entry{.number = 0, .op = op, .reduce = reduce, .peer = peer};
  // Of the two tensors of a gather or a scatter, the smaller is what one rank contributes.
  const torch::Tensor& share = op == CollectiveOp::kReduceScatter || op == CollectiveOp::kRecv ? output : input;
  if (share.defined()) {
    entry.count = share.numel();
    entry.dtype = share.scalar_type();
  }
  return {
      .op = op, .reduce = reduce, .peer = peer, .input = std::move(input), .output = std::move(output), .entry = entry};
}

/// A collective with something left to do on this rank once it is over.
class PendingThen final : public PendingCollective {
 public:
  PendingThen(std::unique_ptr<PendingCollective> pending, std::function<void()> then)
      : pending_(std::move(pending)), then_(std::move(then)) {}
  void wait() override {
    pending_->wait();
    const c10::NoGradGuard no_grad;
    then_();
  }

 private:
  std::unique_ptr<PendingCollective> pending_;
  std::function<void()> then_;
};

/// Pieces of one message, begun one after the other.
class PendingPieces final : public PendingCollective {
 public:
  void add(std::unique_ptr<PendingCollective> piece) { pieces_.push_back(std::move(piece)); }
  void wait() override {
    for (const auto& piece : pieces_) piece->wait();
  }

 private:
  std::vector<std::unique_ptr<PendingCollective>> pieces_;
};

}  // namespace

Communicator::Communicator(CommunicatorOptions options) : options_(options) {}
Communicator::~Communicator() = default;

Work Communicator::all_reduce(torch::Tensor tensor, ReduceOp op) {
  check_tensor(CollectiveOp::kAllReduce, "the tensor", tensor);
  check_reduction(CollectiveOp::kAllReduce, op, tensor);
  return begin(make_collective(CollectiveOp::kAllReduce, op, -1, tensor, tensor));
}

Work Communicator::all_gather(torch::Tensor output, torch::Tensor input) {
  check_pair(CollectiveOp::kAllGather, "the output", output, "input", input, size());
  return begin(make_collective(CollectiveOp::kAllGather, ReduceOp::kSum, -1, std::move(input), std::move(output)));
}

Work Communicator::reduce_scatter(torch::Tensor output, torch::Tensor input, ReduceOp op) {
  check_pair(CollectiveOp::kReduceScatter, "the input", input, "output", output, size());
  check_reduction(CollectiveOp::kReduceScatter, op, output);
  return begin(make_collective(CollectiveOp::kReduceScatter, op, -1, std::move(input), std::move(output)));
}

Work Communicator::broadcast(torch::Tensor tensor, int64_t root) {
  check_tensor(CollectiveOp::kBroadcast, "the tensor", tensor);
  TRIREME_ASSERT(root >= 0 && root < size(), "broadcast from rank {} of {}", root, size());
  return begin(make_collective(CollectiveOp::kBroadcast, ReduceOp::kSum, root, tensor, tensor));
}

Work Communicator::send(torch::Tensor tensor, int64_t to) {
  check_tensor(CollectiveOp::kSend, "the tensor", tensor);
  TRIREME_ASSERT(to >= 0 && to < size() && to != rank(), "rank {} of {} sends to rank {}", rank(), size(), to);
  return begin(make_collective(CollectiveOp::kSend, ReduceOp::kSum, to, std::move(tensor), {}));
}

Work Communicator::recv(torch::Tensor tensor, int64_t from) {
  check_tensor(CollectiveOp::kRecv, "the tensor", tensor);
  TRIREME_ASSERT(from >= 0 && from < size() && from != rank(), "rank {} of {} receives from rank {}", rank(), size(),
                 from);
  return begin(make_collective(CollectiveOp::kRecv, ReduceOp::kSum, from, {}, std::move(tensor)));
}

void Communicator::barrier() { begin(make_collective(CollectiveOp::kBarrier, ReduceOp::kSum, -1, {}, {})).wait(); }

void Communicator::abort(int exit_code) {
  abort_group(exit_code);
  std::terminate();
}

Work Communicator::begin(Collective call) {
  require_mappings_whole();
  if (!is_point_to_point(call.op)) {
    call.entry.number = ++ledger_number_;
    if (options_.verify) compare_over_ranks(call.entry);
  }
  const bool reduces = call.op == CollectiveOp::kAllReduce || call.op == CollectiveOp::kReduceScatter;
  if (!reduces || size() == 1) return Work(start_in_pieces(call));

  const c10::NoGradGuard no_grad;
  const torch::Tensor result = call.output;
  if (is_half(result)) {
    const bool in_place = call.op == CollectiveOp::kAllReduce;
    call.input = call.input.to(torch::kFloat32);
    call.output = in_place ? call.input : at::empty(result.sizes(), result.options().dtype(torch::kFloat32));
  }
  const bool mean = call.reduce == ReduceOp::kMean;
  if (mean) call.reduce = ReduceOp::kSum;
  if (!mean && result.is_same(call.output)) return Work(start_in_pieces(call));
  const auto divisor = mean ? static_cast<double>(size()) : 1.0;
  return Work(std::make_unique<PendingThen>(start_in_pieces(call), [reduced = call.output, result, divisor] {
    if (divisor != 1.0) reduced.div_(divisor);
    if (!result.is_same(reduced)) result.copy_(reduced);
  }));
}

/// A message's pieces are all begun at once, or two ranks that write to each other would wait for ever. A collective's
/// go one after the other, so that the transport holds room for one of them; every rank waits for each, in one order.
std::unique_ptr<PendingCollective> Communicator::start_in_pieces(const Collective& call) {
  const int64_t count = call.entry.count, ranks = size();
  const int64_t at_a_time = elements_at_a_time(call, ranks, options_.piece_bytes);
  if (at_a_time >= count || ranks == 1) return start(call);
  const c10::NoGradGuard no_grad;
  auto under_way = std::make_unique<PendingPieces>();
  for (int64_t begin = 0; begin < count; begin += at_a_time) {
    const Collective piece = piece_of(call, ranks, begin, std::min(at_a_time, count - begin));
    std::unique_ptr<PendingCollective> pending = start(piece);
    if (is_point_to_point(call.op)) {
      under_way->add(std::move(pending));
    } else {
      pending->wait();
      store_piece(call, piece, ranks, begin);
    }
  }
  return under_way;
}

void Communicator::compare_over_ranks(const LedgerEntry& mine) {
  const torch::Tensor input =
      at::tensor({static_cast<int64_t>(mine.number), static_cast<int64_t>(mine.op), static_cast<int64_t>(mine.reduce),
                  mine.peer, mine.count, static_cast<int64_t>(mine.dtype)},
                 torch::kInt64);
  const torch::Tensor output = at::empty({size(), input.numel()}, torch::kInt64);
  Collective exchange = make_collective(CollectiveOp::kAllGather, ReduceOp::kSum, -1, input, output);
  exchange.entry = mine;  // a rank that does not arrive is missed by the caller's collective, not by this one
  start(exchange)->wait();
  const auto entry_of = [&output](int64_t rank) {
    const int64_t* row = output.const_data_ptr<int64_t>() + rank * output.size(1);
    return LedgerEntry{.number = static_cast<uint64_t>(row[0]),
                       .op = static_cast<CollectiveOp>(row[1]),
                       .reduce = static_cast<ReduceOp>(row[2]),
                       .peer = row[3],
                       .count = row[4],
                       .dtype = static_cast<c10::ScalarType>(row[5])};
  };
  const LedgerEntry first = entry_of(0);
  for (int64_t other = 1; other < size(); ++other) {
    if (entry_of(other) != first) throw mismatch_error(0, first, other, entry_of(other));
  }
}

}  // namespace trireme
