#include "trainers/diverged.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace trireme {
namespace {

/// JSON has no NaN and no infinity.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(fmt::format("{}", value));
}

}  // namespace

void require_healthy(Guard& guard, const StepHealth& step, const std::vector<std::string>& query_ids,
                     const std::vector<std::string>& target_ids, RunState& run) {
  const std::optional<Divergence> verdict = guard.examine(step);
  if (!verdict) return;
  const std::string checkpoint =
      run.last_checkpoint() ? (run.folder() / "checkpoints" / checkpoint_name(*run.last_checkpoint())).string() : "";
  const nlohmann::ordered_json evidence = {{"step", step.step},
                                           {"required", verdict->required},
                                           {"got", verdict->got},
                                           {"loss", number(step.loss)},
                                           {"gradient_norm", number(step.gradient_norm)},
                                           {"candidate_cosine", number(step.candidate_cosine)},
                                           {"checkpoint", checkpoint},
                                           {"query_ids_of_rank_0", query_ids},
                                           {"target_ids_of_rank_0", target_ids}};
  run.finish();
  run.write_file("diverged.json", evidence.dump(2) + "\n");
  const std::string next =
      checkpoint.empty()
          ? "start again with a lower optim.peak_lr; no checkpoint was written yet"
          : fmt::format("go on from {} with a lower optim.peak_lr and resume.allow: [optim.peak_lr]", checkpoint);
  throw DivergedError(fmt::format("step {}", step.step),
                      fmt::format("{}; got {}; see {}, and {}.", verdict->required, verdict->got,
                                  (run.folder() / "diverged.json").string(), next));
}

}  // namespace trireme
