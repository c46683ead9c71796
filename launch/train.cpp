#include "core/config/help.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/recipe_config.h"
#include "launch/stop_signal.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

struct TrainVerb {
  ConfigArguments arguments;
  JobOptions job;
  DeviceOptions device;
};

TrainingEnd train_recipe(const Resolved<LamraRetConfig>& config, TrainingJob& job) {
  return train_lamra_ret(config, job);
}
TrainingEnd train_recipe(const Resolved<LamraRankConfig>& config, TrainingJob& job) {
  return train_lamra_rank(config, job);
}

int train(const TrainVerb& verb, Job& job) {
  const StopSignal stop;
  TrainingJob training = job.training([&] { return stop.requested(); });
  const TrainingEnd end =
      with_recipe_config(verb.arguments, [&](const auto& config) { return train_recipe(config, training); });
  return end == TrainingEnd::kFinished ? 0 : kStoppedExitCode;
}

}  // namespace

VerbAction add_train(Program& program) {
  auto verb = std::make_shared<TrainVerb>();
  program
      .add("train", "A recipe, from its config file; started again, it goes on.", verb->arguments, verb->job,
           verb->device)
      .config_keys = "Keys of CONFIG under recipe: lamra_ret:\n\n" + config_help<LamraRetConfig>() +
                     "\n\nKeys of CONFIG under recipe: lamra_rank:\n\n" + config_help<LamraRankConfig>();
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return train(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
