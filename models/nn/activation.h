#pragma once

#include "core/tensor.h"

namespace trireme {

/// silu(gate) * up. Source: arXiv:2002.05202, eq. 6. gate_up [T, 2 F]: the gate's F columns, then up's. -> [T, F].
/// Takes `gate_up` over: where no gradient is recorded its memory may hold the result.
torch::Tensor swiglu(torch::Tensor gate_up);

/// x * sigmoid(1.702 x). Source: arXiv:1606.08415, sec. 2. x [T, F]. Takes `x` over, as swiglu does.
torch::Tensor quick_gelu(torch::Tensor x);

}  // namespace trireme
