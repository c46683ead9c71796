#pragma once

#include <string>

namespace trireme {

// Three settings, of the C library, of MKL and of OpenMP, that decide the speed of a CPU run; all measured
// (docs/benchmarks.md).

/// glibc's malloc keeps freed blocks instead of handing them back to the kernel at every free, so that large
/// temporaries are not paged in anew at each step. Cost: the process keeps its peak until it ends. Call first in main,
/// before anything allocates.
void keep_freed_memory();

/// Whether this build lets MKL use AVX-512 on processors that are not Intel's (build option TRIREME_MKL_FULL_DISPATCH).
bool mkl_full_dispatch();

/// How compute threads wait for each other. OpenMP's own default spins for milliseconds, which beside other work takes
/// the core that the awaited thread needs: the program starts itself with a bound on it (cpu_settings.cpp), unless
/// GOMP_SPINCOUNT or OMP_WAIT_POLICY is set.
struct ThreadWait {
  bool bounded = false;  ///< false: OpenMP's default, since the program could not start itself anew
  std::string detail;    ///< for `trireme doctor`
};
ThreadWait thread_wait();

}  // namespace trireme
