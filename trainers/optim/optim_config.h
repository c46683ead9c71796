#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/config/report.h"

namespace trireme {

class FieldList;

enum class OptimizerKind { kAdamW, kSgd };
constexpr auto choice_names(OptimizerKind) {
  return std::to_array<std::pair<OptimizerKind, std::string_view>>(
      {{OptimizerKind::kAdamW, "adamw"}, {OptimizerKind::kSgd, "sgd"}});
}

/// [optim] AdamW (arXiv:1711.05101) or SGD with momentum. The defaults are LamRA's.
struct OptimConfig {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double peak_lr = 1e-4;
  double weight_decay = 0;
  std::optional<double> clip_norm = 1.0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double momentum = 0.9;
  bool nesterov = false;
  std::map<std::string, double> lr_factors = {};

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

}  // namespace trireme
