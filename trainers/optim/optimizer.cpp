#include "trainers/optim/optimizer.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr int64_t kSmallElements = 1 << 15;
constexpr int64_t kSmallTensorsPerThread = 8;

bool is_half(const torch::Tensor& tensor) {
  return tensor.scalar_type() == torch::kFloat16 || tensor.scalar_type() == torch::kBFloat16;
}

/// Whether `key` is `name`, or the start of it up to a dot.
bool covers(std::string_view key, std::string_view name) {
  return name.starts_with(key) && (name.size() == key.size() || name[key.size()] == '.');
}

double lr_factor_of(const std::map<std::string, double>& factors, std::string_view name) {
  std::size_t longest = 0;
  double factor = 1;
  for (const auto& [key, value] : factors) {
    if (covers(key, name) && key.size() >= longest) {
      longest = key.size();
      factor = value;
    }
  }
  return factor;
}

}  // namespace

void check_lr_factors(const OptimConfig& config, const NamedTensors& parameters) {
  for (const auto& [key, factor] : config.lr_factors) {
    const bool used =
        std::ranges::any_of(parameters, [&](const auto& parameter) { return covers(key, parameter.first); });
    TRIREME_CHECK(used, ConfigError, "optim",
                  "every key of lr_factors must be the start of a trainable tensor's name; got {}, and names like {}; "
                  "correct the key or train that part.",
                  key, parameters.front().first);
  }
}

Optimizer::Optimizer(const OptimConfig& config, NamedTensors parameters)
    : config_(config), parameters_(std::move(parameters)) {
  TRIREME_ASSERT(!parameters_.empty(), "nothing to optimise");
  check_lr_factors(config_, parameters_);
  const c10::NoGradGuard no_grad;
  // Tensors that one fused call takes together.
  std::map<std::tuple<c10::ScalarType, std::string, double, bool, bool>, std::size_t> group_of;
  for (const auto& [name, parameter] : parameters_) {
    TRIREME_ASSERT(parameter.is_contiguous(), "{} of shape {} is not contiguous", name, shape_string(parameter));
    const bool decays = parameter.dim() >= 2;
    const double lr_factor = lr_factor_of(config_.lr_factors, name);
    State& state = states_.emplace_back();
    // detach(): the optimiser's handle shares memory with the leaf but is no part of any graph.
    state.weight = is_half(parameter) ? parameter.detach().to(torch::kFloat32) : parameter.detach();
    const bool is_adamw = config_.kind == OptimizerKind::kAdamW;
    if (is_adamw || config_.momentum > 0) state.first = at::zeros_like(state.weight);
    if (is_adamw) state.second = at::zeros_like(state.weight);

    const bool is_small = state.weight.is_cpu() && state.weight.numel() < kSmallElements;
    const auto key = std::tuple(state.weight.scalar_type(), state.weight.device().str(), lr_factor, decays, is_small);
    const auto [found, is_first] = group_of.emplace(key, groups_.size());
    if (is_first) {
      groups_.push_back({.lr_factor = lr_factor,
                         .weight_decay = decays ? config_.weight_decay : 0,
                         .is_small = is_small,
                         .step = at::zeros({}, state.weight.options().dtype(torch::kFloat32))});
    }
    Group& group = groups_[found->second];
    group.members.push_back(states_.size() - 1);
    group.weights.push_back(state.weight);
    if (state.first.defined()) group.firsts.push_back(state.first);
    if (state.second.defined()) group.seconds.push_back(state.second);
    group.steps.push_back(group.step);
  }
}

void Optimizer::step(double lr, const GradientNorm& norm) {
  const c10::NoGradGuard no_grad;
  std::vector<torch::Tensor> halves, masters;
  for (Group& group : groups_) {
    std::vector<torch::Tensor> gradients;
    for (const std::size_t i : group.members) {
      const auto& [name, parameter] = parameters_[i];
      const torch::Tensor& gradient = parameter.grad();
      TRIREME_ASSERT(gradient.defined() && gradient.is_contiguous(), "{} has no contiguous gradient", name);
      gradients.push_back(gradient.to(states_[i].weight.scalar_type()));
      if (is_half(parameter)) {
        halves.push_back(parameter.detach());
        masters.push_back(states_[i].weight);
      }
    }
    group.step.add_(1 - norm.non_finite);
    const auto update = [&](int64_t begin, int64_t end) {
      const c10::NoGradGuard on_this_thread_too;
      update_members(group, begin, end, gradients, lr, norm);
    };
    const int64_t members = std::ssize(group.members);
    // libtorch's kernel divides each tensor among the threads, which for small ones takes longer than the work.
    if (group.is_small) {
      parallel_for(members, kSmallTensorsPerThread, update);
    } else {
      update(0, members);
    }
  }
  if (!halves.empty()) at::_foreach_copy_(halves, masters);
}

void Optimizer::update_members(const Group& group, int64_t begin, int64_t end,
                               const std::vector<torch::Tensor>& gradients, double lr, const GradientNorm& norm) const {
  const auto part = [begin, end](const std::vector<torch::Tensor>& all) {
    return all.empty() ? at::TensorList() : at::TensorList(all).slice(begin, end - begin);
  };
  const double group_lr = lr * group.lr_factor;
  if (config_.kind == OptimizerKind::kAdamW) {
    at::_fused_adamw_(part(group.weights), part(gradients), part(group.firsts), part(group.seconds), {},
                      part(group.steps), group_lr, config_.beta1, config_.beta2, group.weight_decay, config_.eps,
                      /*amsgrad=*/false, /*maximize=*/false, norm.divisor, norm.non_finite);
  } else {
    // Momentum that starts at 0 makes the first step like the others.
    at::_fused_sgd_(part(group.weights), part(gradients), part(group.firsts), group.weight_decay, config_.momentum,
                    group_lr, /*dampening=*/0, config_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    norm.divisor, norm.non_finite);
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors all{{"step", groups_.front().step}};
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const State& state = states_[i];
    if (state.first.defined())
      all.emplace_back(name + (state.second.defined() ? ".exp_avg" : ".momentum"), state.first);
    if (state.second.defined()) all.emplace_back(name + ".exp_avg_sq", state.second);
    if (is_half(parameter)) all.emplace_back(name + ".master", state.weight);
  }
  return all;
}

void Optimizer::load_state(const NamedTensors& state) {
  const std::map<std::string, torch::Tensor> given(state.begin(), state.end());
  const NamedTensors mine = this->state();
  for (const auto& [name, tensor] : mine) {
    const auto found = given.find(name);
    TRIREME_CHECK(found != given.end(), DataError, "optimizer",
                  "the saved state must hold {}; got {} other tensors; resume with the same model and optim.kind.",
                  name, given.size());
    TRIREME_CHECK(found->second.sizes() == tensor.sizes() && found->second.scalar_type() == tensor.scalar_type(),
                  DataError, "optimizer", "the saved {} must be {}; got {}; resume with the same model.", name,
                  shape_string(tensor), shape_string(found->second));
  }
  for (const auto& [name, tensor] : state) {
    const bool known = std::ranges::any_of(mine, [&](const auto& entry) { return entry.first == name; });
    TRIREME_CHECK(known, DataError, "optimizer",
                  "the saved state must hold nothing but this optimiser's tensors; got {}; resume with the same model "
                  "and optim.kind.",
                  name);
  }
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : mine) tensor.copy_(given.at(name));
  for (Group& group : groups_) group.step.copy_(given.at("step"));
}

int64_t Optimizer::steps_done() const { return static_cast<int64_t>(groups_.front().step.item<float>()); }

}  // namespace trireme
