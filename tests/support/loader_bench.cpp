// How many records a second the training loader gives with nothing to wait for: see tests/peer/loader_bench.py.
//
//   loader_bench CONFIG --model DIR [--steps N]
//   loader_bench --pool FILE
//
// CONFIG is a data section alone; DIR holds tokenizer.json and preprocessor_config.json. --pool opens a candidate pool
// and finds and reads candidates at random. One JSON line on stdout.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/error.h"
#include "core/rng.h"
#include "data/loader/pair_loader.h"
#include "data/sources/candidate_pool.h"
#include "launch/cpu_settings.h"

namespace trireme {
namespace {

double cpu_s() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int time_pool(const std::string& file) {
  constexpr int64_t kReads = 200'000;
  const double opening = cpu_s();
  const CandidatePool pool(file);
  const double opened = cpu_s();
  RandomStream draws = random_stream(1, "bench");
  std::vector<std::string> dids;
  for (int64_t i = 0; i < kReads; ++i)
    dids.push_back(pool.read(static_cast<int64_t>(draws.uniform_below(static_cast<uint64_t>(pool.size())))).record.id);
  const double begin = cpu_s();
  std::size_t bytes = 0;
  for (const std::string& did : dids) bytes += pool.read(pool.find(did).value()).record.text.size();
  const double us = (cpu_s() - begin) / kReads * 1e6;
  fmt::print("{}\n", nlohmann::ordered_json{{"candidates", pool.size()},
                                            {"open_cpu_s", opened - opening},
                                            {"find_and_read_us", us},
                                            {"text_bytes_read", bytes}}
                         .dump());
  return 0;
}

int run(int argc, char** argv) {
  std::string config_file, model, pool;
  int64_t steps = 50;
  CLI::App app("Times the training loader alone.");
  app.add_option("config", config_file, "YAML of a data section");
  app.add_option("--model", model, "Folder with tokenizer.json and preprocessor_config.json");
  app.add_option("--pool", pool, "Candidate pool to time instead");
  app.add_option("--steps", steps, "Steps to take");
  CLI11_PARSE(app, argc, argv);
  if (!pool.empty()) return time_pool(pool);
  const auto config = load_config<DataConfig>(config_file);
  const Tokenizer tokenizer = Tokenizer::from_file(std::filesystem::path(model) / "tokenizer.json");
  const ModelInput input{tokenizer, tokenizer.token_to_id("<|image_pad|>").value_or(-1),
                         read_image_processor_config(model)};
  const double opening = cpu_s();
  const TrainingSet set(*config);
  const double opened = cpu_s();
  PairLoader loader(set, *config, input, 1, {});
  const LoaderSpeed speed = measure_loader(loader, *config, steps);
  const nlohmann::ordered_json json = {{"steps", speed.steps},
                                       {"pairs", speed.pairs},
                                       {"records", speed.records},
                                       {"images", speed.images},
                                       {"tokens", speed.tokens},
                                       {"skipped", speed.skipped},
                                       {"clashes", speed.clashes_global},
                                       {"seconds", speed.seconds},
                                       {"records_per_s", speed.records_per_s()},
                                       {"threads", config->loader_threads},
                                       {"open_cpu_s", opened - opening}};
  fmt::print("{}\n", json.dump());
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  try {
    return trireme::run(argc, argv);
  } catch (const trireme::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.exit_code();
  }
}
