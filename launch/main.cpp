#include <iostream>
#include <map>

#include "core/distributed/run_as_rank.h"
#include "core/version.h"
#include "launch/benches.h"
#include "launch/cpu_settings.h"
#include "launch/environment.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

using Arguments = std::span<const char* const>;

int run_verb(const Program& program, const std::map<std::string, VerbAction>& verbs, const LaunchInfo& launch,
             Arguments arguments) {
  const CommandLine line = parse_command_line(program, arguments);
  if (!line.verb.empty()) return verbs.at(line.verb)(launch);
  if (launch.rank == 0) print(line.text);
  return 0;
}

int run(const LaunchInfo& launch, Arguments arguments) {
  Program bench{.name = "trireme bench", .purpose = "Measurements, each printed as one JSON line."};
  if (!arguments.empty() && std::string_view(arguments[0]) == "bench")
    return run_verb(bench, add_benches(bench), launch, arguments.subspan(1));

  Program program{.name = "trireme",
                  .purpose = "Trireme: training and serving multimodal retrievers",
                  .version = std::string(version())};
  const std::map<std::string, VerbAction> verbs = {
      {"train", add_train(program)},   {"embed", add_embed(program)},     {"search", add_search(program)},
      {"eval", add_eval(program)},     {"report", add_report(program)},   {"inspect", add_inspect(program)},
      {"doctor", add_doctor(program)}, {"prepare", add_prepare(program)}, {"export", add_export(program)},
      {"mine", add_mine(program)},     {"rerank", add_rerank(program)},   {"generate", add_generate(program)},
  };
  program.add("bench", bench.purpose);
  return run_verb(program, verbs, launch, arguments);
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::meet_failures_of_files();
  trireme::keep_freed_memory();
  trireme::LaunchInfo launch;
  try {
    launch = trireme::read_launch_info();
    return trireme::run(launch, std::span<const char* const>(argv + 1, static_cast<std::size_t>(argc - 1)));
  } catch (const std::exception& error) {
    // Before the ranks have met, an error is the same on all of them, and rank 0 speaks for it.
    const auto failure = trireme::describe_error(error, 0, 1);
    if (launch.rank == 0) std::cerr << failure.line << std::endl;
    return failure.exit_code;
  }
}
