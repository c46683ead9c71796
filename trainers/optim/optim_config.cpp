#include "trainers/optim/optim_config.h"

#include "core/config/field_list.h"

namespace trireme {

void OptimConfig::describe(FieldList& v) {
  v.field("kind", kind, "AdamW, or SGD with momentum.");
  v.field("peak_lr", peak_lr, "Learning rate after warm-up.").positive();
  v.field("weight_decay", weight_decay,
          "Per step and unit of learning rate, taken off the weight itself (AdamW) or added to the gradient (SGD). "
          "Tensors of fewer than two dimensions (biases, norms, a learned temperature) never decay.")
      .at_least(0);
  v.field("clip_norm", clip_norm, "Global gradient norm to clip at; null = no clipping.").positive();
  v.field("beta1", beta1, "AdamW: decay of the mean of the gradient.").between(0, 1);
  v.field("beta2", beta2, "AdamW: decay of the mean of its square.").between(0, 1);
  v.field("eps", eps, "AdamW: added to the root of that mean.").positive();
  v.field("momentum", momentum, "SGD: part of the last change that is kept.").between(0, 1);
  v.field("nesterov", nesterov, "SGD: look ahead by the momentum.");
  v.field("lr_factors", lr_factors,
          "Learning rates of parts of the model, as multiples of the common one: {visual: 0.1}. A key is the start "
          "of tensor names, up to a dot; the longest that fits a tensor counts.")
      .at_least(0);
}
static_assert(field_count<OptimConfig>() == 10, "describe() must list every field");

void OptimConfig::check(Problems& problems) const {
  const auto below_one = [&](std::string_view field, double value) {
    if (value >= 1) problems.add(field, fmt::format("must be below 1; got {}; lower it", value));
  };
  below_one("beta1", beta1);
  below_one("beta2", beta2);
  below_one("momentum", momentum);
  if (nesterov && momentum == 0) problems.add("nesterov", "must be false without momentum; got true; set momentum");
}

}  // namespace trireme
