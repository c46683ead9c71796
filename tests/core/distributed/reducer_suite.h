#pragma once

#include "tests/core/distributed/communicator_suite.h"

namespace trireme::test {

/// The reducer on every implementation of the communicator; the tests are in reducer_suite.cpp.
class ReducerTest : public CommunicatorTest {};

}  // namespace trireme::test
