// One rank of a job that ends in the way its argument names, as launch/ would end it: ending_test.cpp runs it under
// mpirun and reads exit code and stderr.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>

#include <ATen/ops/ones.h>

#include "core/distributed/connect.h"
#include "core/distributed/run_as_rank.h"
#include "core/tensor.h"

namespace {

using namespace trireme;
using namespace std::chrono_literals;

[[noreturn]] void fail() { throw DataError("test", "records must be readable; got none; bring some."); }

int64_t number_from(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::atoll(text);
}

int work(Communicator& comm, std::string_view ending) {
  const int64_t rank = comm.rank();
  if (ending == "finish") return 0;
  if (ending == "stop_all") return 75;
  if (ending == "fail_all") fail();
  if (ending == "lose_one" && rank == 1) std::this_thread::sleep_for(60s);
  if (ending == "stop_one" && rank == 1) std::raise(SIGSTOP);
  if (ending == "stop_one_at_the_end") {
    if (rank == 1) std::raise(SIGSTOP);
    return 0;
  }
  const torch::Tensor tensor = at::ones({1'000'000});
  Work in_flight = comm.all_reduce(tensor, ReduceOp::kSum);
  if (ending == "fail_one" && rank == 2) fail();
  if (ending == "fail_while_one_is_stuck") {
    if (rank == 2) fail();
    if (rank == 1) std::this_thread::sleep_for(60s);
  }
  if (ending == "kill_one") {
    std::signal(SIGTERM, SIG_IGN);  // mpirun sends it to the others, and kills them a second later; train holds it too
    comm.barrier();
    if (rank == 1) std::raise(SIGKILL);
  }
  in_flight.wait();
  comm.barrier();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view ending = argc > 1 ? argv[1] : "finish";
  LaunchInfo info{.launcher = Launcher::kMpirun,
                  .rank = number_from("OMPI_COMM_WORLD_RANK"),
                  .size = number_from("OMPI_COMM_WORLD_SIZE")};
  if (ending == "wrong_size") ++info.size;
  const bool is_missed = ending == "lose_one" || ending.starts_with("stop_one");
  const CommunicatorOptions options{.timeout = is_missed ? 300ms : 30'000ms, .grace = 300ms};
  try {
    const auto communicator = connect(info, options);
    return run_as_rank(
        *communicator, [&] { return work(*communicator, ending); },
        [](const std::string& line) { std::cerr << line + "\n"; });
  } catch (const Error& error) {
    if (info.rank == 0) std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}
