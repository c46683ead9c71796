#pragma once

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace trireme::test {

/// Runs `action`, which must throw exactly `Kind` (with its exit code), and returns the message to be read by the test.
template <class Kind, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Kind& error) {
    EXPECT_EQ(error.exit_code(), Kind::kExitCode);
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error came: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error came";
  return {};
}

}  // namespace trireme::test
