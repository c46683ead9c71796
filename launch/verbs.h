#pragma once

#include <functional>

#include "core/distributed/connect.h"

namespace trireme {

struct Program;

/// Runs a verb with the options that the command line filled in; returns the exit code for main().
using VerbAction = std::function<int(const LaunchInfo&)>;

/// Each adds its verb to `program` and returns what runs it. One verb, one file.
VerbAction add_train(Program& program);
VerbAction add_embed(Program& program);
VerbAction add_generate(Program& program);
VerbAction add_search(Program& program);
VerbAction add_eval(Program& program);
VerbAction add_mine(Program& program);
VerbAction add_rerank(Program& program);
VerbAction add_report(Program& program);
VerbAction add_export(Program& program);
VerbAction add_inspect(Program& program);
VerbAction add_doctor(Program& program);
VerbAction add_prepare(Program& program);

}  // namespace trireme
