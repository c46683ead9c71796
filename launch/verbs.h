#pragma once

#include <functional>

#include "core/distributed/connect.h"

namespace CLI {
class App;
}

namespace trireme {

/// Runs a verb with the options that the command line filled in; returns the exit code for main().
using VerbAction = std::function<int(const LaunchInfo&)>;

/// Each adds its subcommand to `program` and returns what runs it. One verb, one file.
VerbAction add_train(CLI::App& program);
VerbAction add_embed(CLI::App& program);
VerbAction add_generate(CLI::App& program);
VerbAction add_search(CLI::App& program);
VerbAction add_eval(CLI::App& program);
VerbAction add_mine(CLI::App& program);
VerbAction add_rerank(CLI::App& program);
VerbAction add_report(CLI::App& program);
VerbAction add_export(CLI::App& program);
VerbAction add_inspect(CLI::App& program);
VerbAction add_doctor(CLI::App& program);
VerbAction add_prepare(CLI::App& program);

}  // namespace trireme
