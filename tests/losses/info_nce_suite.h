#pragma once

#include <gtest/gtest.h>

#include "tests/losses/contrast_cases.h"

namespace trireme::test {

/// What must hold on any number of ranks, over any transport.
class InfoNceTest : public ::testing::TestWithParam<RankRunner> {};

}  // namespace trireme::test
