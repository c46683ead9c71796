#pragma once

#include <cstdint>

#include <c10/util/FunctionRef.h>

namespace trireme {

/// body(begin, end) over [0, count), cut into at most one range per intra-op thread (at::set_num_threads), each of at
/// least `grain` items; on the caller's thread alone when there is one range, or within another parallel_for. An
/// exception of a body comes out here.
/// Use this and not at::parallel_for: that template runs serially in a file compiled without OpenMP, as ours are; the
/// one that is compiled with it is parallel.cpp, on the same threads as libtorch's own kernels.
void parallel_for(int64_t count, int64_t grain, c10::function_ref<void(int64_t, int64_t)> body);

}  // namespace trireme
