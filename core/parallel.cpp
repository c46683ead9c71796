#include "core/parallel.h"

#include <ATen/Parallel.h>

#ifndef INTRA_OP_PARALLEL
#error "parallel.cpp must be compiled with OpenMP: see core/CMakeLists.txt"
#endif

namespace trireme {

void parallel_for(int64_t count, int64_t grain, c10::function_ref<void(int64_t, int64_t)> body) {
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) { body(begin, end); });
}

}  // namespace trireme
