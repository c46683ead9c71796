#pragma once

#include <sstream>

#include "core/console.h"
#include "core/log.h"

namespace trireme::test {

/// A log whose lines the test can read.
struct Listener {
  std::ostringstream text;
  Console console{text, false};
  Log log{console, {}};
};

}  // namespace trireme::test
