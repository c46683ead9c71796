#include "trainers/running_sums.h"

#include <utility>

#include <fmt/format.h>

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace trireme {

RunningSums::RunningSums(Communicator& communicator, c10::Device device, int64_t values)
    : communicator_(communicator), sums_(at::zeros({values}, at::dtype(torch::kFloat64).device(device))) {}

torch::Tensor RunningSums::share(double value) const { return at::scalar_tensor(value, sums_.options()); }

void RunningSums::add(std::span<const torch::Tensor> shares) {
  TRIREME_ASSERT(std::ssize(shares) == sums_.numel(), "{} values for {}", shares.size(), sums_.numel());
  std::vector<torch::Tensor> same_kind;
  for (const torch::Tensor& value : shares) same_kind.push_back(value.to(sums_.options()));
  torch::Tensor values = at::stack(same_kind);
  communicator_.all_reduce(values, ReduceOp::kSum).wait();
  sums_ += values;
  ++steps_;
}

std::vector<double> RunningSums::take() {
  const torch::Tensor sums = sums_.cpu();
  const auto* sum = sums.const_data_ptr<double>();
  std::vector<double> out(sum, sum + sums.numel());
  sums_.zero_();
  steps_ = 0;
  return out;
}

std::map<std::string, double> RunningSums::state() const {
  std::map<std::string, double> out = {{"totals.steps", static_cast<double>(steps_)}};
  const torch::Tensor sums = sums_.cpu();
  for (int64_t i = 0; i < sums.numel(); ++i) out[fmt::format("totals.{}", i)] = sums.const_data_ptr<double>()[i];
  return out;
}

void RunningSums::restore(const std::map<std::string, double>& counters) {
  const auto steps = counters.find("totals.steps");
  if (steps == counters.end()) return;
  steps_ = static_cast<int64_t>(steps->second);
  for (int64_t i = 0; i < sums_.numel(); ++i) sums_[i] = counters.at(fmt::format("totals.{}", i));
}

}  // namespace trireme
