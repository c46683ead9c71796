#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/config/config.h"
#include "core/config/help.h"
#include "core/error.h"
#include "trainers/bench.h"
#include "trainers/trained_lmm.h"

namespace trireme {

/// What `trireme export` builds a run's model of.
struct ModelOfRun {
  TrainedLmmConfig trained;
  int64_t seed = 0;
  bool head = false;  ///< its vocabulary scores are used
};

/// A step's figures, and how it was computed.
struct StepBench {
  std::string_view dtype, method;
  StepBenchResult result;
};

/// One row of the table of recipes: what the verbs do with a config that names it. Every function throws ConfigError:
/// whatever is wrong with the config.
struct RecipeEntry {
  std::string_view name, unit;
  std::string (*keys_help)();
  TrainingEnd (*train)(const ConfigSource& config, TrainingJob& job);
  StepBench (*bench_step)(const ConfigSource& config, int64_t warmup, int64_t steps, TensorMemory& memory,
                          TrainingJob& job);
  LoaderSpeed (*bench_loader)(const ConfigSource& config, int64_t steps, TrainingJob& job);
  ModelOfRun (*model_of_run)(const ConfigSource& config);
};

/// All recipes, in the order of the help.
std::span<const RecipeEntry> recipes();
/// The one that the config names. throws ConfigError: none, or one that there is not.
const RecipeEntry& recipe_of(const ConfigSource& config);

template <class Config>
std::string_view dtype_of(const Config& config) {
  if constexpr (requires { config.trained; }) return choice_name(config.trained.model.dtype);
  return choice_name(ComputeDtype::kFloat32);
}

/// The row of a recipe (trainers/recipe.h); what stands beside the concept's members is for benchmarks and export:
///   method(config)        how a step's gradient is computed, in one word
///   linear_flop(batch)    as StepBenchResult::linear_flop, of this rank
///   kHead                 whether the vocabulary's scores are used: where the config has a TrainedLmmConfig `trained`
template <Recipe R>
RecipeEntry entry_of() {
  using Config = typename R::Config;
  return {
      .name = R::kName,
      .unit = R::kUnit,
      .keys_help = [] { return config_help<Config>(); },
      .train = [](const ConfigSource& source,
                  TrainingJob& job) { return train<R>(Resolved<Config>::from(source), job); },
      .bench_step =
          [](const ConfigSource& source, int64_t warmup, int64_t steps, TensorMemory& memory, TrainingJob& job) {
            const auto config = Resolved<Config>::from(source);
            return StepBench{dtype_of(*config), R::method(*config), bench_step<R>(*config, warmup, steps, memory, job)};
          },
      .bench_loader = [](const ConfigSource& source, int64_t steps,
                         TrainingJob& job) { return bench_loader<R>(*Resolved<Config>::from(source), steps, job); },
      .model_of_run =
          [](const ConfigSource& source) {
            const auto config = Resolved<Config>::from(source);
            if constexpr (requires { config->trained; }) {
              return ModelOfRun{config->trained, config->run.seed, R::kHead};
            } else {
              throw ConfigError("recipe",
                                fmt::format("must train the model of a hub folder; got {}; its weights are in "
                                            "its checkpoints.",
                                            R::kName));
              return ModelOfRun{};
            }
          },
  };
}

}  // namespace trireme
