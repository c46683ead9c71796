#pragma once

namespace trireme {

/// Two settings, of the C library and of MKL, that decide the speed of a CPU run; both measured (docs/benchmarks.md).
/// Call first in main, before anything allocates:
///  * glibc's malloc keeps freed blocks instead of handing them back to the kernel at every free, so that large
///    temporaries are not paged in anew at each step. Cost: the process keeps its peak until it ends.
void keep_freed_memory();

/// Whether this build lets MKL use AVX-512 on processors that are not Intel's (build option TRIREME_MKL_FULL_DISPATCH).
bool mkl_full_dispatch();

}  // namespace trireme
