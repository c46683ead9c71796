#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trireme::test {

struct ProgramResult {
  int exit_code = -1;  ///< 128 + signal when one ended it
  std::string out, err;
  double wall_s = 0;
  long peak_rss_kib = 0;

  /// The last line of err, without its end of line.
  std::string last_error_line() const;
  /// Lines of err that start with "error:" or "rank r/R error".
  int error_lines() const;
};

/// `program` under mpirun: ranks side by side on few cores, none of them pinned.
std::vector<std::string> under_mpirun(const std::string& mpiexec, int ranks, const std::vector<std::string>& program);
/// What it needs in its environment: root may start ranks, and they do not spin while they wait.
std::vector<std::string> mpirun_environment();

/// Runs a program to its end, with nothing on its standard input. `argv[0]` is its path.
ProgramResult run_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment = {});

}  // namespace trireme::test
