#include "core/shape.h"

#include <gtest/gtest.h>

#include <ATen/ops/zeros.h>

#include "core/tensor.h"

namespace trireme {
namespace {

TEST(ShapeString, NamesSizesAndDtype) {
  EXPECT_EQ(shape_string(at::zeros({2, 3}, torch::kBFloat16)), "[2, 3] bfloat16");
  EXPECT_EQ(shape_string(torch::Tensor()), "undefined");
}

}  // namespace
}  // namespace trireme
