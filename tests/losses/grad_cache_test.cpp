#include "losses/grad_cache.h"

#include <map>
#include <optional>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/mm.h>

#include "core/distributed/reducer.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "tests/losses/contrast_cases.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kPairs = 10, kInputs = 6, kWidth = 5;

/// Two layers with dropout between them; the same weights on every rank.
struct Tower {
  explicit Tower(torch::Dtype dtype) {
    const Batch weights = random_batch(kInputs, 0, kInputs, dtype, 11);
    first = weights.rows.query.clone().requires_grad_();
    second = weights.rows.candidate.narrow(1, 0, kWidth).contiguous().clone().requires_grad_();
  }
  torch::Tensor embed(const torch::Tensor& inputs, double dropout = 0) const {
    return at::mm(at::dropout(at::mm(inputs, first).tanh(), dropout, true), second);
  }
  /// Summed over ranks, in one row.
  torch::Tensor gradient(Communicator& comm) const {
    torch::Tensor sum = at::cat({first.grad().flatten(), second.grad().flatten()});
    comm.all_reduce(sum, ReduceOp::kSum).wait();
    return sum;
  }
  torch::Tensor first, second;
};

/// A side's inputs cut into chunks of at most `size` rows.
struct Chunks {
  std::vector<torch::Tensor> rows;
  Chunks() = default;
  Chunks(const torch::Tensor& inputs, int64_t size) : rows(inputs.split(size)) {}
  int64_t count() const { return static_cast<int64_t>(rows.size()); }
};

/// One rank's inputs, every side in chunks.
struct RankInputs {
  RankInputs(const Batch& batch, int64_t chunk_size) : labels(batch.labels) {
    sides[0] = Chunks(batch.rows.query, chunk_size);
    sides[1] = Chunks(batch.rows.candidate, chunk_size);
    if (batch.rows.hard_negative.defined()) sides[2] = Chunks(batch.rows.hard_negative.flatten(0, 1), chunk_size);
  }
  GradCacheChunks chunks() const { return {sides[0].count(), sides[1].count(), sides[2].count()}; }
  const torch::Tensor& of(const GradCacheChunk& chunk) const {
    return sides[static_cast<std::size_t>(chunk.side)].rows[static_cast<std::size_t>(chunk.index)];
  }
  std::array<Chunks, 3> sides;
  PairLabels labels;
};

torch::Generator& cpu_generator() {
  return const_cast<torch::Generator&>(at::globalContext().defaultGenerator(torch::kCPU));
}

/// All chunks embedded with gradient, in GradCache's order, one backward.
double plain_step(const Tower& tower, const RankInputs& inputs, const InfoNceConfig& config, double dropout,
                  Communicator& comm) {
  std::array<torch::Tensor, 3> sides;
  for (std::size_t s = 0; s < 3; ++s) {
    std::vector<torch::Tensor> rows;
    for (const torch::Tensor& chunk : inputs.sides[s].rows) rows.push_back(tower.embed(chunk, dropout));
    if (!rows.empty()) sides[s] = at::cat(rows);
  }
  ContrastiveRows rows{sides[0], sides[1], {}};
  if (sides[2].defined()) rows.hard_negative = sides[2].view({rows.query.size(0), -1, kWidth});
  const InfoNceResult result = info_nce(rows, inputs.labels, config, comm);
  result.loss.backward();
  return sum_over_ranks(result.loss.item<double>(), comm);
}

double cached_step(const Tower& tower, const RankInputs& inputs, const InfoNceConfig& config, double dropout,
                   Communicator& comm) {
  GradCacheSteps steps;
  steps.embed = [&](const GradCacheChunk& chunk) { return tower.embed(inputs.of(chunk), dropout); };
  steps.loss = [&](const ContrastiveRows& rows) { return info_nce(rows, inputs.labels, config, comm); };
  const InfoNceResult result = grad_cache(inputs.chunks(), steps, {cpu_generator()});
  EXPECT_FALSE(result.loss.requires_grad());
  return sum_over_ranks(result.loss.item<double>(), comm);
}

void expect_cached_equals_one_rank(int64_t ranks, torch::Dtype dtype, double tolerance) {
  for (const int64_t hard_negatives : {0, 1, 3}) {
    const Batch batch = random_batch(kPairs, hard_negatives, kInputs, dtype);
    for (const ConfigCase& item : config_cases()) {
      if (item.config.learn_temperature) continue;
      InfoNceConfig config = item.config;
      if (!config.matryoshka_dims.empty()) config.matryoshka_dims = {5, 4, 2};
      SelfCommunicator self;
      const Tower whole(dtype);
      const double loss = plain_step(whole, RankInputs(batch, kPairs * 3), config, 0, self);
      const torch::Tensor expected = whole.gradient(self);
      for (const ContrastCompute compute : {ContrastCompute::kGathered, ContrastCompute::kTiled}) {
        config.compute = compute;
        run_ranks(ranks, [&](Communicator& comm) {
          const Tower tower(dtype);
          const Share share = share_of_rank(kPairs, comm);
          const RankInputs inputs(share_of(batch, share.first, share.count), 2 + comm.rank());
          EXPECT_NEAR(cached_step(tower, inputs, config, 0, comm), loss, tolerance * loss);
          EXPECT_LT(largest_relative_difference(tower.gradient(comm), expected), tolerance)
              << item.name << ", " << hard_negatives << " hard negatives, rank " << comm.rank();
        });
      }
    }
  }
}

TEST(GradCache, HasTheGradientOfOneRankWithTheWholeBatch) {
  for (const int64_t ranks : {1, 2, 4}) expect_cached_equals_one_rank(ranks, torch::kFloat64, 1e-9);
}

TEST(GradCache, HasItInFloat32) { expect_cached_equals_one_rank(2, torch::kFloat32, 1e-5); }

TEST(GradCache, ReplaysDropout) {
  const Batch batch = random_batch(kPairs, 1, kInputs, torch::kFloat64);
  const InfoNceConfig config{.temperature = 0.2};
  const RankInputs inputs(batch, 3);
  SelfCommunicator self;
  const Tower plain(torch::kFloat64), cached(torch::kFloat64), other(torch::kFloat64);
  cpu_generator().set_current_seed(5);
  const double loss = plain_step(plain, inputs, config, 0.4, self);
  const torch::Tensor after_plain = cpu_generator().get_state();
  cpu_generator().set_current_seed(5);
  EXPECT_NEAR(cached_step(cached, inputs, config, 0.4, self), loss, 1e-12);
  EXPECT_LT(largest_relative_difference(cached.gradient(self), plain.gradient(self)), 1e-9);
  EXPECT_TRUE(cpu_generator().get_state().equal(after_plain)) << "the generator stands where one pass left it";
  plain_step(other, inputs, config, 0.4, self);
  EXPECT_GT(largest_relative_difference(other.gradient(self), plain.gradient(self)), 1e-3) << "other masks";
}

TEST(GradCache, RefusesASecondPassThatIsNotTheFirst) {
  const Batch batch = random_batch(kPairs, 0, kInputs, torch::kFloat32);
  const RankInputs inputs(batch, 5);
  const Tower tower(torch::kFloat32);
  SelfCommunicator self;
  const std::string message = message_of<InternalError>([&] {
    GradCacheSteps steps;
    steps.embed = [&](const GradCacheChunk& chunk) { return tower.embed(inputs.of(chunk), 0.4); };
    steps.loss = [&](const ContrastiveRows& rows) { return info_nce(rows, inputs.labels, {}, self); };
    grad_cache(inputs.chunks(), steps, {});
  });
  EXPECT_THAT(message, HasSubstr("rows for query chunk 0 that differ between the passes"));
}

TEST(GradCache, CallsInOrderAndHandsOverBeforeTheLastBackward) {
  const Batch batch = random_batch(4, 1, kInputs, torch::kFloat32);
  const RankInputs inputs(batch, 2);
  const Tower tower(torch::kFloat32);
  SelfCommunicator self;
  std::vector<std::string> calls;
  GradCacheSteps steps;
  steps.embed = [&](const GradCacheChunk& chunk) {
    EXPECT_EQ(torch::GradMode::is_enabled(), chunk.pass != GradCachePass::kCollect);
    constexpr std::array kPasses = {"collect", "backward", "only"};
    calls.push_back(fmt::format("{} {}{}", kPasses[static_cast<std::size_t>(chunk.pass)],
                                "qch"[static_cast<int>(chunk.side)], chunk.index));
    return tower.embed(inputs.of(chunk));
  };
  steps.loss = [&](const ContrastiveRows& rows) {
    calls.push_back("loss");
    EXPECT_EQ(rows.hard_negative.sizes(), (std::vector<int64_t>{4, 1, kWidth}));
    return info_nce(rows, inputs.labels, {}, self);
  };
  torch::Tensor before_last;
  steps.before_last_backward = [&] {
    calls.push_back("hand over");
    before_last = tower.second.grad().clone();
  };
  grad_cache(inputs.chunks(), steps, {});
  EXPECT_THAT(calls,
              ElementsAre("collect q0", "collect q1", "collect c0", "collect c1", "collect h0", "only h1", "loss",
                          "backward q0", "backward q1", "backward c0", "backward c1", "backward h0", "hand over"));
  EXPECT_GT(largest_relative_difference(before_last, tower.second.grad()), 0) << "one chunk's gradient is to come";
}

TEST(GradCache, LetsAClosureKeepWhatIsFrozen) {
  const Batch batch = random_batch(kPairs, 0, kInputs, torch::kFloat64);
  const RankInputs inputs(batch, 3);
  const InfoNceConfig config{.temperature = 0.2};
  SelfCommunicator self;
  const Tower frozen(torch::kFloat64);
  const Tower plain(torch::kFloat64), cached(torch::kFloat64);
  frozen.first.requires_grad_(false);
  frozen.second.requires_grad_(false);
  const auto widen = [](const torch::Tensor& features) { return at::cat({features, features.narrow(1, 0, 1)}, 1); };

  int64_t frozen_runs = 0;
  std::map<std::pair<int, int64_t>, torch::Tensor> kept;
  GradCacheSteps steps;
  steps.embed = [&](const GradCacheChunk& chunk) {
    torch::Tensor& features = kept[{static_cast<int>(chunk.side), chunk.index}];
    if (chunk.pass != GradCachePass::kBackward) {
      features = frozen.embed(inputs.of(chunk));
      ++frozen_runs;
    }
    return cached.embed(widen(features));
  };
  steps.loss = [&](const ContrastiveRows& rows) { return info_nce(rows, inputs.labels, config, self); };
  grad_cache(inputs.chunks(), steps, {});
  EXPECT_EQ(frozen_runs, inputs.chunks().query + inputs.chunks().candidate);

  const auto embed_all = [&](const torch::Tensor& x) { return plain.embed(widen(frozen.embed(x))); };
  info_nce({embed_all(batch.rows.query), embed_all(batch.rows.candidate), {}}, {}, config, self).loss.backward();
  EXPECT_LT(largest_relative_difference(cached.gradient(self), plain.gradient(self)), 1e-9);
}

TEST(GradCache, GivesTheLossItsOwnParametersGradient) {
  const Batch batch = random_batch(kPairs, 0, kInputs, torch::kFloat64);
  const RankInputs inputs(batch, 4);
  const InfoNceConfig config{.learn_temperature = true};
  SelfCommunicator self;
  const Tower plain(torch::kFloat64), cached(torch::kFloat64);
  const torch::Tensor of_plain = initial_log_inverse_temperature(config);
  const torch::Tensor of_cached = initial_log_inverse_temperature(config);
  const auto embed = [&](const torch::Tensor& x) { return plain.embed(x); };
  info_nce({embed(batch.rows.query), embed(batch.rows.candidate), {}}, {}, config, self, of_plain).loss.backward();
  GradCacheSteps steps;
  steps.embed = [&](const GradCacheChunk& chunk) { return cached.embed(inputs.of(chunk)); };
  steps.loss = [&](const ContrastiveRows& rows) { return info_nce(rows, {}, config, self, of_cached); };
  grad_cache(inputs.chunks(), steps, {});
  EXPECT_LT(largest_relative_difference(of_cached.grad(), of_plain.grad()), 1e-6);
}

TEST(GradCache, HandsItsLastChunkToTheReducer) {
  const Batch batch = random_batch(kPairs, 1, kInputs, torch::kFloat64);
  const InfoNceConfig config{.temperature = 0.2};
  SelfCommunicator self;
  const Tower whole(torch::kFloat64);
  plain_step(whole, RankInputs(batch, kPairs), config, 0, self);
  run_ranks(2, [&](Communicator& comm) {
    const Tower tower(torch::kFloat64);
    const Share share = share_of_rank(kPairs, comm);
    const RankInputs inputs(share_of(batch, share.first, share.count), 2);
    GradientReducer reducer({tower.first, tower.second}, comm, {.bucket_bytes = 1});
    GradCacheSteps steps;
    steps.embed = [&](const GradCacheChunk& chunk) { return tower.embed(inputs.of(chunk)); };
    steps.loss = [&](const ContrastiveRows& rows) { return info_nce(rows, inputs.labels, config, comm); };
    steps.before_last_backward = [&] { reducer.overlap_next_backward(); };
    for (int64_t step = 0; step < 2; ++step) {
      reducer.start_step();
      grad_cache(inputs.chunks(), steps, {});
      reducer.finish_step();
      EXPECT_LT(largest_relative_difference(tower.first.grad(), whole.first.grad()), 1e-9);
      EXPECT_LT(largest_relative_difference(tower.second.grad(), whole.second.grad()), 1e-9);
    }
  });
}

TEST(GradCache, GivesSixteenBitModelsTheirDtypesGradient) {
  const Batch batch = random_batch(kPairs, 0, kInputs, torch::kBFloat16);
  const RankInputs inputs(batch, 4);
  const InfoNceConfig config{.temperature = 0.2};
  SelfCommunicator self;
  const Tower plain(torch::kBFloat16), cached(torch::kBFloat16);
  plain_step(plain, inputs, config, 0, self);
  cached_step(cached, inputs, config, 0, self);
  EXPECT_EQ(cached.first.grad().scalar_type(), torch::kBFloat16);
  EXPECT_LT(largest_relative_difference(cached.gradient(self), plain.gradient(self)), 2e-2);
}

TEST(GradCache, RefusesChunksThatDoNotFit) {
  const Batch batch = random_batch(4, 0, kInputs, torch::kFloat32);
  SelfCommunicator self;
  const auto refusal = [&](const GradCacheChunks& chunks, auto embed) {
    return message_of<ShapeError>([&] {
      grad_cache(chunks, {embed, [&](const ContrastiveRows& rows) { return info_nce(rows, {}, {}, self); }, {}}, {});
    });
  };
  EXPECT_THAT(refusal({0, 1, 0}, [&](const GradCacheChunk&) { return batch.rows.query; }),
              HasSubstr("at least one chunk each; got 0 and 1"));
  EXPECT_THAT(refusal({1, 1, 0},
                      [&](const GradCacheChunk& chunk) {
                        return chunk.side == ContrastiveSide::kQuery ? batch.rows.query
                                                                     : batch.rows.query.narrow(1, 0, 3);
                      }),
              HasSubstr("one width; got 3 after 6 for candidate chunk 0"));
  EXPECT_THAT(refusal({1, 1, 0}, [&](const GradCacheChunk&) { return batch.rows.query[0]; }), HasSubstr("[rows, D]"));
  EXPECT_THAT(refusal({1, 1, 1},
                      [&](const GradCacheChunk& chunk) {
                        return chunk.side == ContrastiveSide::kHardNegative ? batch.rows.query.narrow(0, 0, 3)
                                                                            : batch.rows.query;
                      }),
              HasSubstr("as many hard negatives; got 3 for 4 queries"));
}

}  // namespace
}  // namespace trireme::test
