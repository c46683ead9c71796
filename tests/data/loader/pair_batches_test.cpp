#include "data/loader/pair_batches.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>

#include "data/loader/loader_speed.h"
#include "data/sources/candidate_pool.h"
#include "tests/data/loader/small_benchmark.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using test::SmallBenchmark;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kSeed = 11;

/// Everything about one pair that a model or a loss sees.
struct Row {
  PackedBatch query, target;
  int64_t target_id = 0, concept_id = 0;
  std::vector<int64_t> positives;
  std::string query_id;
};
using Rows = std::map<int64_t, Row>;  ///< by global row

bool equal(const PackedBatch& a, const PackedBatch& b) {
  if (!at::equal(a.tokens, b.tokens) || !at::equal(a.position_ids, b.position_ids)) return false;
  if (a.grid.size(0) == 0 && b.grid.size(0) == 0) return true;  // a batch without any image has [0, 0] patches
  return at::equal(a.grid, b.grid) && at::equal(a.patches, b.patches);
}

Rows rows_of(const PairBatch& batch) {
  Rows rows;
  for (int64_t i = 0; i < batch.pairs(); ++i) {
    Row row{slice(batch.sequences, {batch.queries().first + i, 1}),
            slice(batch.sequences, {batch.targets().first + i, 1}),
            batch.target_id[i].item<int64_t>(),
            batch.concept_id[i].item<int64_t>(),
            {},
            batch.query_ids[static_cast<std::size_t>(i)]};
    for (int64_t p = batch.positive_offset[i].item<int64_t>(); p < batch.positive_offset[i + 1].item<int64_t>(); ++p)
      row.positives.push_back(batch.positive_id[p].item<int64_t>());
    rows.emplace(batch.global_row[i].item<int64_t>(), std::move(row));
  }
  return rows;
}

void expect_equal(const Rows& a, const Rows& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [number, row] : a) {
    ASSERT_TRUE(b.contains(number)) << number;
    const Row& other = b.at(number);
    EXPECT_EQ(row.query_id, other.query_id);
    EXPECT_EQ(row.target_id, other.target_id);
    EXPECT_EQ(row.concept_id, other.concept_id);
    EXPECT_EQ(row.positives, other.positives);
    EXPECT_TRUE(equal(row.query, other.query)) << number;
    EXPECT_TRUE(equal(row.target, other.target)) << number;
  }
}

class PairBatchesTest : public ::testing::Test {
 protected:
  PairBatchesTest() {
    config_.sampler.distinct = Distinct::kConcept;
    config_.augment = {.rotate_degrees = 12, .scale = 0.2, .shift = 0.1, .aspect = 0.12, .colour = 0.4, .grey = 0.15};
    model_.image_token_id = tokenizer_.token_to_id("<|image_pad|>").value();
    model_.image_processor = ImageProcessorConfig{};
  }
  /// Batches of steps first .. first + steps - 1 of one rank.
  std::vector<PairBatch> load(int64_t steps, LoaderRank rank = {}, int64_t first = 0) {
    const TrainingSet set(config_);
    BatchStream<PairBatch> loader = pair_batches(set, config_, model_, kSeed, rank, first);
    std::vector<PairBatch> out;
    for (int64_t i = 0; i < steps; ++i) out.push_back(loader.next());
    return out;
  }
  SmallBenchmark benchmark_{24};
  DataConfig config_ = benchmark_.config(16);
  Tokenizer tokenizer_ = Tokenizer::from_file(TRIREME_TEST_DIR "/golden/embed/model/tokenizer.json");
  ModelInput model_{tokenizer_, -1, std::nullopt};
};

TEST_F(PairBatchesTest, RanksShareTheBatchOfOne) {
  constexpr int64_t kSteps = 10;  // over an epoch of 7
  const auto one = load(kSteps);
  for (int64_t ranks : {2, 4}) {
    std::vector<Rows> together(kSteps);
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const auto mine = load(kSteps, {rank, ranks});
      for (std::size_t step = 0; step < kSteps; ++step) {
        EXPECT_EQ(mine[step].step, static_cast<int64_t>(step));
        EXPECT_EQ(mine[step].target_id.size(0), 16 / ranks);
        together[step].merge(rows_of(mine[step]));
      }
    }
    for (std::size_t step = 0; step < kSteps; ++step) expect_equal(rows_of(one[step]), together[step]);
  }
}

TEST_F(PairBatchesTest, ResumesAtAnyStepAndAnyNumberOfRanks) {
  const auto unbroken = load(10);
  for (int64_t first : {3, 7, 9}) {
    const auto resumed = load(1, {}, first);
    EXPECT_EQ(resumed[0].step, first);
    expect_equal(rows_of(unbroken[static_cast<std::size_t>(first)]), rows_of(resumed[0]));
    Rows by_two = rows_of(load(1, {0, 2}, first)[0]);
    by_two.merge(rows_of(load(1, {1, 2}, first)[0]));
    expect_equal(rows_of(unbroken[static_cast<std::size_t>(first)]), by_two);
  }
}

TEST_F(PairBatchesTest, ThreadsAndQueuesChangeNothing) {
  const auto one = load(12);
  for (int64_t threads : {1, 5}) {
    config_.loader_threads = threads;
    config_.queued_steps = threads;
    const auto other = load(12);
    for (std::size_t step = 0; step < 12; ++step) {
      EXPECT_EQ(other[step].step, static_cast<int64_t>(step));
      EXPECT_TRUE(at::equal(one[step].sequences.tokens, other[step].sequences.tokens));
      expect_equal(rows_of(one[step]), rows_of(other[step]));
    }
  }
}

TEST_F(PairBatchesTest, ImagesKeptInMemoryChangeNoBatch) {
  config_.augment.rotate_degrees = 10;
  const auto decoded = load(4);
  config_.picture_cache_mib = 1;
  const auto kept = load(4);
  for (std::size_t step = 0; step < decoded.size(); ++step) expect_equal(rows_of(kept[step]), rows_of(decoded[step]));
}

TEST_F(PairBatchesTest, RanksGetLikeNumbersOfTokens) {
  for (int64_t step = 0; step < 7; ++step) {
    int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
    for (int64_t rank : {0, 1}) {
      const PairBatch batch = load(1, {rank, 2}, step)[0];
      const int64_t tokens = batch.sequences.tokens.size(0);
      least = std::min(least, tokens), most = std::max(most, tokens);
    }
    EXPECT_LT(most - least, most / 8) << step;
  }
}

TEST_F(PairBatchesTest, RowsCarryWhatLossesNeed) {
  const PairBatch batch = load(1)[0];
  EXPECT_EQ(batch.clashes_global, 0);
  EXPECT_EQ(batch.pairs(), 16);
  EXPECT_EQ(batch.sequences.cu_seqlens.size(0), 33);
  EXPECT_EQ(batch.sequences.rows.size(0), 32);
  EXPECT_EQ(batch.hard_negative_id.sizes(), (std::vector<int64_t>{16, 0}));
  for (const auto& [number, row] : rows_of(batch)) {
    EXPECT_THAT(row.positives, ::testing::Contains(row.target_id));
    const auto i = static_cast<std::size_t>(number);
    EXPECT_EQ(row.target_id, document_id(batch.target_ids[i]));
  }
}

TEST_F(PairBatchesTest, HardNegativesLieByTheirQueries) {
  config_.sources[0].tasks = {1};
  config_.hard_negatives = 2;
  const PairBatch batch = load(1)[0];
  ASSERT_EQ(batch.hard_negatives().count, 32);
  EXPECT_EQ(batch.sequences.rows.size(0), 64);
  EXPECT_EQ(batch.hard_negative_id.sizes(), (std::vector<int64_t>{16, 2}));
  EXPECT_EQ(batch.hard_negative_concept.sizes(), (std::vector<int64_t>{16, 2}));
  const CandidatePool pool(benchmark_.path() / "pool.jsonl");
  for (int64_t i = 0; i < 32; ++i) {
    const int64_t id = batch.hard_negative_id.view({-1})[i].item<int64_t>();
    const PackedBatch one = slice(batch.sequences, {batch.hard_negatives().first + i, 1});
    const auto* tokens = one.tokens.const_data_ptr<int64_t>();
    const std::string text = tokenizer_.decode(std::span(tokens, static_cast<std::size_t>(one.tokens.size(0))));
    bool found = false;
    for (int64_t row = 0; row < pool.size(); ++row) {
      const Candidate candidate = pool.read(row);
      if (pool.document_id(row) != id || text.find(candidate.record.text + "\nSummarize") == text.npos) continue;
      found = true;
      EXPECT_EQ(batch.hard_negative_concept.view({-1})[i].item<int64_t>(),
                candidate.concept_key.empty() ? id : document_id(candidate.concept_key));
    }
    EXPECT_TRUE(found) << text;
  }
}

TEST_F(PairBatchesTest, ViewsAreTwoImagesOfOne) {
  config_.sources = {SmallBenchmark::of_kind(SourceKind::kViews, "pool.jsonl")};
  config_.prompt = PromptForm::kBare;
  const auto batch = load(1)[0];
  for (const auto& [number, row] : rows_of(batch)) {
    EXPECT_TRUE(at::equal(row.query.tokens, row.target.tokens));
    EXPECT_FALSE(at::equal(row.query.patches, row.target.patches));
  }
}

TEST_F(PairBatchesTest, ABadImageStopsAtItsStepWithItsId) {
  const auto good = load(7);
  std::filesystem::resize_file(benchmark_.image(5), 20);
  const TrainingSet set(config_);
  std::string first;
  for (int64_t threads : {1, 4}) {
    config_.loader_threads = threads;
    BatchStream<PairBatch> loader = pair_batches(set, config_, model_, kSeed, {});
    int64_t step = 0;
    const std::string message = message_of<DataError>([&] {
      for (; step < 7; ++step) expect_equal(rows_of(good[static_cast<std::size_t>(step)]), rows_of(loader.next()));
    });
    EXPECT_THAT(message, AllOf(HasSubstr("queries.jsonl:"), HasSubstr("img/5.png"), HasSubstr("9:")));
    EXPECT_LT(step, 7);
    EXPECT_TRUE(first.empty() || message == first) << message;
    first = message;
    EXPECT_EQ(message_of<DataError>([&] { loader.next(); }), message) << "it stays so";
  }
}

TEST_F(PairBatchesTest, SkipReplacesAndListsTheSameForAnyRanksAndThreads) {
  const auto good = load(7);
  std::filesystem::resize_file(benchmark_.image(5), 20);
  std::filesystem::remove(benchmark_.image(9));
  config_.on_error = OnDataError::kSkip;
  config_.loader_threads = 1;
  const auto one = load(7);
  int64_t skipped = 0;
  for (std::size_t step = 0; step < one.size(); ++step) {
    Rows before = rows_of(good[step]), after = rows_of(one[step]);
    for (const SkippedPair& skip : one[step].skipped) {
      ++skipped;
      EXPECT_THAT(skip.reason, ::testing::AnyOf(HasSubstr("img/5.png"), HasSubstr("img/9.png")));
      EXPECT_EQ(after.at(skip.global_row).query_id, skip.replacement);
      EXPECT_NE(skip.query_id, skip.replacement);
      before.erase(skip.global_row), after.erase(skip.global_row);
    }
    expect_equal(before, after);
    std::set<int64_t> concepts;
    for (const auto& [number, row] : rows_of(one[step])) concepts.insert(row.concept_id);
    EXPECT_GE(concepts.size() + one[step].skipped.size(), 16u);
  }
  EXPECT_GE(skipped, 4);  // six of the 120 pairs show one of the two images; 112 are drawn
  config_.loader_threads = 4;
  for (std::size_t step = 0; step < one.size(); ++step) {
    Rows two = rows_of(load(1, {0, 2}, static_cast<int64_t>(step))[0]);
    two.merge(rows_of(load(1, {1, 2}, static_cast<int64_t>(step))[0]));
    expect_equal(rows_of(one[step]), two);
  }
}

TEST_F(PairBatchesTest, SkipGivesUpWhenNothingCanBeRead) {
  config_.sources[0].tasks = {3};
  config_.on_error = OnDataError::kSkip;
  std::filesystem::remove_all(benchmark_.path() / "img");
  EXPECT_THAT(message_of<DataError>([&] { load(1); }), HasSubstr("must find a replacement in 16 tries"));
}

TEST_F(PairBatchesTest, RefusesWhatDoesNotDivide) {
  EXPECT_THAT(message_of<ConfigError>([&] {
                load(1, {0, 3});
              }),
              AllOf(HasSubstr("multiple of the number of ranks"), HasSubstr("16 pairs and 3 ranks")));
  config_.min_pixels = 1 << 30;
  EXPECT_THAT(message_of<ConfigError>([&] { load(1); }), HasSubstr("min_pixels"));
}

TEST_F(PairBatchesTest, ATextModelRefusesImages) {
  model_.image_processor.reset();
  EXPECT_THAT(message_of<DataError>([&] { load(1); }), HasSubstr("text-only model"));
}

TEST_F(PairBatchesTest, MeasuresItself) {
  const TrainingSet set(config_);
  BatchStream<PairBatch> loader = pair_batches(set, config_, model_, kSeed, {});
  const LoaderSpeed speed = measure_loader(loader, config_, 5);
  EXPECT_EQ(speed.pairs, 80);
  EXPECT_EQ(speed.records, 160);
  EXPECT_GT(speed.records_per_s(), 0);
}

}  // namespace
}  // namespace trireme
