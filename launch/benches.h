#pragma once

#include <map>
#include <string>

#include "launch/verbs.h"

namespace trireme {

/// The measurements of `trireme bench NAME`: each prints one JSON line with what was done, how fast, beside what the
/// machine gave in the same run. One measurement, one file bench_NAME.cpp; bench.cpp lists them.
std::map<std::string, VerbAction> add_benches(Program& program);

VerbAction add_bench_loader(Program& program);
VerbAction add_bench_mine(Program& program);
VerbAction add_bench_search(Program& program);
VerbAction add_bench_step(Program& program);

}  // namespace trireme
