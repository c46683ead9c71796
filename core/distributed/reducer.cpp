#include "core/distributed/reducer.h"

#include <map>
#include <utility>

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "core/distributed/agreement.h"
#include "core/io/hash.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace trireme {

struct GradientReducer::Bucket {
  std::vector<std::size_t> parameters;
  int64_t elements = 0;
  torch::Tensor flat;
  std::size_t missing = 0;  ///< parameters whose gradient the overlapping backward has not brought yet
  std::optional<Work> work;
};

class GradientReducer::Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientReducer& reducer, std::size_t parameter) : reducer_(reducer), parameter_(parameter) {}
  void operator()(const torch::Tensor&) override { reducer_.gradient_arrived(parameter_); }

 private:
  GradientReducer& reducer_;
  std::size_t parameter_;
};

namespace {

/// What the ranks must have in common for their buckets to be the same.
std::string layout_text(const std::vector<torch::Tensor>& parameters, int64_t bucket_bytes) {
  std::string layout = fmt::format("{} bytes a bucket", bucket_bytes);
  int64_t elements = 0;
  for (const torch::Tensor& parameter : parameters) {
    layout += "; " + shape_string(parameter);
    elements += parameter.numel();
  }
  return fmt::format("{} tensors with {} elements (layout {:016x})", parameters.size(), elements,
                     xxh3_64(std::as_bytes(std::span(layout))));
}

void check_parameter(const torch::Tensor& parameter) {
  TRIREME_CHECK(
      parameter.defined() && parameter.is_leaf() && parameter.requires_grad() && parameter.is_floating_point(),
      ShapeError, "reducer",
      "every parameter must be a floating leaf that requires a gradient; got {}; pass the model's own "
      "trainable tensors.",
      shape_string(parameter));
  TRIREME_ASSERT(!parameter.grad().defined(), "a parameter of shape {} has a gradient already",
                 shape_string(parameter));
  TRIREME_ASSERT(torch::autograd::impl::post_acc_grad_hooks(parameter) == nullptr,
                 "two reducers share a parameter of shape {}", shape_string(parameter));
}

}  // namespace

GradientReducer::GradientReducer(std::vector<torch::Tensor> parameters, Communicator& communicator,
                                 const ReducerOptions& options)
    : communicator_(communicator),
      parameters_(std::move(parameters)),
      gradients_(parameters_.size()),
      bucket_of_(parameters_.size()),
      arrived_(parameters_.size()) {
  for (const torch::Tensor& parameter : parameters_) check_parameter(parameter);
  check_ranks_agree(communicator_, "trainable parameters", layout_text(parameters_, options.bucket_bytes),
                    "start every rank with the same config and the same weights.");

  // Backward brings the gradients of the last layers first.
  std::map<std::pair<c10::ScalarType, std::string>, std::size_t> open_bucket;
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    const torch::Tensor& parameter = parameters_[i];
    const auto kind = std::pair(parameter.scalar_type(), parameter.device().str());
    const auto found = open_bucket.find(kind);
    const auto bytes = static_cast<int64_t>(parameter.nbytes());
    const bool fits = found != open_bucket.end() &&
                      buckets_[found->second]->elements * static_cast<int64_t>(parameter.element_size()) + bytes <=
                          options.bucket_bytes;
    if (!fits) {
      open_bucket[kind] = buckets_.size();
      buckets_.push_back(std::make_unique<Bucket>());
    }
    bucket_of_[i] = open_bucket[kind];
    Bucket& bucket = *buckets_[bucket_of_[i]];
    bucket.parameters.push_back(i);
    bucket.elements += parameter.numel();
  }

  for (const auto& bucket : buckets_) {
    bucket->flat =
        at::zeros({bucket->elements}, parameters_[bucket->parameters.front()].options().requires_grad(false));
    int64_t begin = 0;
    for (const std::size_t i : bucket->parameters) {
      gradients_[i] = bucket->flat.narrow(0, begin, parameters_[i].numel()).view(parameters_[i].sizes());
      begin += parameters_[i].numel();
      parameters_[i].mutable_grad() = gradients_[i];
      torch::autograd::impl::set_post_acc_grad_hooks(parameters_[i], std::make_unique<Hook>(*this, i));
    }
  }
}

GradientReducer::~GradientReducer() {
  for (torch::Tensor& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
    parameter.mutable_grad() = torch::Tensor();
  }
}

int64_t GradientReducer::bucket_count() const noexcept { return std::ssize(buckets_); }

void GradientReducer::start_step() {
  TRIREME_ASSERT(launched_ == 0, "{} buckets are under way; finish_step() comes first", launched_);
  overlaps_ = false;
  const c10::NoGradGuard no_grad;
  for (const auto& bucket : buckets_) bucket->flat.zero_();
}

void GradientReducer::overlap_next_backward() {
  TRIREME_ASSERT(!overlaps_ && launched_ == 0, "the step's last backward was announced already");
  overlaps_ = true;
  arrived_.assign(parameters_.size(), false);
  for (const auto& bucket : buckets_) bucket->missing = bucket->parameters.size();
}

void GradientReducer::gradient_arrived(std::size_t parameter) {
  // A graph over several devices runs on one autograd thread for each.
  const std::scoped_lock lock(mutex_);
  if (!overlaps_) return;
  Bucket& bucket = *buckets_[bucket_of_[parameter]];
  TRIREME_ASSERT(!bucket.work.has_value(),
                 "a parameter of shape {} got a second gradient after its bucket had left: it is shared by recomputed "
                 "parts of the model, which must not use overlap_next_backward()",
                 shape_string(parameters_[parameter]));
  if (arrived_[parameter]) return;
  arrived_[parameter] = true;
  --bucket.missing;
  while (launched_ < buckets_.size() && buckets_[launched_]->missing == 0) launch_next();
}

void GradientReducer::launch_next() {
  Bucket& bucket = *buckets_[launched_];
  bucket.work.emplace(communicator_.all_reduce(bucket.flat, ReduceOp::kSum));
  ++launched_;
}

void GradientReducer::finish_step() {
  overlaps_ = false;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    TRIREME_ASSERT(parameters_[i].grad().defined() && parameters_[i].grad().data_ptr() == gradients_[i].data_ptr(),
                   "the gradient of a parameter of shape {} was replaced instead of added to",
                   shape_string(parameters_[i]));
  }
  while (launched_ < buckets_.size()) launch_next();
  for (const auto& bucket : buckets_) {
    bucket->work->wait();
    bucket->work.reset();
  }
  launched_ = 0;
}

}  // namespace trireme
