#include "tests/support/run_program.h"

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

void redirect(int descriptor, const std::filesystem::path& path, int flags) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
}

}  // namespace

std::string ProgramResult::last_error_line() const {
  std::string line, last;
  for (std::istringstream in(err); std::getline(in, line);) last = line;
  return last;
}

int ProgramResult::error_lines() const {
  int count = 0;
  std::string line;
  for (std::istringstream in(err); std::getline(in, line);) count += line.starts_with("error: ") ? 1 : 0;
  return count;
}

std::vector<std::string> under_mpirun(const std::string& mpiexec, int ranks, const std::vector<std::string>& program) {
  std::vector<std::string> argv = {mpiexec, "-q",    "-n",  std::to_string(ranks), "--oversubscribe", "--bind-to",
                                   "none",  "--mca", "btl", "self,vader"};
  argv.insert(argv.end(), program.begin(), program.end());
  return argv;
}

std::vector<std::string> mpirun_environment() {
  return {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMP_WAIT_POLICY=passive"};
}

ProgramResult run_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  const TempFolder folder;
  const auto out = folder.path() / "out", err = folder.path() / "err";
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, out, O_WRONLY | O_CREAT);
    redirect(STDERR_FILENO, err, O_WRONLY | O_CREAT);
    for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  ProgramResult result;
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.out = content_of(out);
  result.err = content_of(err);
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.peak_rss_kib = usage.ru_maxrss;
  return result;
}

}  // namespace trireme::test
