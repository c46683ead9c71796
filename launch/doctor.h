#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

struct LaunchInfo;

/// One line of `trireme doctor`.
struct Finding {
  enum class State {
    kOk,
    kAbsent,  ///< not here and not needed for what the program does without it
    kWrong,   ///< a fault: something needed is missing or gives wrong numbers
  };
  State state = State::kOk;
  std::string name;
  std::string detail;
  std::string advice;  ///< what to do; "" when ok
};

/// What this machine offers: CPU and its instruction sets, memory, how threads wait, measured float32 and bfloat16
/// matrix rates with a numeric self-test, GPUs, MPI, NCCL, HDF5, libtorch, free disk. Takes about a second.
std::vector<Finding> examine_machine(const LaunchInfo& launch);

/// The findings as aligned lines: "ok       float32 GEMM   441 GFLOP/s on 2 threads".
std::string describe_findings(const std::vector<Finding>& findings);

}  // namespace trireme
