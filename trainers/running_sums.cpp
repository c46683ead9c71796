#include "trainers/running_sums.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace trireme {
namespace {

constexpr std::string_view kPrefix = "totals.";
constexpr const char* kStepsKey = "totals.steps";

}  // namespace

RunningSums::RunningSums(Communicator& communicator, c10::Device device, std::vector<std::string> names)
    : communicator_(communicator),
      keys_(std::move(names)),
      sums_(at::zeros({std::ssize(keys_)}, at::TensorOptions(torch::kFloat64).device(device))) {
  for (std::string& key : keys_) {
    key.insert(0, kPrefix);
    TRIREME_ASSERT(key != kStepsKey && std::ranges::count(keys_, key) == 1, "two sums are called {}", key);
  }
}

torch::Tensor RunningSums::share(double value) const { return at::scalar_tensor(value, sums_.options()); }

void RunningSums::add(std::span<const torch::Tensor> shares) {
  TRIREME_ASSERT(std::ssize(shares) == sums_.numel(), "{} values for {}", shares.size(), sums_.numel());
  std::vector<torch::Tensor> same_kind;
  for (const torch::Tensor& value : shares) same_kind.push_back(value.to(sums_.options()));
  torch::Tensor values = at::stack(same_kind);
  communicator_.all_reduce(values, ReduceOp::kSum).wait();
  sums_ += values;
  ++steps_;
  unread_.push_back(std::move(values));
}

std::vector<double> RunningSums::take() {
  const torch::Tensor sums = sums_.cpu();
  const auto* sum = sums.const_data_ptr<double>();
  std::vector<double> out(sum, sum + sums.numel());
  sums_.zero_();
  steps_ = 0;
  return out;
}

std::vector<std::vector<double>> RunningSums::read_steps() {
  std::vector<std::vector<double>> steps;
  if (unread_.empty()) return steps;
  const torch::Tensor values = at::stack(std::exchange(unread_, {})).cpu();
  for (int64_t i = 0; i < values.size(0); ++i) {
    const double* row = values.const_data_ptr<double>() + i * values.size(1);
    steps.emplace_back(row, row + values.size(1));
  }
  return steps;
}

std::map<std::string, double> RunningSums::state() const {
  std::map<std::string, double> out = {{kStepsKey, static_cast<double>(steps_)}};
  const torch::Tensor sums = sums_.cpu();
  for (std::size_t i = 0; i < keys_.size(); ++i) out[keys_[i]] = sums.const_data_ptr<double>()[i];
  return out;
}

void RunningSums::restore(const std::map<std::string, double>& counters, Log& log) {
  const auto steps = counters.find(kStepsKey);
  if (steps == counters.end() || steps->second == 0) return;
  const auto saved =
      std::ranges::count_if(counters, [](const auto& counter) { return counter.first.starts_with(kPrefix); });
  const bool same = saved == std::ssize(keys_) + 1 &&
                    std::ranges::all_of(keys_, [&](const std::string& key) { return counters.contains(key); });
  if (!same) {
    if (communicator_.rank() != 0) return;
    log.warning(
        "the checkpoint has sums of other values than this program: the next line of the curves is the mean "
        "over the steps from here on, without the {} before",
        steps->second);
    return;
  }
  steps_ = static_cast<int64_t>(steps->second);
  for (std::size_t i = 0; i < keys_.size(); ++i) sums_[static_cast<int64_t>(i)] = counters.at(keys_[i]);
}

}  // namespace trireme
