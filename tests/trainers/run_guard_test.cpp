#include "trainers/run_guard.h"

#include <limits>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "core/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/trainers/listener.h"

namespace trireme {
namespace {

using test::Listener;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What the guard takes of a batch.
BatchFacts batch(int64_t step, std::vector<std::string> query_ids, std::vector<std::string> target_ids) {
  BatchFacts facts;
  facts.step = step;
  facts.query_ids = std::move(query_ids);
  facts.target_ids = std::move(target_ids);
  return facts;
}

RunState open(const std::filesystem::path& folder, Communicator& communicator, Log& log) {
  return {folder, {.recipe = "toy"}, ResumeConfig{}, CheckpointConfig{}, communicator, log};
}

/// A run whose losses are `losses`, looked at every `every` steps.
class Watched {
 public:
  explicit Watched(const GuardConfig& config) : run_(open(folder_.path() / "run", communicator_, listener_.log)) {
    guard_.emplace(config, run_);
  }

  /// The error's text; "" when the guard let all pass. The last steps are looked at, too.
  std::string train(const std::vector<StepHealth>& steps, std::size_t every) {
    try {
      std::vector<StepHealth> unread;
      for (const StepHealth& step : steps) {
        guard_->add(batch(step.step, {fmt::format("q{}", step.step)}, {fmt::format("d{}", step.step)}));
        unread.push_back(step);
        if (unread.size() == every || &step == &steps.back()) guard_->examine(std::exchange(unread, {}));
      }
    } catch (const DivergedError& error) {
      return error.what();
    }
    return {};
  }

  nlohmann::json evidence() const { return parse_json(read_text_file(run_.folder() / "diverged.json")); }
  bool has_evidence() const { return std::filesystem::exists(run_.folder() / "diverged.json"); }
  RunGuard& guard() { return *guard_; }

 private:
  const TempFolder folder_;
  SelfCommunicator communicator_;
  Listener listener_;
  RunState run_;
  std::optional<RunGuard> guard_;
};

std::vector<StepHealth> healthy(int64_t steps) {
  std::vector<StepHealth> out;
  for (int64_t step = 0; step < steps; ++step) out.push_back({step, 2 + 0.01 * static_cast<double>(step % 3), 1, 0.1});
  return out;
}

/// Every end names the step that went wrong, however seldom values are read.
void expect_end(const GuardConfig& config, const std::vector<StepHealth>& steps, int64_t step,
                const std::string& text) {
  for (const std::size_t every : {1, 3, 10, 1000}) {
    Watched watched(config);
    const std::string message = watched.train(steps, every);
    EXPECT_THAT(message, AllOf(HasSubstr(fmt::format("[step {}] ", step)), HasSubstr(text), HasSubstr("diverged.json"),
                               HasSubstr("no checkpoint was written yet")))
        << every;
    ASSERT_TRUE(watched.has_evidence()) << every;
    const nlohmann::json evidence = watched.evidence();
    EXPECT_EQ(evidence.at("step"), step);
    EXPECT_EQ(evidence.at("query_ids_of_rank_0"), nlohmann::json({fmt::format("q{}", step)}));
    EXPECT_EQ(evidence.at("target_ids_of_rank_0"), nlohmann::json({fmt::format("d{}", step)}));
    EXPECT_EQ(evidence.at("checkpoint"), "");
  }
}

TEST(RunGuard, NamesTheStepWhoseLossOrGradientIsNotFinite) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<StepHealth> steps = healthy(25);
    steps[14].loss = bad;
    steps[17].loss = kNan;
    expect_end({}, steps, 14, "the loss must be finite");
    steps = healthy(25);
    steps[7].gradient_norm = bad;
    expect_end({}, steps, 7, "the gradient must be finite");
  }
}

TEST(RunGuard, CountsStepsAndNotReadings) {
  std::vector<StepHealth> steps = healthy(60);
  for (std::size_t step = 30; step < 60; ++step) steps[step].candidate_cosine = 0.999;
  expect_end({.collapse_steps = 12}, steps, 41, "above 0.995 for 12 steps");

  steps = healthy(60);
  steps[19].loss = 9;  // one before so many are seen
  EXPECT_EQ(Watched({.spike_memory_steps = 20}).train(steps, 7), "");
  steps = healthy(60);
  steps[20].loss = 9;
  expect_end({.spike_memory_steps = 20}, steps, 20, "standard deviations above it");
}

TEST(RunGuard, LetsAHealthyRunPassAndKeepsItsStateWhereverItIsRead) {
  Watched often({}), seldom({});
  EXPECT_EQ(often.train(healthy(200), 1), "");
  EXPECT_EQ(seldom.train(healthy(200), 37), "");
  EXPECT_EQ(often.guard().state(), seldom.guard().state());
  EXPECT_EQ(often.guard().state().at("guard.steps_seen"), 200);
  EXPECT_FALSE(often.has_evidence());
}

TEST(RunGuard, WeightsThatAreNotFiniteEndTheRunBeforeTheyAreKept) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    Watched watched({});
    const NamedTensors good = {{"a", at::full({2, 2}, -3e38)}, {"b", at::zeros({0})}};
    watched.guard().add(batch(0, {"q0"}, {"d0"}));
    watched.guard().examine({{0, 2, 1, 0}}, good);
    watched.guard().add(batch(1, {"q1"}, {"d1"}));
    NamedTensors weights = {{"a", at::ones({2, 2})}, {"b", at::ones({5}, at::kBFloat16).set_requires_grad(true)}};
    weights[1].second.detach()[3] = bad;
    EXPECT_THAT(message_of<DivergedError>([&] {
                  watched.guard().examine({{1, 2, 1, 0}}, weights);
                }),
                AllOf(HasSubstr("[step 1] the weights must be finite; got NaN or infinity in b after")));
    EXPECT_EQ(watched.evidence().at("loss"), 2);
    EXPECT_EQ(watched.evidence().at("query_ids_of_rank_0"), nlohmann::json({"q1"}));
  }
}

TEST(RunGuard, LetsNothingPassOnceTheRunHasEnded) {
  Watched watched({});
  EXPECT_NE(watched.train({{0, kNan, 1, 0}}, 1), "");
  const NamedTensors weights = {{"a", at::ones({2})}};
  EXPECT_THROW(watched.guard().examine({}, weights), InternalError) << "what writes a last checkpoint asks first";
  Watched in_validation({});
  EXPECT_THROW(in_validation.guard().end({"embeddings must be finite", "nan"}), DivergedError);
  EXPECT_THROW(in_validation.guard().examine({}, weights), InternalError);
}

TEST(RunGuard, AllRanksEndAtTheSameStepAndOneWritesTheEvidence) {
  const TempFolder folder;
  run_ranks(3, [&](Communicator& communicator) {
    Listener listener;
    RunState run = open(folder.path() / "run", communicator, listener.log);
    RunGuard guard({}, run);
    guard.add(batch(0, {fmt::format("of rank {}", communicator.rank())}, {}));
    EXPECT_THAT(message_of<DivergedError>([&] { guard.examine({{0, kNan, 1, 0}}); }), HasSubstr("[step 0]"));
    communicator.barrier();
    EXPECT_THAT(read_text_file(folder.path() / "run/diverged.json"), HasSubstr("of rank 0"));
    communicator.barrier();
  });
}

}  // namespace
}  // namespace trireme
