#include "core/shape.h"

#include <gtest/gtest.h>

#include <torch/types.h>

namespace trireme {
namespace {

TEST(ShapeString, NamesSizesAndDtype) {
  EXPECT_EQ(shape_string(torch::zeros({2, 3}, torch::kBFloat16)), "[2, 3] bfloat16");
  EXPECT_EQ(shape_string(torch::Tensor()), "undefined");
}

}  // namespace
}  // namespace trireme
