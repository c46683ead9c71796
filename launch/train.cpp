#include "launch/config_arguments.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/stop_signal.h"
#include "launch/verbs.h"
#include "trainers/recipes/recipes.h"

namespace trireme {
namespace {

struct TrainVerb {
  ConfigArguments arguments;
  JobOptions job;
  DeviceOptions device;
};

int train(const TrainVerb& verb, Job& job) {
  const StopSignal stop;
  TrainingJob training = job.training([&] { return stop.requested(); });
  const ConfigSource config = ConfigSource::read(verb.arguments.config, verb.arguments.overrides);
  const TrainingEnd end = recipe_of(config).train(config, training);
  return end == TrainingEnd::kFinished ? 0 : kStoppedExitCode;
}

}  // namespace

VerbAction add_train(Program& program) {
  std::vector<std::string> keys;
  for (const RecipeEntry& recipe : recipes())
    keys.push_back(fmt::format("Keys of CONFIG under recipe: {}:\n\n{}", recipe.name, recipe.keys_help()));
  auto verb = std::make_shared<TrainVerb>();
  program
      .add("train", "A recipe, from its config file; started again, it goes on.", verb->arguments, verb->job,
           verb->device)
      .config_keys = fmt::format("{}", fmt::join(keys, "\n\n"));
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return train(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
