#pragma once

#include "core/tensor_memory.h"

namespace trireme::test {

using CountedMemory = TensorMemory;

}  // namespace trireme::test
