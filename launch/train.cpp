#include <CLI/CLI.hpp>

#include "core/config/choice.h"
#include "core/config/config.h"
#include "core/config/help.h"
#include "launch/config_arguments.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/stop_signal.h"
#include "launch/verbs.h"
#include "trainers/lamra_rank.h"
#include "trainers/lamra_ret.h"

namespace trireme {
namespace {

struct TrainVerb {
  ConfigArguments arguments;
  JobOptions job;
  DeviceOptions device;
};

/// A recipe that is not known is refused by the first one's config.
TrainingEnd train_recipe(const ConfigSource& source, TrainingJob& job) {
  if (source.scalar("recipe") == choice_name(Recipe::kLamraRank))
    return train_lamra_rank(Resolved<LamraRankConfig>::from(source), job);
  return train_lamra_ret(Resolved<LamraRetConfig>::from(source), job);
}

int train(const TrainVerb& verb, Job& job) {
  const ConfigSource source = ConfigSource::read(verb.arguments.config, verb.arguments.overrides);
  const StopSignal stop;
  TrainingJob training = job.training([&] { return stop.requested(); });
  const TrainingEnd end = train_recipe(source, training);
  return end == TrainingEnd::kFinished ? 0 : kStoppedExitCode;
}

}  // namespace

VerbAction add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "A recipe, from its config file; started again, it goes on.");
  command->footer("Keys of CONFIG under recipe: lamra_ret:\n\n" + config_help<LamraRetConfig>() +
                  "\n\nKeys of CONFIG under recipe: lamra_rank:\n\n" + config_help<LamraRankConfig>());
  auto verb = std::make_shared<TrainVerb>();
  bind_options(*command, verb->arguments, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return train(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
