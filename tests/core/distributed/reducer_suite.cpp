#include "tests/core/distributed/reducer_suite.h"

#include <gmock/gmock.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/distributed/reducer.h"
#include "tests/core/distributed/stubbed_communicator.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kRowsGlobal = 16;
constexpr int64_t kWidth = 5;
/// So small that the toy model has several buckets, and one tensor is larger than a bucket.
constexpr int64_t kBucketBytes = 96;

/// Two layers of which only rows with a picture use the first.
struct Toy {
  torch::Tensor vision, weight, bias;

  static Toy make(c10::ScalarType dtype) {
    const auto values = [dtype](std::vector<int64_t> shape, double scale) {
      const int64_t count = c10::multiply_integers(shape);
      return (at::arange(count, at::kDouble).mul(scale).sin().reshape(shape).to(dtype)).set_requires_grad(true);
    };
    return {values({kWidth, kWidth}, 0.7), values({kWidth, kWidth}, 1.3), values({kWidth}, 2.1)};
  }
  std::vector<torch::Tensor> parameters() const { return {vision, weight, bias}; }

  /// (Sum over the rows `begin`, `begin` + stride, ..) / B_global, as a rank with these rows computes it.
  torch::Tensor loss(int64_t begin, int64_t stride, int64_t picture_rows) const {
    const auto options = weight.options().requires_grad(false);
    torch::Tensor total = at::zeros({}, options);
    for (int64_t row = begin; row < kRowsGlobal; row += stride) {
      torch::Tensor x = at::arange(row, row + kWidth, options).mul(0.1).cos();
      if (row < picture_rows) x = at::tanh(at::mv(vision, x));
      total = total + at::tanh(at::mv(weight, x) + bias).square().sum();
    }
    return total / kRowsGlobal;
  }
};

std::vector<torch::Tensor> serial_gradients(c10::ScalarType dtype, int64_t picture_rows) {
  const Toy toy = Toy::make(dtype);
  toy.loss(0, 1, picture_rows).backward();
  std::vector<torch::Tensor> gradients;
  for (const torch::Tensor& parameter : toy.parameters()) {
    gradients.push_back(parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter));
  }
  return gradients;
}

double relative_difference(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double scale = std::max(b[i].abs().max().item<double>(), 1e-300);
    worst = std::max(worst, (a[i] - b[i]).abs().max().item<double>() / scale);
  }
  return worst;
}

struct StepPlan {
  int64_t micro_steps = 1;
  bool overlap = true;
  int64_t picture_rows = kRowsGlobal;
};

/// One step of this rank: every R-th row, in micro-steps.
void run_step(GradientReducer& reducer, const Toy& toy, const Communicator& comm, const StepPlan& plan) {
  reducer.start_step();
  for (int64_t micro = 0; micro < plan.micro_steps; ++micro) {
    if (plan.overlap && micro + 1 == plan.micro_steps) reducer.overlap_next_backward();
    toy.loss(comm.rank() + micro * comm.size(), comm.size() * plan.micro_steps, plan.picture_rows).backward();
  }
  reducer.finish_step();
}

TEST_P(ReducerTest, SumsLikeOneRankWithAllRows) {
  for (const auto& [dtype, tolerance] : {std::pair(torch::kFloat64, 1e-12), std::pair(torch::kFloat32, 1e-5)}) {
    const auto expected = serial_gradients(dtype, kRowsGlobal);
    run([&, dtype = dtype, tolerance = tolerance](Communicator& comm) {
      for (const StepPlan& plan : {StepPlan{1, true}, StepPlan{1, false}, StepPlan{2, true}, StepPlan{2, false}}) {
        const Toy toy = Toy::make(dtype);
        GradientReducer reducer(toy.parameters(), comm, {.bucket_bytes = kBucketBytes});
        EXPECT_GE(reducer.bucket_count(), 2);
        for (int repeat = 0; repeat < 3; ++repeat) {
          run_step(reducer, toy, comm, plan);
          EXPECT_LE(relative_difference(reducer.gradients(), expected), tolerance)
              << plan.micro_steps << " micro-steps, overlap " << plan.overlap;
          EXPECT_EQ(toy.weight.grad().data_ptr(), reducer.gradients()[1].data_ptr());
        }
      }
    });
  }
}

TEST_P(ReducerTest, TakesZerosFromARankWithoutAGradient) {
  // Only rank 0 has pictures, then nobody has.
  for (const int64_t picture_rows : {1, 0}) {
    const auto expected = serial_gradients(torch::kFloat64, picture_rows);
    run({.verify = true}, [&](Communicator& comm) {
      for (const bool overlap : {true, false}) {
        const Toy toy = Toy::make(torch::kFloat64);
        GradientReducer reducer(toy.parameters(), comm, {.bucket_bytes = kBucketBytes});
        run_step(reducer, toy, comm, {.overlap = overlap});  // leaves gradients that the next step must not see
        run_step(reducer, toy, comm, {.overlap = overlap, .picture_rows = picture_rows});
        EXPECT_LE(relative_difference(reducer.gradients(), expected), 1e-12);
      }
    });
  }
}

TEST_P(ReducerTest, CommunicatesOncePerBucketAndStepWhateverTheData) {
  run([&](Communicator& comm) {
    const Toy toy = Toy::make(torch::kFloat64);
    GradientReducer reducer(toy.parameters(), comm, {.bucket_bytes = kBucketBytes});
    for (const StepPlan& plan :
         {StepPlan{1, true}, StepPlan{4, true, 0}, StepPlan{4, false, 1}, StepPlan{2, true, 1}}) {
      const uint64_t before = comm.ledger_number();
      run_step(reducer, toy, comm, plan);
      EXPECT_EQ(comm.ledger_number() - before, static_cast<uint64_t>(reducer.bucket_count()));
    }
  });
}

TEST_P(ReducerTest, OverlapsFullBucketsWithBackward) {
  run([&](Communicator& comm) {
    const Toy toy = Toy::make(torch::kFloat64);
    GradientReducer reducer(toy.parameters(), comm, {.bucket_bytes = kBucketBytes});
    reducer.start_step();
    const uint64_t before = comm.ledger_number();
    toy.loss(comm.rank(), comm.size(), kRowsGlobal).backward();
    EXPECT_EQ(comm.ledger_number(), before) << "a micro-step that is not the last communicates";
    reducer.overlap_next_backward();
    toy.loss(comm.rank(), comm.size(), kRowsGlobal).backward();
    EXPECT_EQ(comm.ledger_number() - before, static_cast<uint64_t>(reducer.bucket_count()));
    reducer.finish_step();
  });
}

TEST_P(ReducerTest, MixesDtypes) {
  run([&](Communicator& comm) {
    const auto ones = [](c10::ScalarType dtype) { return at::ones({3}, dtype).set_requires_grad(true); };
    const std::vector<torch::Tensor> parameters = {ones(torch::kBFloat16), ones(torch::kFloat32),
                                                   ones(torch::kBFloat16), ones(torch::kFloat64)};
    GradientReducer reducer(parameters, comm);
    EXPECT_EQ(reducer.bucket_count(), 3);
    reducer.start_step();
    for (const torch::Tensor& parameter : parameters) (parameter.sum() * (comm.rank() + 1)).backward();
    reducer.finish_step();
    const int64_t ranks = comm.size();
    for (const torch::Tensor& gradient : reducer.gradients()) {
      EXPECT_TRUE(at::equal(gradient.to(torch::kFloat64), at::full({3}, ranks * (ranks + 1) / 2, at::kDouble)));
    }
  });
}

TEST_P(ReducerTest, IsWrongWithoutItsAllReduce) {
  if (GetParam().size == 1) return;  // nothing to reduce
  const auto expected = serial_gradients(torch::kFloat64, kRowsGlobal);
  run([&](Communicator& comm) {
    StubbedCommunicator stubbed(comm, CollectiveOp::kAllReduce);
    const Toy toy = Toy::make(torch::kFloat64);
    GradientReducer reducer(toy.parameters(), stubbed, {.bucket_bytes = kBucketBytes});
    run_step(reducer, toy, stubbed, {});
    EXPECT_GT(relative_difference(reducer.gradients(), expected), 0.01);
  });
}

TEST_P(ReducerTest, RefusesRanksWithOtherParameters) {
  if (GetParam().size == 1) return;
  run([&](Communicator& comm) {
    const std::string message = message_of<DistError>(
        [&] { GradientReducer({at::ones({comm.rank() == 1 ? 3 : 2}).set_requires_grad(true)}, comm); });
    EXPECT_THAT(message, AllOf(HasSubstr("the same trainable parameters"), HasSubstr("2 elements"),
                               HasSubstr("3 elements"), HasSubstr("rank 1")));
  });
}

TEST_P(ReducerTest, RefusesASecondGradientOnceABucketHasLeft) {
  run([&](Communicator& comm) {
    const torch::Tensor shared = at::ones({3}).set_requires_grad(true);
    GradientReducer reducer({shared}, comm);
    reducer.start_step();
    reducer.overlap_next_backward();
    shared.sum().backward();
    EXPECT_THAT(message_of<InternalError>([&] { shared.sum().backward(); }), HasSubstr("second gradient"));
    reducer.finish_step();
  });
}

TEST_P(ReducerTest, RefusesParametersThatCannotTrain) {
  run([&](Communicator& comm) {
    EXPECT_THAT(message_of<ShapeError>([&] { GradientReducer({at::ones({2, 3})}, comm); }), HasSubstr("[2, 3]"));
  });
}

TEST_P(ReducerTest, GivesTheGradientsBackAtItsEnd) {
  run([&](Communicator& comm) {
    const torch::Tensor parameter = at::ones({3}).set_requires_grad(true);
    { GradientReducer reducer({parameter}, comm); }
    EXPECT_FALSE(parameter.grad().defined());
    parameter.sum().backward();
    EXPECT_TRUE(at::equal(parameter.grad(), at::ones({3})));
  });
}

}  // namespace
}  // namespace trireme::test
