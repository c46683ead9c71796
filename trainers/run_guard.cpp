#include "trainers/run_guard.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include "core/error.h"
#include "core/json.h"

namespace trireme {
namespace {

/// JSON has no NaN and no infinity.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(fmt::format("{}", value));
}

/// The first tensor that holds NaN or infinity; nullopt when none does. Reads the device once.
std::optional<std::string> not_finite(const NamedTensors& tensors) {
  NamedTensors filled;
  std::ranges::copy_if(tensors, std::back_inserter(filled), [](const auto& each) { return each.second.numel() > 0; });
  if (filled.empty()) return std::nullopt;
  const c10::NoGradGuard no_grad;
  std::vector<torch::Tensor> largest = at::_foreach_norm(values_of(filled), std::numeric_limits<double>::infinity());
  for (torch::Tensor& each : largest) each = each.to(torch::kFloat32);
  const torch::Tensor all = at::stack(largest).cpu();
  for (std::size_t i = 0; i < filled.size(); ++i) {
    if (!std::isfinite(all.const_data_ptr<float>()[i])) return filled[i].first;
  }
  return std::nullopt;
}

}  // namespace

void RunGuard::examine(const std::vector<StepHealth>& steps) {
  TRIREME_ASSERT(!ended_, "a run that ended at step {} is looked at again", last_.step);
  TRIREME_ASSERT(steps.size() == unexamined_.size(), "{} steps with values, {} with members", steps.size(),
                 unexamined_.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    TRIREME_ASSERT(steps[i].step == unexamined_[i].step, "values of step {}, members of {}", steps[i].step,
                   unexamined_[i].step);
    last_ = steps[i];
    last_facts_ = std::move(unexamined_[i]);
    if (const std::optional<Divergence> verdict = guard_.examine(last_)) end(*verdict);
  }
  unexamined_.clear();
}

void RunGuard::examine(const std::vector<StepHealth>& steps, const NamedTensors& weights) {
  examine(steps);
  if (const std::optional<std::string> name = not_finite(weights)) {
    end({"the weights must be finite", fmt::format("NaN or infinity in {} after the step's update", *name)});
  }
}

void RunGuard::end(const Divergence& verdict) {
  ended_ = true;
  const std::string checkpoint =
      run_.last_checkpoint() ? (run_.folder() / "checkpoints" / checkpoint_name(*run_.last_checkpoint())).string() : "";
  const nlohmann::ordered_json evidence = {{"step", last_.step},
                                           {"required", verdict.required},
                                           {"got", verdict.got},
                                           {"loss", number(last_.loss)},
                                           {"gradient_norm", number(last_.gradient_norm)},
                                           {"candidate_cosine", number(last_.candidate_cosine)},
                                           {"checkpoint", checkpoint},
                                           {"query_ids_of_rank_0", last_facts_.query_ids},
                                           {"target_ids_of_rank_0", last_facts_.target_ids}};
  run_.finish();
  run_.write_file("diverged.json", dump_json(evidence, 2) + "\n");
  const std::string next =
      checkpoint.empty()
          ? "start again with a lower optim.peak_lr; no checkpoint was written yet"
          : fmt::format("go on from {} with a lower optim.peak_lr and resume.allow: [optim.peak_lr]", checkpoint);
  throw DivergedError(fmt::format("step {}", last_.step),
                      fmt::format("{}; got {}; see {}, and {}.", verdict.required, verdict.got,
                                  (run_.folder() / "diverged.json").string(), next));
}

}  // namespace trireme
