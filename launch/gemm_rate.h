#pragma once

#include "core/tensor.h"

namespace trireme {

struct GemmRate {
  double flops_per_s;     ///< of the fastest of several products of square matrices
  double relative_error;  ///< largest, against float64
};

/// What matrix products reach here, on the threads in use: side 1024, where rates have levelled off. Half a second.
GemmRate measure_gemm(c10::ScalarType dtype);

}  // namespace trireme
