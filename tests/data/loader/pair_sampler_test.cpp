#include "data/loader/pair_sampler.h"

#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/loader/small_benchmark.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using test::SmallBenchmark;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kSeed = 7;
constexpr int64_t kConcepts = 40;

std::pair<int64_t, int64_t> row_of(const SampledPair& pair) { return {pair.source, pair.row}; }

class PairSamplerTest : public ::testing::Test {
 protected:
  /// The first `steps` batches.
  std::vector<GlobalBatch> batches(const DataConfig& config, int64_t steps, uint64_t seed = kSeed) {
    const TrainingSet set(config);
    PairSampler sampler(set, config, seed);
    std::vector<GlobalBatch> out;
    for (int64_t step = 0; step < steps; ++step) out.push_back(sampler.batch(step));
    return out;
  }
  DataConfig of_groups(BatchFrom batch_from, int64_t pairs_global) {
    DataConfig config = benchmark_.config(pairs_global);
    config.sources[0].group_by = GroupBy::kTask;
    config.sources[0].group_weights = {{"task0", 2}, {"task1", 1}, {"task3", 1.5}};
    config.sampler.batch_from = batch_from;
    return config;
  }
  SmallBenchmark benchmark_{kConcepts};
};

TEST_F(PairSamplerTest, ABatchIsAPureFunctionOfSeedAndStep) {
  for (Distinct distinct : {Distinct::kNothing, Distinct::kConcept}) {
    for (BatchFrom batch_from : {BatchFrom::kAll, BatchFrom::kOneGroup}) {
      DataConfig config = of_groups(batch_from, 16);
      config.sampler.distinct = distinct;
      const auto in_order = batches(config, 200);
      const TrainingSet set(config);
      PairSampler sampler(set, config, kSeed);
      for (int64_t step : {199, 0, 64, 63, 130, 5, 199, 128}) {
        EXPECT_EQ(sampler.batch(step).pairs, in_order[static_cast<std::size_t>(step)].pairs) << step;
      }
      EXPECT_NE(batches(config, 1, kSeed + 1)[0].pairs, in_order[0].pairs);
    }
  }
}

TEST_F(PairSamplerTest, NoPairComesTwiceInAnEpoch) {
  DataConfig config = benchmark_.config(24);  // 200 pairs: 8 steps, and 8 pairs left out
  for (Distinct distinct : {Distinct::kNothing, Distinct::kTarget, Distinct::kConcept}) {
    config.sampler.distinct = distinct;
    const TrainingSet set(config);
    ASSERT_EQ(set.steps_per_epoch(), 8);
    const auto all = batches(config, 24);
    std::set<std::set<std::pair<int64_t, int64_t>>> epochs;
    for (std::size_t epoch = 0; epoch < 3; ++epoch) {
      std::set<std::pair<int64_t, int64_t>> rows;
      for (std::size_t step = 0; step < 8; ++step) {
        for (const SampledPair& pair : all[epoch * 8 + step].pairs) {
          EXPECT_TRUE(rows.insert(row_of(pair)).second);
          EXPECT_EQ(pair.epoch, static_cast<int64_t>(epoch));
        }
      }
      EXPECT_EQ(rows.size(), 192u);
      epochs.insert(rows);
    }
    EXPECT_EQ(epochs.size(), 3u) << "other pairs are left out each time";
  }
}

TEST_F(PairSamplerTest, NoPairComesTwiceInAnEpochOfItsGroup) {
  for (BatchFrom batch_from : {BatchFrom::kAll, BatchFrom::kOneGroup}) {
    DataConfig config = of_groups(batch_from, 16);
    config.sampler.distinct = Distinct::kConcept;
    std::set<std::tuple<int64_t, int64_t, int64_t>> seen;
    for (const GlobalBatch& batch : batches(config, 150)) {
      for (const SampledPair& pair : batch.pairs)
        EXPECT_TRUE(seen.emplace(pair.stream, pair.epoch, pair.row).second) << pair.stream << " " << pair.epoch;
    }
  }
}

TEST_F(PairSamplerTest, WeightsSetTheSharesOfGroups) {
  const DataConfig config = of_groups(BatchFrom::kAll, 18);
  std::map<int64_t, int64_t> counts;
  for (const GlobalBatch& batch : batches(config, 100)) {
    ASSERT_EQ(batch.pairs.size(), 18u);
    std::map<int64_t, int64_t> in_batch;
    for (const SampledPair& pair : batch.pairs) ++counts[pair.stream], ++in_batch[pair.stream];
    EXPECT_EQ(in_batch[0], 8);
    EXPECT_EQ(in_batch[1], 6);
    EXPECT_EQ(in_batch[2], 4);
  }
  EXPECT_EQ(counts[0], 800);
}

TEST_F(PairSamplerTest, BatchesOfOneGroupTakeTurnsByWeight) {
  const DataConfig config = of_groups(BatchFrom::kOneGroup, 16);
  const TrainingSet set(config);
  std::map<int64_t, int64_t> steps;
  for (const GlobalBatch& batch : batches(config, 90)) {
    std::set<int64_t> groups;
    for (const SampledPair& pair : batch.pairs) groups.insert(set.source(pair.source).group_of(pair.row));
    ASSERT_EQ(groups.size(), 1u);
    ++steps[*groups.begin()];
  }
  EXPECT_EQ(steps[0], 40);  // task 0
  EXPECT_EQ(steps[1], 30);  // task 3
  EXPECT_EQ(steps[2], 20);  // task 1
}

TEST_F(PairSamplerTest, SourcesAreMixedByWeightOrBySize) {
  DataConfig config = benchmark_.config(20);
  config.sources.push_back(SmallBenchmark::of_kind(SourceKind::kPairs, "pairs.jsonl"));
  const auto of_second = [&] {
    int64_t count = 0;
    for (const GlobalBatch& batch : batches(config, 12)) {
      for (const SampledPair& pair : batch.pairs) count += pair.source == 1;
    }
    return count;
  };
  EXPECT_EQ(of_second(), 40) << "an epoch of 240 pairs, 40 of them plain";
  config.sources[0].weight = 1;
  config.sources[1].weight = 3;
  EXPECT_EQ(of_second(), 180);
}

TEST_F(PairSamplerTest, NoTwoPairsOfABatchShareAConcept) {
  for (BatchFrom batch_from : {BatchFrom::kAll, BatchFrom::kOneGroup}) {
    DataConfig config = of_groups(batch_from, batch_from == BatchFrom::kAll ? 20 : 30);  // of 40 concepts
    config.sampler.distinct = Distinct::kConcept;
    const TrainingSet set(config);
    PairSampler sampler(set, config, kSeed);
    for (int64_t step = 0; step < 100; ++step) {
      const GlobalBatch batch = sampler.batch(step);
      std::set<int64_t> concepts;
      for (const SampledPair& pair : batch.pairs)
        concepts.insert(set.source(pair.source).identity(pair.row, sampler.stream_of(pair)).concept_id);
      EXPECT_EQ(batch.clashes, 0) << step;
      EXPECT_EQ(concepts.size(), batch.pairs.size()) << step;
    }
  }
}

TEST_F(PairSamplerTest, CountsTheClashesThatCannotBeHelped) {
  DataConfig config = benchmark_.config(60);  // 40 concepts
  config.sampler.distinct = Distinct::kConcept;
  EXPECT_EQ(batches(config, 1)[0].clashes, 20);
}

TEST_F(PairSamplerTest, AReplacementIsOfTheSameGroupAndFits) {
  DataConfig config = of_groups(BatchFrom::kOneGroup, 16);
  config.sampler.distinct = Distinct::kConcept;
  const TrainingSet set(config);
  PairSampler sampler(set, config, kSeed), other(set, config, kSeed);
  int64_t found = 0;
  for (int64_t attempt = 0; attempt < 16; ++attempt) {
    const auto pair = sampler.replacement(3, 5, attempt);
    EXPECT_EQ(pair, other.replacement(3, 5, attempt));
    if (!pair) continue;
    ++found;
    const GlobalBatch batch = sampler.batch(3);
    EXPECT_EQ(pair->stream, batch.pairs[5].stream);
    const int64_t key = set.source(0).identity(pair->row, sampler.stream_of(*pair)).concept_id;
    for (std::size_t row = 0; row < batch.pairs.size(); ++row) {
      if (row == 5) continue;
      const SampledPair& taken = batch.pairs[row];
      EXPECT_NE(key, set.source(0).identity(taken.row, sampler.stream_of(taken)).concept_id);
    }
  }
  EXPECT_GT(found, 0);
}

TEST_F(PairSamplerTest, RefusesWhatCannotFillABatch) {
  const auto refusal = [&](const DataConfig& config) {
    return message_of<ConfigError>([&] {
      const TrainingSet set(config);
      PairSampler(set, config, kSeed);
    });
  };
  EXPECT_THAT(refusal(benchmark_.config(201)), AllOf(HasSubstr("the 201 pairs"), HasSubstr("got 200")));
  EXPECT_THAT(refusal(of_groups(BatchFrom::kOneGroup, 41)), AllOf(HasSubstr("task0"), HasSubstr("got 40")));
  DataConfig config = of_groups(BatchFrom::kAll, 16);
  config.sources[0].group_weights.erase("task3");
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("every group"), HasSubstr("none for task3")));
  config.sources[0].group_weights = {{"task0", 0}, {"task1", 0}, {"task3", 0}};
  EXPECT_THAT(refusal(config), HasSubstr("one above 0"));
  config.sources[0].group_weights["task7"] = 1;
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("task0, task3, task1"), HasSubstr("got task7")));
}

}  // namespace
}  // namespace trireme
