#include <nlohmann/json.hpp>

#include "core/json.h"
#include "launch/benches.h"
#include "launch/config_arguments.h"
#include "launch/environment.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "trainers/recipes/recipes.h"

namespace trireme {
namespace {

struct BenchLoaderVerb {
  ConfigArguments arguments;
  struct Options {
    int64_t steps = 50;
    void describe(FieldList& v) { v.field("steps", steps, "Steps that are measured.").at_least(1); }
  } options;
  JobOptions job;
};
static_assert(field_count<BenchLoaderVerb::Options>() == 1, "describe() must list every field");

nlohmann::ordered_json measure(const BenchLoaderVerb& verb, Job& job) {
  TrainingJob training = job.training([] { return false; });
  const ConfigSource config = ConfigSource::read(verb.arguments.config, verb.arguments.overrides);
  const RecipeEntry& recipe = recipe_of(config);
  const LoaderSpeed speed = recipe.bench_loader(config, verb.options.steps, training);
  return {
      {"bench", "loader"},
      {"recipe", recipe.name},
      {"ranks", job.communicator.size()},
      {"threads_per_rank", speed.threads},
      {"steps", speed.steps},
      {"pairs", speed.pairs},
      {"records", speed.records},
      {"images", speed.images},
      {"tokens", speed.tokens},
      {"skipped", speed.skipped},
      {"clashes", speed.clashes_global},
      {"seconds", speed.seconds},
      {"records_per_s", speed.records_per_s()},
      {"pairs_per_s", static_cast<double>(speed.pairs) / speed.seconds},
      {"peak_mib", peak_memory_bytes() >> 20},
  };
}

int run_bench_loader(const BenchLoaderVerb& verb, Job& job) {
  const nlohmann::ordered_json line = measure(verb, job);
  if (job.communicator.rank() == 0) print(dump_json(line) + "\n");
  return 0;
}

}  // namespace

VerbAction add_bench_loader(Program& program) {
  auto verb = std::make_shared<BenchLoaderVerb>();
  program.add("loader",
              "A run's batches, loaded with nothing to wait for: records read, decoded, tokenised and packed a second, "
              "of rank 0. No weights are read.",
              verb->arguments, verb->options, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return run_bench_loader(*verb, job); });
  };
}

}  // namespace trireme
