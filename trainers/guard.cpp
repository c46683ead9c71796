#include "trainers/guard.h"

#include <cmath>

#include <fmt/format.h>

#include "core/config/field_list.h"

namespace trireme {

void GuardConfig::describe(FieldList& v) {
  v.field("spike_z", spike_z,
          "End when the loss lies so many standard deviations above its running mean; null = never.")
      .positive();
  v.field("spike_memory_steps", spike_memory_steps,
          "Steps over which that mean is taken (exponentially); nothing is judged before so many are done.")
      .at_least(2);
  v.field("collapse_cosine", collapse_cosine,
          "End when the mean cosine between different candidates stays above it; null = never.")
      .between(0, 1);
  v.field("collapse_steps", collapse_steps, "For so many steps in a row.").at_least(1);
}
static_assert(field_count<GuardConfig>() == 4, "describe() must list every field");
namespace {

/// A loss that hardly moves has hardly any deviation; rises below this part of the mean are never spikes.
constexpr double kLeastRelativeDeviation = 0.01;

}  // namespace

std::optional<Divergence> Guard::examine(const StepHealth& step) {
  if (!std::isfinite(step.loss)) return Divergence{"the loss must be finite", fmt::format("{}", step.loss)};
  if (!std::isfinite(step.gradient_norm)) {
    return Divergence{"the gradient must be finite",
                      fmt::format("norm {} at loss {:.4f}", step.gradient_norm, step.loss)};
  }
  if (auto spike = examine_spike(step.loss)) return spike;
  if (!config_.collapse_cosine) return std::nullopt;
  collapsed_steps_ = step.candidate_cosine > *config_.collapse_cosine ? collapsed_steps_ + 1 : 0;
  if (collapsed_steps_ < static_cast<double>(config_.collapse_steps)) return std::nullopt;
  return Divergence{"embeddings must differ",
                    fmt::format("a mean cosine of {:.4f} between different candidates, above {} for {} steps",
                                step.candidate_cosine, *config_.collapse_cosine, config_.collapse_steps)};
}

std::optional<Divergence> Guard::examine_spike(double loss) {
  const auto memory = static_cast<double>(config_.spike_memory_steps);
  if (config_.spike_z && steps_seen_ >= memory) {
    const double deviation = std::max(std::sqrt(variance_), kLeastRelativeDeviation * std::abs(mean_));
    const double z = (loss - mean_) / deviation;
    if (z > *config_.spike_z) {
      return Divergence{fmt::format("the loss must stay near its mean of {:.4f}", mean_),
                        fmt::format("{:.4f}, {:.1f} standard deviations above it", loss, z)};
    }
  }
  ++steps_seen_;
  const double share = 1 / std::min(steps_seen_, memory);
  const double change = loss - mean_;
  mean_ += share * change;
  variance_ = (1 - share) * (variance_ + share * change * change);
  return std::nullopt;
}

std::map<std::string, double> Guard::state() const {
  return {{"guard.mean", mean_},
          {"guard.variance", variance_},
          {"guard.steps_seen", steps_seen_},
          {"guard.collapsed_steps", collapsed_steps_}};
}

void Guard::restore(const std::map<std::string, double>& counters) {
  const auto read = [&](const char* name, double& value) {
    if (const auto found = counters.find(name); found != counters.end()) value = found->second;
  };
  read("guard.mean", mean_);
  read("guard.variance", variance_);
  read("guard.steps_seen", steps_seen_);
  read("guard.collapsed_steps", collapsed_steps_);
}

}  // namespace trireme
