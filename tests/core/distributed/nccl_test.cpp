// CUDA tensors over NCCL, one GPU per rank; built with TRIREME_CUDA only. Ranks without a GPU of their own skip.
#include "core/distributed/nccl.h"

#include <cstdlib>
#include <iostream>

#include <gmock/gmock.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/cuda/CUDAFunctions.h>

#include "core/distributed/connect.h"
#include "core/distributed/reducer.h"
#include "core/distributed/self.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::HasSubstr;

int64_t number_from(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::atoll(text);
}

/// Owned by main(): MPI starts once per process.
std::unique_ptr<Communicator> communicator;

class Nccl : public ::testing::Test {
 protected:
  void SetUp() override {
    const int64_t ranks = number_from("TRIREME_EXPECTED_RANKS");
    if (communicator == nullptr) GTEST_SKIP() << "needs " << ranks << " NVIDIA GPUs on this host";
    ASSERT_EQ(communicator->size(), ranks);
  }
  static torch::TensorOptions gpu(c10::ScalarType dtype = torch::kFloat32) {
    return torch::TensorOptions(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(communicator->rank())))
        .dtype(dtype);
  }
};

TEST_F(Nccl, ReducesAndGathersOnTheGpu) {
  Communicator& comm = *communicator;
  const int64_t ranks = comm.size(), rank = comm.rank();
  for (const auto dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16, torch::kInt64}) {
    torch::Tensor sum = at::full({5}, rank + 1, gpu(dtype));
    comm.all_reduce(sum, ReduceOp::kSum).wait();
    EXPECT_TRUE(at::equal(sum, at::full({5}, ranks * (ranks + 1) / 2, gpu(dtype))));
    torch::Tensor all = at::empty({ranks, 3}, gpu(dtype));
    comm.all_gather(all, at::full({3}, rank, gpu(dtype))).wait();
    EXPECT_TRUE(at::equal(all, at::arange(ranks, gpu(dtype)).unsqueeze(1).expand({ranks, 3})));
    torch::Tensor part = at::empty({3}, gpu(dtype));
    comm.reduce_scatter(part, all, ReduceOp::kMax).wait();
    EXPECT_TRUE(at::equal(part, at::full({3}, rank, gpu(dtype))));
    torch::Tensor of_last = at::full({2}, rank, gpu(dtype));
    comm.broadcast(of_last, ranks - 1).wait();
    EXPECT_TRUE(at::equal(of_last, at::full({2}, ranks - 1, gpu(dtype))));
  }
}

TEST_F(Nccl, MovesCpuTensorsOverTheHost) {
  torch::Tensor sum = at::ones({3});
  communicator->all_reduce(sum, ReduceOp::kMean).wait();
  communicator->barrier();
  EXPECT_TRUE(at::equal(sum, at::ones({3})));
}

TEST_F(Nccl, PassesARingOfMessages) {
  Communicator& comm = *communicator;
  const int64_t ranks = comm.size(), rank = comm.rank();
  if (ranks == 1) GTEST_SKIP() << "needs 2 NVIDIA GPUs on this host";
  const torch::Tensor mine = at::full({1 << 20}, rank, gpu());
  const torch::Tensor from_left = at::empty({1 << 20}, gpu());
  Work send = comm.send(mine, (rank + 1) % ranks);
  Work recv = comm.recv(from_left, (rank + ranks - 1) % ranks);
  send.wait();
  recv.wait();
  EXPECT_TRUE(at::equal(from_left, at::full({1 << 20}, (rank + ranks - 1) % ranks, gpu())));
}

TEST_F(Nccl, ReducesGradientsWhileBackwardGoesOn) {
  Communicator& comm = *communicator;
  const torch::Tensor w = at::ones({64, 64}, gpu()).set_requires_grad(true);
  GradientReducer reducer({w}, comm);
  reducer.start_step();
  reducer.overlap_next_backward();
  (w.sum() * (comm.rank() + 1)).backward();
  reducer.finish_step();
  EXPECT_TRUE(at::equal(w.grad(), at::full({64, 64}, comm.size() * (comm.size() + 1) / 2, gpu())));
}

TEST(NcclCommunicator, RefusesARankWithoutAGpu) {
  EXPECT_THAT(message_of<ConfigError>(
                  [] { nccl_communicator(std::make_unique<SelfCommunicator>(CommunicatorOptions{}), 1000, {}); }),
              HasSubstr("local rank 1000"));
}

}  // namespace
}  // namespace trireme::test

int main(int argc, char** argv) {
  using namespace trireme;
  ::testing::InitGoogleTest(&argc, argv);
  const int64_t ranks = test::number_from("TRIREME_EXPECTED_RANKS"), rank = test::number_from("OMPI_COMM_WORLD_RANK");
  if (rank != 0) GTEST_FLAG_SET(brief, true);
  if (c10::cuda::device_count() >= ranks) {
    const LaunchInfo info{
        .launcher = Launcher::kMpirun, .rank = rank, .size = ranks, .local_rank = rank, .local_size = ranks};
    const CommunicatorOptions options;
    test::communicator = ranks > 1 ? connect(info, options, TensorPlace::kGpu)
                                   : nccl_communicator(std::make_unique<SelfCommunicator>(options), 0, options);
  }
  const int result = RUN_ALL_TESTS();
  test::communicator.reset();
  return result;
}
