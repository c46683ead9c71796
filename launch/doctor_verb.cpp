#include <ATen/Parallel.h>

#include "core/error.h"
#include "launch/doctor.h"
#include "launch/environment.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "launch/verbs.h"

namespace trireme {

VerbAction add_doctor(Program& program) {
  program.add("doctor", "What this machine offers: CPU, GPUs, ranks, libraries.");
  return [](const LaunchInfo& launch) {
    if (launch.rank != 0) return 0;
    at::set_num_threads(static_cast<int>(compute_threads(0, launch)));
    const auto findings = examine_machine(launch);
    print(describe_findings(findings));
    const bool wrong = std::any_of(findings.begin(), findings.end(),
                                   [](const Finding& f) { return f.state == Finding::State::kWrong; });
    return wrong ? DataError::kExitCode : 0;
  };
}

}  // namespace trireme
