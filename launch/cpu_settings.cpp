#include "launch/cpu_settings.h"

#include <malloc.h>

#ifdef TRIREME_MKL_FULL_DISPATCH
// MKL asks this function of its own whether it runs on an Intel processor and keeps to AVX2 code where it does not. The
// symbol is exported by libtorch_cpu.so; a definition in the executable wins. On other makers' processors with AVX-512
// float32 products run 2.3 times faster; the features themselves are still checked by CPUID, so nothing illegal is run.
// It is no documented interface: build with -DTRIREME_MKL_FULL_DISPATCH=OFF to leave MKL as it comes.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() { return 1; }
#endif

namespace trireme {

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
