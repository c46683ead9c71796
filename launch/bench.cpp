#include "launch/benches.h"

namespace trireme {

std::map<std::string, VerbAction> add_benches(Program& program) {
  return {
      {"loader", add_bench_loader(program)},
      {"mine", add_bench_mine(program)},
      {"search", add_bench_search(program)},
      {"step", add_bench_step(program)},
  };
}

}  // namespace trireme
