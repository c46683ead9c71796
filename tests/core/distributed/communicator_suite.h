#pragma once

#include <functional>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "core/distributed/communicator.h"

namespace trireme::test {

/// One implementation at one rank count. Every test of the suite runs its body once per rank, on a communicator of its
/// own: as threads here, or in each of mpirun's processes.
struct Ranks {
  std::string name;
  int64_t size;
  /// Whether a timeout names the ranks that have not arrived.
  bool knows_arrivals;
  std::function<void(const CommunicatorOptions&, const std::function<void(Communicator&)>&)> run;
};

inline void PrintTo(const Ranks& ranks, std::ostream* out) { *out << ranks.name; }

/// The tests are in communicator_suite.cpp and ending_suite.cpp; each binary instantiates them for its implementations.
class CommunicatorTest : public ::testing::TestWithParam<Ranks> {
 protected:
  void run(const std::function<void(Communicator&)>& body) { run({}, body); }
  void run(const CommunicatorOptions& options, const std::function<void(Communicator&)>& body) {
    GetParam().run(options, [&](Communicator& communicator) {
      ASSERT_EQ(communicator.size(), GetParam().size);
      body(communicator);
    });
  }
};

}  // namespace trireme::test
