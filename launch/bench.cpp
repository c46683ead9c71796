#include "launch/benches.h"

namespace trireme {

std::map<std::string, VerbAction> add_benches(CLI::App& program) {
  return {
      {"search", add_bench_search(program)},
      {"step", add_bench_step(program)},
  };
}

}  // namespace trireme
