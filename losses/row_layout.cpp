#include "losses/row_layout.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/shape.h"
#include "losses/info_nce.h"

namespace trireme {
namespace {

/// What each rank tells the others, in this order.
enum Fact { kRows, kHardNegatives, kWidth, kDtype, kGradient, kKnownIds, kFacts };

/// What must be equal, and what it is called.
constexpr std::array<std::pair<Fact, std::string_view>, 4> kAgreed = {
    {{kHardNegatives, "number of hard negatives a query (N)"},
     {kWidth, "embedding width (D)"},
     {kDtype, "dtype of the rows"},
     {kGradient, "answer to whether the rows require a gradient"}}};

std::string shown(Fact fact, int64_t value) {
  if (fact == kDtype) return dtype_name(static_cast<c10::ScalarType>(value));
  if (fact == kGradient) return value == 1 ? "yes" : "no";
  return fmt::format("{}", value);
}

bool requires_gradient(const ContrastiveRows& rows) {
  return c10::GradMode::is_enabled() && (rows.query.requires_grad() || rows.candidate.requires_grad() ||
                                         (rows.hard_negative.defined() && rows.hard_negative.requires_grad()));
}

torch::Tensor padded(const torch::Tensor& share, int64_t rows) {
  if (share.size(0) == rows) return share.contiguous();
  auto sizes = share.sizes().vec();
  sizes[0] = rows;
  torch::Tensor whole = at::zeros(sizes, share.options());
  whole.narrow(0, 0, share.size(0)).copy_(share);
  return whole;
}

struct Gathering : torch::CustomClassHolder {
  Gathering(RowLayout of, Communicator& over) : layout(std::move(of)), comm(over) {}
  RowLayout layout;
  Communicator& comm;
};

struct GatherRows : torch::autograd::Function<GatherRows> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& share,
                               const c10::intrusive_ptr<Gathering>& gathering) {
    context->saved_data["gathering"] = torch::IValue::make_capsule(gathering);
    return all_gather_rows(share, gathering->layout, gathering->comm);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto gathering = c10::static_intrusive_pointer_cast<Gathering>(context->saved_data["gathering"].toCapsule());
    const RowLayout& layout = gathering->layout;
    const torch::Tensor& gradient = gradients[0];
    auto sizes = gradient.sizes().vec();
    sizes[0] = layout.most_rows;
    const torch::Tensor share = at::empty(sizes, gradient.options());
    sizes.insert(sizes.begin(), layout.ranks());
    const torch::Tensor by_rank = at::zeros(sizes, gradient.options());
    for (int64_t r = 0; r < layout.ranks(); ++r) {
      const auto i = static_cast<std::size_t>(r);
      by_rank[r]
          .narrow(0, 0, layout.rows_of_rank[i])
          .copy_(gradient.narrow(0, layout.first_of_rank[i], layout.rows_of_rank[i]));
    }
    gathering->comm.reduce_scatter(share, by_rank, ReduceOp::kSum).wait();
    return {share.narrow(0, 0, layout.my_rows()), torch::Tensor()};
  }
};

}  // namespace

RowLayout agree_on_layout(const ContrastiveRows& rows, int64_t known_ids, Communicator& comm) {
  std::array<int64_t, kFacts> mine{};
  mine[kRows] = rows.query.size(0);
  mine[kHardNegatives] = rows.hard_negative.defined() ? rows.hard_negative.size(1) : 0;
  mine[kWidth] = rows.query.size(1);
  mine[kDtype] = static_cast<int64_t>(rows.query.scalar_type());
  mine[kGradient] = requires_gradient(rows) ? 1 : 0;
  mine[kKnownIds] = known_ids;
  const torch::Tensor input = at::tensor(c10::ArrayRef<int64_t>(mine), torch::kInt64).to(rows.query.device());
  const torch::Tensor output = at::empty({comm.size(), kFacts}, input.options());
  comm.all_gather(output, input).wait();
  const torch::Tensor facts = output.cpu();
  const auto fact = [&](int64_t rank, Fact which) { return facts.const_data_ptr<int64_t>()[rank * kFacts + which]; };

  RowLayout layout;
  layout.rank = comm.rank();
  layout.hard_negatives = mine[kHardNegatives];
  for (int64_t r = 0; r < comm.size(); ++r) {
    for (const auto& [which, name] : kAgreed) {
      TRIREME_CHECK(fact(r, which) == fact(0, which), ShapeError, "info_nce",
                    "every rank must have the same {}; got {} on rank 0 and {} on rank {}; give all ranks rows of one "
                    "kind.",
                    name, shown(which, fact(0, which)), shown(which, fact(r, which)), r);
    }
    TRIREME_CHECK(fact(r, kRows) > 0, ShapeError, "info_nce",
                  "every rank must have at least one row; got none on rank {}; use a batch of at least {} rows.", r,
                  comm.size());
    layout.first_of_rank.push_back(layout.global_rows);
    layout.rows_of_rank.push_back(fact(r, kRows));
    layout.global_rows += fact(r, kRows);
    layout.most_rows = std::max(layout.most_rows, fact(r, kRows));
    layout.most_known_ids = std::max(layout.most_known_ids, fact(r, kKnownIds));
  }
  TRIREME_CHECK(layout.global_rows * (1 + layout.hard_negatives) >= 2, ShapeError, "info_nce",
                "a query must have a negative; got a global batch of one pair without hard negatives; use more pairs.");
  return layout;
}

torch::Tensor all_gather_rows(const torch::Tensor& share, const RowLayout& layout, Communicator& comm) {
  const torch::Tensor input = padded(share.detach(), layout.most_rows);
  auto sizes = input.sizes().vec();
  sizes.insert(sizes.begin(), layout.ranks());
  const torch::Tensor by_rank = at::empty(sizes, input.options());
  comm.all_gather(by_rank, input).wait();
  if (layout.global_rows == layout.most_rows * layout.ranks()) return by_rank.flatten(0, 1);
  std::vector<torch::Tensor> shares;
  for (int64_t r = 0; r < layout.ranks(); ++r)
    shares.push_back(by_rank[r].narrow(0, 0, layout.rows_of_rank[static_cast<std::size_t>(r)]));
  return at::cat(shares);
}

torch::Tensor all_gather_rows_with_gradient(const torch::Tensor& share, const RowLayout& layout, Communicator& comm) {
  return GatherRows::apply(share, c10::make_intrusive<Gathering>(layout, comm));
}

}  // namespace trireme
