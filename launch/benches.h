#pragma once

#include <map>
#include <string>

#include "launch/verbs.h"

namespace trireme {

/// The measurements of `trireme bench NAME`: each prints one JSON line with what was done, how fast, beside what the
/// machine gave in the same run. One measurement, one file bench_NAME.cpp; bench.cpp lists them.
std::map<std::string, VerbAction> add_benches(CLI::App& program);

VerbAction add_bench_loader(CLI::App& program);
VerbAction add_bench_mine(CLI::App& program);
VerbAction add_bench_search(CLI::App& program);
VerbAction add_bench_step(CLI::App& program);

}  // namespace trireme
