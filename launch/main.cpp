#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "core/dist/run_as_rank.h"
#include "core/version.h"
#include "launch/cpu_settings.h"
#include "launch/environment.h"
#include "launch/options.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

int run(const LaunchInfo& launch, int argc, char** argv) {
  CLI::App program{"Trireme: training and serving multimodal retrievers", "trireme"};
  program.set_version_flag("--version", std::string(version()));
  const std::map<std::string, VerbAction> verbs = {
      {"embed", add_embed(program)},
      {"inspect", add_inspect(program)},
      {"doctor", add_doctor(program)},
  };
  const CommandLine line =
      parse_command_line(program, std::span<const char* const>(argv + 1, static_cast<std::size_t>(argc - 1)));
  if (!line.verb.empty()) return verbs.at(line.verb)(launch);
  if (launch.rank == 0) std::cout << line.text;
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  trireme::LaunchInfo launch;
  try {
    launch = trireme::read_launch_info();
    return trireme::run(launch, argc, argv);
  } catch (const std::exception& error) {
    // Before the ranks have met, an error is the same on all of them, and rank 0 speaks for it.
    const auto failure = trireme::describe_error(error, 0, 1);
    if (launch.rank == 0) std::cerr << failure.line << std::endl;
    return failure.exit_code;
  }
}
