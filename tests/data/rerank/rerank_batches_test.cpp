#include "data/rerank/rerank_batches.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>

#include "tests/support/expect_error.h"
#include "tests/support/rerank_set.h"

namespace trireme {
namespace {

using test::message_of;
using test::RerankSet;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kConcepts = 12, kQueries = 12, kSamples = 3;

/// What one sequence of a batch is, and its three parts.
struct Sequence {
  RerankSequences sequences;
  std::string query_id;
};
using Sequences = std::map<int64_t, Sequence>;  ///< by number in the global batch

int64_t value(const torch::Tensor& tensor, int64_t i = 0) { return tensor[i].item<int64_t>(); }

Sequences sequences_of(const RerankBatch& batch) {
  Sequences out;
  for (int64_t i = 0; i < batch.sequences.sequence_id.size(0); ++i) {
    out.emplace(value(batch.sequences.sequence_id, i),
                Sequence{slice(batch.sequences, {i, 1}), batch.query_ids[static_cast<std::size_t>(i / kSamples)]});
  }
  return out;
}

/// A batch without any image has [0, 0] patches.
bool same_images(const PackedBatch& a, const PackedBatch& b) {
  if (a.grid.size(0) == 0 && b.grid.size(0) == 0) return true;
  return at::equal(a.patches, b.patches) && at::equal(a.grid, b.grid);
}

bool equal(const RerankSequences& a, const RerankSequences& b) {
  return at::equal(a.packed.tokens, b.packed.tokens) && at::equal(a.packed.position_ids, b.packed.position_ids) &&
         at::equal(a.packed.rows, b.packed.rows) && same_images(a.packed, b.packed) && at::equal(a.label, b.label) &&
         at::equal(a.listwise, b.listwise) && at::equal(a.decision, b.decision) && at::equal(a.options, b.options);
}

void expect_equal(const Sequences& a, const Sequences& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [number, sequence] : a) {
    ASSERT_TRUE(b.contains(number)) << number;
    EXPECT_EQ(sequence.query_id, b.at(number).query_id);
    EXPECT_TRUE(equal(sequence.sequences, b.at(number).sequences)) << number;
  }
}

class RerankBatchesTest : public ::testing::Test {
 protected:
  RerankBatchesTest() { set_.samples.share_images = false; }  // each sequence has its own patches, to be compared
  std::string text(const torch::Tensor& tokens) const {
    const torch::Tensor dense = tokens.contiguous();
    return set_.tokenizer().decode({dense.const_data_ptr<int64_t>(), static_cast<std::size_t>(dense.numel())});
  }
  RerankSet set_{kConcepts, kQueries};
};

TEST_F(RerankBatchesTest, AQueryBecomesAYesANoAndAList) {
  const RerankBatch batch = set_.load(1)[0];
  ASSERT_EQ(batch.sequences.sequence_id.size(0), kSamples * kQueries);
  for (const auto& [number, sequence] : sequences_of(batch)) {
    const RerankSequences& one = sequence.sequences;
    const std::string prompt = text(one.packed.tokens), labels = text(one.label);
    const bool list = number % kSamples == 2;
    EXPECT_THAT(prompt, HasSubstr(list ? "followed by multiple candidates" : "a query and a candidate"));
    EXPECT_THAT(prompt, ::testing::EndsWith(labels));
    EXPECT_EQ(one.listwise.any().item<bool>(), list);
    // The rows are those before the labels.
    EXPECT_TRUE(at::equal(one.packed.tokens.index_select(0, one.packed.rows + 1), one.label));
    EXPECT_EQ(value(one.packed.rows, -1), one.packed.tokens.size(0) - 2);
    const std::string decided = text(one.label.index_select(0, one.decision));
    if (!list) {
      EXPECT_EQ(labels, fmt::format("<|im_start|>assistant\n{}<|im_end|>\n", number % kSamples == 0 ? "Yes" : "No"));
      EXPECT_EQ(decided, number % kSamples == 0 ? "Yes" : "No");
      continue;
    }
    EXPECT_EQ(labels, fmt::format("<|im_start|>assistant\nAns: ({})<|im_end|>\n", decided));
    // Behind the question of each concept's letters, the positive has the same letters.
    EXPECT_THAT(prompt, HasSubstr(fmt::format("({}) ", decided)));
  }
}

TEST_F(RerankBatchesTest, TheAnswerIsThePositiveCandidate) {
  set_.config.sources[0].tasks = {1};
  std::map<std::string, int64_t> answers;
  for (const RerankBatch& batch : set_.load(2)) {
    for (const auto& [number, sequence] : sequences_of(batch)) {
      const std::string prompt = text(sequence.sequences.packed.tokens);
      const auto concept_number = std::stoll(sequence.query_id.substr(2)) / RerankSet::kQueriesPerConcept;
      const char letter = static_cast<char>('a' + concept_number);
      const std::string positive =
          fmt::format("Word {}", std::string(static_cast<std::size_t>(1 + concept_number * 7 % 40), letter));
      const std::string decided = text(sequence.sequences.label.index_select(0, sequence.sequences.decision));
      ++answers[decided];
      if (number % kSamples == 2) {
        EXPECT_THAT(prompt, HasSubstr(fmt::format("({}) {}.", decided, positive)));
      } else if (decided == "Yes") {
        EXPECT_THAT(prompt, HasSubstr("Candidate:" + positive + "."));
      } else {
        EXPECT_THAT(prompt, ::testing::Not(HasSubstr("Candidate:" + positive + ".")));
      }
    }
  }
  EXPECT_EQ(answers["Yes"], answers["No"]);
  EXPECT_GT(answers.size(), 4u) << "gold stands in different places";
}

TEST_F(RerankBatchesTest, RanksShareTheBatchOfOne) {
  constexpr int64_t kSteps = 6;  // over an epoch of 5
  const auto one = set_.load(kSteps);
  for (const int64_t ranks : {2, 4}) {
    std::vector<Sequences> together(kSteps);
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const auto mine = set_.load(kSteps, {rank, ranks});
      for (std::size_t step = 0; step < kSteps; ++step) {
        EXPECT_EQ(std::ssize(mine[step].query_ids), kQueries / ranks);
        together[step].merge(sequences_of(mine[step]));
      }
    }
    for (std::size_t step = 0; step < kSteps; ++step) expect_equal(sequences_of(one[step]), together[step]);
  }
}

TEST_F(RerankBatchesTest, ResumesAtAnyStepWithAnyThreads) {
  const auto unbroken = set_.load(8);
  set_.config.loader_threads = 5;
  for (const int64_t first : {3, 7}) {
    const auto resumed = set_.load(1, {}, first);
    EXPECT_EQ(resumed[0].step, first);
    expect_equal(sequences_of(unbroken[static_cast<std::size_t>(first)]), sequences_of(resumed[0]));
  }
}

TEST_F(RerankBatchesTest, DrawsAnewInEachEpoch) {
  constexpr int64_t kPerEpoch = kConcepts * RerankSet::kQueriesPerConcept / kQueries;
  std::map<std::string, std::vector<std::string>> lists;
  for (const RerankBatch& batch : set_.load(2 * kPerEpoch)) {
    for (const auto& [number, sequence] : sequences_of(batch)) {
      if (number % kSamples == 2) lists[sequence.query_id].push_back(text(sequence.sequences.packed.tokens));
    }
  }
  int64_t same = 0;
  for (const auto& [query, seen] : lists) {
    ASSERT_EQ(seen.size(), 2u) << query;
    same += seen[0] == seen[1];
  }
  EXPECT_LT(same, std::ssize(lists) / 4);
}

TEST_F(RerankBatchesTest, SharedImagesAreEachSequencesOwn) {
  set_.config.augment.rotate_degrees = 10;
  const auto own = set_.load(3);
  set_.samples.share_images = true;
  const auto shared = set_.load(3);
  constexpr int64_t kPatchesPerToken = 4;
  for (std::size_t step = 0; step < own.size(); ++step) {
    const RerankSequences &a = own[step].sequences, &b = shared[step].sequences;
    EXPECT_TRUE(at::equal(a.packed.tokens, b.packed.tokens));
    EXPECT_TRUE(at::equal(a.packed.position_ids, b.packed.position_ids));
    EXPECT_TRUE(at::equal(a.packed.image_rows, b.packed.image_rows));
    EXPECT_FALSE(b.packed.patches.defined());
    EXPECT_LT(shared[step].images.grid.size(0), a.packed.grid.size(0)) << "nothing is shared";
    const torch::Tensor groups = shared[step].images.patches.view({-1, kPatchesPerToken * a.packed.patches.size(1)});
    EXPECT_TRUE(at::equal(groups.index_select(0, b.feature_rows).view_as(a.packed.patches), a.packed.patches));
    // Cut into pieces, each has its own rows of the features.
    torch::Tensor rows;
    for (int64_t i = 0; i < b.sequence_id.size(0); i += 4) {
      const RerankSequences piece = slice(b, {i, 4});
      EXPECT_EQ(piece.feature_rows.size(0), piece.packed.image_rows.size(0));
      rows = rows.defined() ? at::cat({rows, piece.feature_rows}) : piece.feature_rows;
    }
    EXPECT_TRUE(at::equal(rows, b.feature_rows));
  }
}

TEST_F(RerankBatchesTest, LeavesOutQueriesThatWereNotMinedFor) {
  set_.mine(kConcepts, 20);
  const MinedNegatives negatives(set_.mined);
  const TrainingSet set(set_.config, &negatives);
  EXPECT_EQ(set.pairs(), 20);
  EXPECT_EQ(set.summaries()[0].without_negatives, 40);
  set_.config.sampler.pairs_global = 4;
  for (const RerankBatch& batch : set_.load(6)) {
    for (const std::string& query : batch.query_ids) EXPECT_LT(std::stoll(query.substr(2)), 20);
  }
}

TEST_F(RerankBatchesTest, RefusesNegativesOfAnotherPool) {
  test::write_mined_file(set_.mined, {{"9:0", {"9:1001", "7:1"}, {"9:1000"}}});
  set_.config.sampler.pairs_global = 1;
  std::string message;
  for (int64_t step = 0; step < 20 && message.empty(); ++step) {
    try {
      set_.load(1, {}, step);
    } catch (const DataError& error) {
      message = error.what();
    }
  }
  EXPECT_THAT(message, AllOf(HasSubstr("must be in the candidate pool"), HasSubstr("7:1")));
}

TEST_F(RerankBatchesTest, SkipsAQueryThatCannotBeRead) {
  std::filesystem::resize_file(set_.benchmark().image(5), 20);
  EXPECT_THAT(message_of<DataError>([&] { set_.load(5); }), HasSubstr("img/5.png"));
  set_.config.on_error = OnDataError::kSkip;
  std::vector<std::string> skipped;
  for (const RerankBatch& batch : set_.load(5)) {
    for (const SkippedPair& pair : batch.skipped) skipped.push_back(pair.reason);
  }
  EXPECT_THAT(skipped, ::testing::Contains(HasSubstr("img/5.png")));
}

}  // namespace
}  // namespace trireme
