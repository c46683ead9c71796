#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/json.h"
#include "core/tensor_memory.h"
#include "launch/benches.h"
#include "launch/config_arguments.h"
#include "launch/environment.h"
#include "launch/gemm_rate.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "trainers/recipes/recipes.h"

namespace trireme {
namespace {

struct BenchStepVerb {
  ConfigArguments arguments;
  struct Options {
    int64_t steps = 20, warmup = 3;
    void describe(FieldList& v) {
      v.field("steps", steps, "Steps that are measured.").at_least(1);
      v.field("warmup", warmup, "Steps before them.").at_least(0);
    }
  } options;
  JobOptions job;
  DeviceOptions device;
};
static_assert(field_count<BenchStepVerb::Options>() == 2, "describe() must list every field");

nlohmann::ordered_json measure(const BenchStepVerb& verb, Job& job) {
  const ConfigSource config = ConfigSource::read(verb.arguments.config, verb.arguments.overrides);
  const RecipeEntry& recipe = recipe_of(config);
  TensorMemory& memory = TensorMemory::install();
  TrainingJob training = job.training([] { return false; });
  const StepBench bench = recipe.bench_step(config, verb.options.warmup, verb.options.steps, memory, training);
  const StepBenchResult& result = bench.result;
  const bool bfloat16 = bench.dtype == choice_name(ComputeDtype::kBfloat16);
  const GemmRate gemm = measure_gemm(bfloat16 ? torch::kBFloat16 : torch::kFloat32);
  const double gflops = result.linear_flop / result.step_s / 1e9;
  const auto ranks = static_cast<double>(job.communicator.size());
  return {
      {"bench", "step"},
      {"recipe", recipe.name},
      {"dtype", bench.dtype},
      {"method", bench.method},
      {"ranks", job.communicator.size()},
      {"threads_per_rank", at::get_num_threads()},
      {"steps", result.steps},
      {fmt::format("{}_global", recipe.unit), result.units_global},
      {"tokens_per_step", result.tokens},
      {"step_s", result.step_s},
      {"fastest_step_s", result.fastest_step_s},
      {"data_wait_s", result.data_wait_s},
      {"gradient_s", result.gradient_s},
      {"optimizer_s", result.optimizer_s},
      {fmt::format("{}_per_s", recipe.unit), static_cast<double>(result.units_global) / result.step_s},
      {"tokens_per_s", result.tokens / result.step_s},
      {"linear_gflop_per_step", result.linear_flop / 1e9},
      {"linear_gflops", gflops},
      {"gemm_gflops", gemm.flops_per_s / 1e9},
      {"mfu", gflops / (gemm.flops_per_s / 1e9 * ranks)},
      {"activation_mib", static_cast<double>(result.activation_bytes) / (1 << 20)},
      {"peak_mib", peak_memory_bytes() >> 20},
      {"loss", result.loss},
  };
}

int run_bench_step(const BenchStepVerb& verb, Job& job) {
  const nlohmann::ordered_json line = measure(verb, job);
  if (job.communicator.rank() == 0) print(dump_json(line) + "\n");
  return 0;
}

}  // namespace

VerbAction add_bench_step(Program& program) {
  auto verb = std::make_shared<BenchStepVerb>();
  program.add("step", "Steps of a training run, without a run directory, beside the GEMM rate of the same run.",
              verb->arguments, verb->options, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return run_bench_step(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
