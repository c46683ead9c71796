#include "tests/core/distributed/communicator_suite.h"

#include <array>
#include <numeric>
#include <optional>
#include <thread>

#include <gmock/gmock.h>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "core/distributed/agreement.h"
#include "core/rng.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::array kNumberDtypes = {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16,
                                      torch::kInt64,   torch::kInt32,   torch::kUInt8};

/// Long enough for ranks on a busy machine to meet at a barrier.
constexpr std::chrono::milliseconds kShortTimeout{250};

/// What `rank` brings to a test: any process can compute any rank's share. Whole numbers 0..7, which every dtype holds
/// exactly, as it does their sums over four ranks.
torch::Tensor share(int64_t rank, c10::IntArrayRef sizes, c10::ScalarType dtype) {
  RandomStream stream = random_stream(7, "share", 0, rank);
  torch::Tensor values = at::empty(sizes, torch::kInt64);
  auto* data = values.data_ptr<int64_t>();
  for (int64_t i = 0; i < values.numel(); ++i) data[i] = static_cast<int64_t>(stream.uniform_below(8));
  return values.to(dtype);
}

torch::Tensor normal_share(int64_t rank, int64_t count) {
  RandomStream stream = random_stream(7, "normal_share", 0, rank);
  torch::Tensor values = at::empty({count}, torch::kFloat32);
  for (int64_t i = 0; i < count; ++i) values.data_ptr<float>()[i] = static_cast<float>(stream.normal());
  return values;
}

/// The reduction that one process would compute, in float64.
torch::Tensor serial_reduction(const std::vector<torch::Tensor>& shares, ReduceOp op) {
  const torch::Tensor all = at::stack(shares).to(torch::kFloat64);
  switch (op) {
    case ReduceOp::kSum:
      return all.sum(0);
    case ReduceOp::kMean:
      return all.sum(0) / static_cast<double>(shares.size());
    case ReduceOp::kMax:
      return all.amax(0);
    case ReduceOp::kMin:
      return all.amin(0);
  }
  return {};
}

std::vector<torch::Tensor> all_shares(int64_t ranks, c10::IntArrayRef sizes, c10::ScalarType dtype) {
  std::vector<torch::Tensor> shares;
  for (int64_t rank = 0; rank < ranks; ++rank) shares.push_back(share(rank, sizes, dtype));
  return shares;
}

std::vector<ReduceOp> ops_for(c10::ScalarType dtype) {
  std::vector<ReduceOp> ops = {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin};
  if (c10::isFloatingType(dtype)) ops.push_back(ReduceOp::kMean);
  return ops;
}

/// Collectives begun together and waited for together: many cases for the price of a few round trips between processes.
class Batch {
 public:
  void add(Work work, torch::Tensor result, torch::Tensor expected, std::string name) {
    cases_.push_back({std::move(work), std::move(result), std::move(expected), std::move(name)});
  }
  void expect_all_equal() {
    for (Case& each : cases_) each.work.wait();
    for (const Case& each : cases_) EXPECT_TRUE(at::equal(each.result, each.expected)) << each.name;
  }

 private:
  struct Case {
    Work work;
    torch::Tensor result, expected;
    std::string name;
  };
  std::vector<Case> cases_;
};

std::string case_name(const torch::Tensor& tensor, ReduceOp op) {
  return fmt::format("{}, reduction {}", shape_string(tensor), static_cast<int>(op));
}

TEST_P(CommunicatorTest, AllReduceEqualsSerialReduction) {
  run([](Communicator& comm) {
    Batch batch;
    for (const c10::ScalarType dtype : kNumberDtypes) {
      for (const ReduceOp op : ops_for(dtype)) {
        for (const int64_t count : {0, 1, 7, 3000}) {
          const torch::Tensor tensor = share(comm.rank(), {count}, dtype);
          const auto expected = serial_reduction(all_shares(comm.size(), {count}, dtype), op).to(dtype);
          batch.add(comm.all_reduce(tensor, op), tensor, expected, case_name(tensor, op));
        }
      }
    }
    batch.expect_all_equal();
  });
}

TEST_P(CommunicatorTest, ReduceScatterEqualsSerialReductionAndLeavesItsInput) {
  run([](Communicator& comm) {
    const std::vector<int64_t> sizes = {comm.size(), 5, 3};
    Batch batch;
    std::vector<torch::Tensor> inputs;
    for (const c10::ScalarType dtype : kNumberDtypes) {
      for (const ReduceOp op : ops_for(dtype)) {
        const torch::Tensor output = at::empty({5, 3}, torch::TensorOptions().dtype(dtype));
        inputs.push_back(share(comm.rank(), sizes, dtype));
        const auto expected = serial_reduction(all_shares(comm.size(), sizes, dtype), op)[comm.rank()].to(dtype);
        batch.add(comm.reduce_scatter(output, inputs.back(), op), output, expected, case_name(output, op));
      }
    }
    batch.expect_all_equal();
    for (const torch::Tensor& input : inputs) {
      EXPECT_TRUE(at::equal(input, share(comm.rank(), sizes, input.scalar_type()))) << shape_string(input);
    }
  });
}

TEST_P(CommunicatorTest, AllGatherKeepsRankOrder) {
  run([](Communicator& comm) {
    Batch batch;
    for (const c10::ScalarType dtype : kNumberDtypes) {
      for (const int64_t rows : {0, 1, 6}) {
        const torch::Tensor output = at::empty({comm.size(), rows, 2}, torch::TensorOptions().dtype(dtype));
        const auto expected = at::stack(all_shares(comm.size(), {rows, 2}, dtype));
        batch.add(comm.all_gather(output, share(comm.rank(), {rows, 2}, dtype)), output, expected,
                  shape_string(output));
      }
    }
    batch.expect_all_equal();
  });
}

TEST_P(CommunicatorTest, BroadcastBringsTheRootsValuesFromEveryRoot) {
  run([](Communicator& comm) {
    Batch batch;
    for (const c10::ScalarType dtype : kNumberDtypes) {
      for (int64_t root = 0; root < comm.size(); ++root) {
        const torch::Tensor tensor = share(comm.rank(), {4, 5}, dtype);
        batch.add(comm.broadcast(tensor, root), tensor, share(root, {4, 5}, dtype), fmt::format("root {}", root));
      }
    }
    batch.expect_all_equal();
  });
}

TEST_P(CommunicatorTest, BoolsAreGatheredBroadcastAndReducedToAnyAndAll) {
  run([](Communicator& comm) {
    const auto bits_of = [](int64_t rank) { return share(rank, {40}, torch::kInt64).remainder(2).to(torch::kBool); };
    torch::Tensor any = at::zeros({40}, torch::kBool), all = at::ones({40}, torch::kBool);
    for (int64_t rank = 0; rank < comm.size(); ++rank) {
      any = any.logical_or(bits_of(rank));
      all = all.logical_and(bits_of(rank));
    }
    const torch::Tensor tensor = bits_of(comm.rank());
    comm.all_reduce(tensor, ReduceOp::kMax).wait();
    EXPECT_TRUE(at::equal(tensor, any));
    tensor.copy_(bits_of(comm.rank()));
    comm.all_reduce(tensor, ReduceOp::kMin).wait();
    EXPECT_TRUE(at::equal(tensor, all));
    comm.broadcast(tensor.copy_(bits_of(comm.rank())), comm.size() - 1).wait();
    EXPECT_TRUE(at::equal(tensor, bits_of(comm.size() - 1)));
    const torch::Tensor output = at::empty({comm.size(), 40}, torch::kBool);
    comm.all_gather(output, bits_of(comm.rank())).wait();
    for (int64_t rank = 0; rank < comm.size(); ++rank) EXPECT_TRUE(at::equal(output[rank], bits_of(rank)));
  });
}

TEST_P(CommunicatorTest, FloatSumsAreCloseToSerialAndHaveTheSameBitsOnEveryRank) {
  run([](Communicator& comm) {
    for (const int64_t count : {1, 100'003}) {
      const torch::Tensor tensor = normal_share(comm.rank(), count);
      std::vector<torch::Tensor> shares;
      for (int64_t rank = 0; rank < comm.size(); ++rank) shares.push_back(normal_share(rank, count));
      comm.all_reduce(tensor, ReduceOp::kSum).wait();
      const torch::Tensor expected = serial_reduction(shares, ReduceOp::kSum);
      EXPECT_LT((tensor.to(torch::kFloat64) - expected).abs().max().item<double>(), 4e-6);
      const torch::Tensor everywhere = at::empty({comm.size(), count}, torch::kFloat32);
      comm.all_gather(everywhere, tensor).wait();
      for (int64_t rank = 0; rank < comm.size(); ++rank) EXPECT_TRUE(at::equal(everywhere[rank], tensor)) << rank;
    }
  });
}

TEST_P(CommunicatorTest, MeanIsTheSumDividedByTheRanks) {
  run([](Communicator& comm) {
    const torch::Tensor sum = normal_share(comm.rank(), 1000), mean = sum.clone();
    comm.all_reduce(sum, ReduceOp::kSum).wait();
    comm.all_reduce(mean, ReduceOp::kMean).wait();
    EXPECT_TRUE(at::equal(mean, sum / static_cast<double>(comm.size())));
  });
}

TEST_P(CommunicatorTest, HalfSumsAreTakenInFloat32AndRoundedOnce) {
  run([](Communicator& comm) {
    // 256 + 1 is 256 again in bfloat16, however often it is added; 2048 + 1 in float16.
    for (const auto& [dtype, large] : {std::pair{torch::kBFloat16, 256.0}, std::pair{torch::kFloat16, 2048.0}}) {
      const torch::Tensor tensor = at::full({3}, comm.rank() == 0 ? large : 1.0, torch::TensorOptions().dtype(dtype));
      comm.all_reduce(tensor, ReduceOp::kSum).wait();
      const double sum = large + static_cast<double>(comm.size() - 1);
      EXPECT_TRUE(at::equal(tensor, at::full({3}, sum, torch::kFloat32).to(dtype))) << tensor;
    }
  });
}

TEST_P(CommunicatorTest, MessagesArriveInTheOrderSentHoweverTheyAreWaitedFor) {
  if (GetParam().size == 1) return;  // one rank has nobody to write to
  run([](Communicator& comm) {
    const int64_t to = (comm.rank() + 1) % comm.size(), from = (comm.rank() + comm.size() - 1) % comm.size();
    std::vector<torch::Tensor> arrived;
    std::vector<Work> works;
    for (int64_t index = 0; index < 4; ++index) {
      arrived.push_back(at::zeros({1000}, torch::kBFloat16));
      works.push_back(comm.recv(arrived.back(), from));
      works.push_back(comm.send(share(comm.rank(), {1000}, torch::kBFloat16) + index * 8, to));
    }
    for (auto work = works.rbegin(); work != works.rend(); ++work) work->wait();
    for (int64_t index = 0; index < 4; ++index) {
      EXPECT_TRUE(at::equal(arrived[index], share(from, {1000}, torch::kBFloat16) + index * 8)) << index;
    }
  });
}

TEST_P(CommunicatorTest, CollectivesInFlightMayBeWaitedForInAnyOrder) {
  run([](Communicator& comm) {
    std::vector<torch::Tensor> tensors;
    std::vector<Work> works;
    for (int64_t index = 0; index < 20; ++index) {
      tensors.push_back(share(comm.rank(), {50}, torch::kFloat32) * index);
      works.push_back(comm.all_reduce(tensors.back(), ReduceOp::kSum));
    }
    for (auto work = works.rbegin(); work != works.rend(); ++work) work->wait();
    const torch::Tensor sum = serial_reduction(all_shares(comm.size(), {50}, torch::kFloat32), ReduceOp::kSum);
    for (int64_t index = 0; index < 20; ++index)
      EXPECT_TRUE(at::equal(tensors[index], (sum * index).to(torch::kFloat32)));
  });
}

TEST_P(CommunicatorTest, BarrierWaitsForEveryRank) {
  if (GetParam().size == 1) return;  // nobody to wait for
  run({.timeout = kShortTimeout}, [](Communicator& comm) {
    if (comm.rank() == comm.size() - 1) return std::this_thread::sleep_for(3 * kShortTimeout);
    EXPECT_THAT(message_of<DistError>([&] { comm.barrier(); }), HasSubstr("must enter [1] barrier within"));
  });
}

TEST_P(CommunicatorTest, LedgerCountsCollectivesButNotMessages) {
  run([](Communicator& comm) {
    const torch::Tensor tensor = at::ones({1});
    comm.barrier();
    comm.all_reduce(tensor, ReduceOp::kSum).wait();
    if (comm.size() > 1 && comm.rank() == 0) comm.send(tensor, 1).wait();
    if (comm.rank() == 1) comm.recv(tensor, 0).wait();
    EXPECT_EQ(comm.ledger_number(), 2u);
  });
}

TEST_P(CommunicatorTest, WorkThatNobodyWaitedForIsABug) {
  run([](Communicator& comm) {
    const torch::Tensor tensor = at::ones({1});
    const std::string message =
        message_of<InternalError>([&] { const Work work = comm.all_reduce(tensor, ReduceOp::kSum); });
    EXPECT_THAT(message, HasSubstr("nobody waited"));
    EXPECT_THROW(
        {
          const Work work = comm.all_reduce(tensor, ReduceOp::kSum);
          throw DataError("test", "unwinding must go on; got a second error; report it.");
        },
        DataError);
    comm.barrier();
  });
}

TEST_P(CommunicatorTest, RefusesTensorsThatDoNotFit) {
  run([](Communicator& comm) {
    const int64_t ranks = comm.size();
    const auto refusal = [](const auto& action) { return message_of<ShapeError>([&] { action().wait(); }); };
    EXPECT_THAT(refusal([&] { return comm.all_reduce(torch::Tensor(), ReduceOp::kSum); }), HasSubstr("got undefined"));
    EXPECT_THAT(refusal([&] {
                  return comm.all_reduce(at::ones({4, 4}).t(), ReduceOp::kSum);
                }),
                AllOf(HasSubstr("[all_reduce]"), HasSubstr("contiguous"), HasSubstr("strides [1, 4]")));
    EXPECT_THAT(refusal([&] { return comm.broadcast(at::ones({2}, torch::kInt16), 0); }),
                AllOf(HasSubstr("[broadcast]"), HasSubstr("[2] int16")));
    EXPECT_THAT(refusal([&] { return comm.all_reduce(at::ones({2}, torch::kInt64), ReduceOp::kMean); }),
                AllOf(HasSubstr("a mean needs a floating dtype"), HasSubstr("[2] int64")));
    EXPECT_THAT(refusal([&] { return comm.all_reduce(at::ones({2}, torch::kBool), ReduceOp::kSum); }),
                HasSubstr("a sum needs a number dtype"));
    EXPECT_THAT(refusal([&] {
                  return comm.all_gather(at::ones({ranks + 1, 3}), at::ones({3}));
                }),
                AllOf(HasSubstr("[all_gather]"), HasSubstr(fmt::format("must be [{}, 3] float32", ranks)),
                      HasSubstr(fmt::format("got [{}, 3] float32", ranks + 1))));
    EXPECT_THAT(refusal([&] {
                  return comm.all_gather(at::ones({ranks, 3}), at::ones({3}, torch::kFloat64));
                }),
                HasSubstr(fmt::format("must be [{}, 3] float64", ranks)));
    EXPECT_THAT(refusal([&] { return comm.reduce_scatter(at::ones({3}), at::ones({3}), ReduceOp::kSum); }),
                AllOf(HasSubstr("[reduce_scatter]"), HasSubstr(fmt::format("the input must be [{}, 3]", ranks))));
    const torch::Tensor memory = at::ones({ranks, 3});
    EXPECT_THAT(refusal([&] { return comm.all_gather(memory, memory[0]); }), HasSubstr("must not share memory"));
    EXPECT_EQ(comm.ledger_number(), 0u) << "a refused call was counted";
    EXPECT_THROW(comm.broadcast(memory, ranks).wait(), InternalError);
    EXPECT_THROW(comm.send(memory, comm.rank()).wait(), InternalError);
    EXPECT_THROW(comm.recv(memory, -1).wait(), InternalError);
  });
}

TEST_P(CommunicatorTest, VerifyLetsEqualCallsPass) {
  run({.verify = true}, [](Communicator& comm) {
    const torch::Tensor tensor = share(comm.rank(), {30}, torch::kBFloat16);
    comm.all_reduce(tensor, ReduceOp::kMean).wait();
    comm.broadcast(tensor, comm.size() - 1).wait();
    comm.barrier();
    const torch::Tensor output = at::empty({comm.size(), 30}, torch::kBFloat16);
    comm.all_gather(output, tensor).wait();
    EXPECT_TRUE(at::equal(output[0], tensor));
    EXPECT_EQ(comm.ledger_number(), 4u) << "the comparison itself was counted";
  });
}

/// Rank 0 and all others but the last make one call, the last another; every rank must get the same message.
void expect_verify_finds(const Ranks& ranks, const std::function<Work(Communicator&, bool odd)>& call,
                         const std::string& usual, const std::string& odd) {
  if (ranks.size == 1) return;  // nobody to differ from
  ranks.run({.timeout = std::chrono::seconds(20), .verify = true}, [&](Communicator& comm) {
    comm.barrier();
    const int64_t last = comm.size() - 1;
    const std::string message = message_of<DistError>([&] { call(comm, comm.rank() == last).wait(); });
    EXPECT_THAT(message, HasSubstr(fmt::format("got rank 0 in [2] {} and rank {} in [2] {};", usual, last, odd)));
  });
}

TEST_P(CommunicatorTest, VerifyFindsAnotherOp) {
  const auto call = [](Communicator& comm, bool odd) {
    if (odd) return comm.all_gather(at::empty({comm.size(), 4}), at::ones({4}));
    return comm.all_reduce(at::ones({4}), ReduceOp::kSum);
  };
  expect_verify_finds(GetParam(), call, "all_reduce sum 4 float32", "all_gather 4 float32");
}

TEST_P(CommunicatorTest, VerifyFindsAnotherCount) {
  const auto call = [](Communicator& comm, bool odd) {
    return comm.all_reduce(at::ones({odd ? 5 : 4}), ReduceOp::kSum);
  };
  expect_verify_finds(GetParam(), call, "all_reduce sum 4 float32", "all_reduce sum 5 float32");
}

TEST_P(CommunicatorTest, VerifyFindsAnotherDtype) {
  const auto call = [](Communicator& comm, bool odd) {
    return comm.all_reduce(at::ones({4}, odd ? torch::kBFloat16 : torch::kFloat16), ReduceOp::kMean);
  };
  expect_verify_finds(GetParam(), call, "all_reduce mean 4 float16", "all_reduce mean 4 bfloat16");
}

TEST_P(CommunicatorTest, VerifyFindsAnotherReductionAndAnotherRoot) {
  const auto reduce = [](Communicator& comm, bool odd) {
    return comm.all_reduce(at::ones({4}), odd ? ReduceOp::kMax : ReduceOp::kMin);
  };
  expect_verify_finds(GetParam(), reduce, "all_reduce min 4 float32", "all_reduce max 4 float32");
  const auto broadcast = [](Communicator& comm, bool odd) { return comm.broadcast(at::ones({4}), odd ? 1 : 0); };
  expect_verify_finds(GetParam(), broadcast, "broadcast from 0, 4 float32", "broadcast from 1, 4 float32");
}

TEST_P(CommunicatorTest, VerifyFindsARankThatIsOneCallBehind) {
  if (GetParam().size == 1) return;  // nobody to be behind
  run({.timeout = std::chrono::seconds(20), .verify = true}, [](Communicator& comm) {
    comm.barrier();
    // The last rank leaves out the first reduction: without verify the sums would be taken over different tensors.
    const bool odd = comm.rank() == comm.size() - 1;
    const std::string message = message_of<DistError>([&] {
      if (!odd) comm.all_reduce(at::ones({8}), ReduceOp::kSum).wait();
      comm.all_reduce(at::ones({9}), ReduceOp::kSum).wait();
    });
    EXPECT_THAT(message, HasSubstr("[2] all_reduce sum 8 float32"));
    EXPECT_THAT(message, HasSubstr("[2] all_reduce sum 9 float32"));
  });
}

TEST_P(CommunicatorTest, WaitEndsByTheTimeoutWithTheOpAndItsNumber) {
  if (GetParam().size == 1) return;  // nobody to wait for
  for (const bool verify : {false, true}) {
    run({.timeout = kShortTimeout, .verify = verify}, [&](Communicator& comm) {
      const int64_t last = comm.size() - 1;
      comm.barrier();
      if (comm.rank() == last) {
        std::this_thread::sleep_for(3 * kShortTimeout);  // lost, as far as the others can tell
        return;
      }
      const std::string message = message_of<DistError>([&] { comm.all_reduce(at::ones({4}), ReduceOp::kSum).wait(); });
      EXPECT_THAT(message,
                  AllOf(HasSubstr("[dist] every rank must enter [2] all_reduce sum 4 float32 within 0.25 s; got rank"),
                        HasSubstr(" waiting and "), HasSubstr("raise the timeout")));
      if (GetParam().knows_arrivals && comm.rank() == 0) {
        EXPECT_THAT(message, HasSubstr(fmt::format("rank 0 waiting and rank {} not arrived;", last)));
      }
    });
  }
}

TEST_P(CommunicatorTest, ReceiveEndsByTheTimeout) {
  if (GetParam().size == 1) return;  // nobody to receive from
  run({.timeout = kShortTimeout}, [&](Communicator& comm) {
    comm.barrier();
    if (comm.rank() != 0) return std::this_thread::sleep_for(3 * kShortTimeout);
    const std::string message = message_of<DistError>([&] { comm.recv(at::ones({4}), 1).wait(); });
    EXPECT_THAT(message, HasSubstr("recv from 1, 4 float32 within 0.25 s"));
  });
}

TEST_P(CommunicatorTest, ReceiveRefusesAMessageOfAnotherSize) {
  if (GetParam().size == 1) return;  // nobody to receive from
  for (const int64_t asked : {3, 5}) {
    run([&](Communicator& comm) {
      if (comm.rank() == 1) comm.send(at::ones({4}), 0).wait();
      if (comm.rank() == 0) {
        EXPECT_THAT(message_of<DistError>([&] { comm.recv(at::ones({asked}), 1).wait(); }),
                    HasSubstr(fmt::format("recv from 1, {} float32", asked)));
      }
    });
  }
}

/// So small that nothing but single numbers fits.
constexpr int64_t kPieceBytes = 64;

TEST_P(CommunicatorTest, InPiecesEveryCollectiveGivesWhatItGivesAtOnceAndCountsOnce) {
  for (const bool verify : {false, true}) {
    run({.verify = verify, .piece_bytes = kPieceBytes}, [](Communicator& comm) {
      const int64_t ranks = comm.size(), rank = comm.rank();
      uint64_t calls = 0;
      for (const c10::ScalarType dtype : kNumberDtypes) {
        const auto options = at::TensorOptions(dtype);
        for (const int64_t count : {0, 1, 7, 8, 64, 301}) {
          const auto shares = all_shares(ranks, {count}, dtype);
          for (const ReduceOp op : ops_for(dtype)) {
            const at::Tensor reduced = share(rank, {count}, dtype);
            comm.all_reduce(reduced, op).wait();
            EXPECT_TRUE(at::equal(reduced, serial_reduction(shares, op).to(dtype))) << case_name(reduced, op);

            const at::Tensor part = at::empty({count}, options), input = share(rank, {ranks, count}, dtype);
            comm.reduce_scatter(part, input, op).wait();
            const auto all = serial_reduction(all_shares(ranks, {ranks, count}, dtype), op);
            EXPECT_TRUE(at::equal(part, all[rank].to(dtype))) << case_name(part, op);
            EXPECT_TRUE(at::equal(input, share(rank, {ranks, count}, dtype))) << "the input was changed";
            calls += 2;
          }
          const at::Tensor gathered = at::empty({ranks, count}, options);
          comm.all_gather(gathered, shares[static_cast<std::size_t>(rank)]).wait();
          EXPECT_TRUE(at::equal(gathered, at::stack(shares))) << shape_string(gathered);
          const at::Tensor broadcasted = share(rank, {count}, dtype);
          comm.broadcast(broadcasted, ranks - 1).wait();
          EXPECT_TRUE(at::equal(broadcasted, shares.back())) << shape_string(broadcasted);
          calls += 2;
        }
      }
      EXPECT_EQ(comm.ledger_number(), calls) << "pieces were counted";
    });
  }
}

TEST_P(CommunicatorTest, MessagesInPiecesArriveWholeAndInOrder) {
  if (GetParam().size == 1) return;  // one rank has nobody to write to
  run({.piece_bytes = kPieceBytes}, [](Communicator& comm) {
    const int64_t to = (comm.rank() + 1) % comm.size(), from = (comm.rank() + comm.size() - 1) % comm.size();
    const at::Tensor first = at::zeros({1001}), second = at::zeros({17});
    // Every rank writes before it reads.
    Work sends[] = {comm.send(normal_share(comm.rank(), 1001), to), comm.send(normal_share(comm.rank(), 17), to)};
    Work receives[] = {comm.recv(first, from), comm.recv(second, from)};
    for (Work& work : receives) work.wait();
    for (Work& work : sends) work.wait();
    EXPECT_TRUE(at::equal(first, normal_share(from, 1001)));
    EXPECT_TRUE(at::equal(second, normal_share(from, 17)));
  });
}

TEST_P(CommunicatorTest, ACollectiveInPiecesIsNamedAsAWhole) {
  if (GetParam().size == 1) return;  // nobody to wait for
  run({.timeout = kShortTimeout, .piece_bytes = kPieceBytes}, [](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == comm.size() - 1) return std::this_thread::sleep_for(3 * kShortTimeout);
    EXPECT_THAT(message_of<DistError>([&] { comm.all_reduce(at::ones({400}), ReduceOp::kSum).wait(); }),
                HasSubstr("must enter [2] all_reduce sum 400 float32 within 0.25 s"));
  });
}

TEST_P(CommunicatorTest, CollectivesBegunBeforeOneInPiecesAreOverAsUsual) {
  run({.piece_bytes = kPieceBytes}, [](Communicator& comm) {
    const at::Tensor small = at::ones({4}), large = at::ones({400}), after = at::ones({3});
    Work first = comm.all_reduce(small, ReduceOp::kSum);
    Work second = comm.all_reduce(large, ReduceOp::kMean);
    Work third = comm.all_reduce(after, ReduceOp::kSum);
    third.wait();
    second.wait();
    first.wait();
    const auto ranks = static_cast<double>(comm.size());
    EXPECT_TRUE(at::equal(small, at::full({4}, ranks)));
    EXPECT_TRUE(at::equal(large, at::ones({400})));
    EXPECT_TRUE(at::equal(after, at::full({3}, ranks)));
  });
}

TEST_P(CommunicatorTest, SmallValuesAreGatheredAndBroadcast) {
  run([](Communicator& comm) {
    std::vector<int64_t> ranks(comm.size());
    std::iota(ranks.begin(), ranks.end(), -1);
    EXPECT_EQ(all_gather_int64(comm, comm.rank() - 1), ranks);
    std::vector<std::string> texts;
    for (int64_t rank = 0; rank < comm.size(); ++rank)
      texts.push_back(std::string(static_cast<std::size_t>(rank), 'x'));
    EXPECT_EQ(all_gather_string(comm, texts[comm.rank()]), texts);
    EXPECT_EQ(all_gather_string(comm, ""), std::vector<std::string>(comm.size()));
    const int64_t root = comm.size() - 1;
    const std::vector<int64_t> values = {1, -2, int64_t{1} << 62};
    EXPECT_EQ(broadcast_int64s(comm, comm.rank() == root ? values : std::vector<int64_t>{9}, root), values);
    EXPECT_EQ(broadcast_int64s(comm, {}, 0), std::vector<int64_t>{});
  });
}

TEST_P(CommunicatorTest, DisagreementNamesTheFirstRankThatDiffersOnEveryRank) {
  run([](Communicator& comm) {
    check_ranks_agree(comm, "model weights", "ab12", "copy the folder again");
    if (comm.size() == 1) return;
    const std::string message = message_of<DistError>(
        [&] { check_ranks_agree(comm, "model weights", comm.rank() == 1 ? "cd34" : "ab12", "copy the folder again"); });
    EXPECT_EQ(message,
              "[dist] every rank must have the same model weights; got ab12 on rank 0 and cd34 on rank 1; copy "
              "the folder again.");
  });
}

}  // namespace
}  // namespace trireme::test
