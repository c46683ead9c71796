#include "launch/cpu_settings.h"

#include <climits>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#ifdef TRIREME_MKL_FULL_DISPATCH
// MKL asks this function of its own whether it runs on an Intel processor and keeps to AVX2 code where it does not. The
// symbol is exported by libtorch_cpu.so; a definition in the executable wins. On other makers' processors with AVX-512
// float32 products run 2.3 times faster; the features themselves are still checked by CPUID, so nothing illegal is run.
// It is no documented interface: build with -DTRIREME_MKL_FULL_DISPATCH=OFF to leave MKL as it comes.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() { return 1; }
#endif

namespace trireme {
namespace {

constexpr std::string_view kSpinCount = "GOMP_SPINCOUNT", kWaitPolicy = "OMP_WAIT_POLICY";
/// Looks at the other threads' flag before a thread sleeps in the kernel.
constexpr char kBoundedSpin[] = "GOMP_SPINCOUNT=3000";

bool sets(std::string_view entry, std::string_view variable) {
  return entry.starts_with(variable) && entry.substr(variable.size()).starts_with('=');
}

/// libgomp reads its environment in a constructor, long before main(), and has no call to change it. The executable's
/// preinit_array runs before the constructors of all libraries, but not late enough to have an environment to write to:
/// the process replaces itself by the same program with the variable set. Same process id, streams and signals, and
/// libtorch's constructors (a quarter of a second) run once. Where this cannot be done the program goes on as it is.
/// Runs before anything else of this process is set up: no library's state, no sanitizer.
__attribute__((no_sanitize("address", "thread", "undefined"))) void start_with_bounded_spin(int, char** arguments,
                                                                                            char** environment) {
  std::size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    if (sets(environment[count], kSpinCount) || sets(environment[count], kWaitPolicy)) return;
  }
  char program[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", program, sizeof(program) - 1);
  if (length <= 0) return;
  program[length] = '\0';
  auto** const extended = static_cast<char**>(__builtin_alloca((count + 2) * sizeof(char*)));
  for (std::size_t i = 0; i < count; ++i) extended[i] = environment[i];
  extended[count] = const_cast<char*>(kBoundedSpin);
  extended[count + 1] = nullptr;
  ::execve(program, arguments, extended);
}

__attribute__((section(".preinit_array"), used)) void (*const before_all)(int, char**,
                                                                          char**) = start_with_bounded_spin;

}  // namespace

ThreadWait thread_wait() {
  const char* const policy = std::getenv(kWaitPolicy.data());
  const char* const spins = std::getenv(kSpinCount.data());
  if (spins == nullptr && policy == nullptr) {
    return {false, fmt::format("threads spin for milliseconds before they sleep ({} is not set)", kSpinCount)};
  }
  const std::string set =
      spins == nullptr ? fmt::format("{}={}", kWaitPolicy, policy) : fmt::format("{}={}", kSpinCount, spins);
  const bool ours = policy == nullptr && set == kBoundedSpin;
  return {true,
          fmt::format("{}, {}", set,
                      ours ? "the program's own: threads spin briefly, then sleep" : "as the environment has it")};
}

void keep_freed_memory() {
  constexpr int kTopPadBytes = 256 << 20;
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // as an unsigned size: never trim
  mallopt(M_TOP_PAD, kTopPadBytes);
}

bool mkl_full_dispatch() {
#ifdef TRIREME_MKL_FULL_DISPATCH
  return true;
#else
  return false;
#endif
}

}  // namespace trireme
