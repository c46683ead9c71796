#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "evaluation/eval_config.h"
#include "evaluation/evaluate.h"
#include "evaluation/fit_fusion.h"
#include "tests/support/expect_error.h"
#include "tests/support/toy_benchmark.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ToyBenchmark;
using ::testing::HasSubstr;

/// Unit vectors in the plane, by id: what the retriever goes by.
const std::map<std::string, double> kDegrees = {
    {"9:1", 0},  {"9:2", 40},  {"9:3", 10}, {"9:4", 90},                                // names
    {"9:11", 2}, {"9:12", 70}, {"9:13", 9}, {"9:14", 91}, {"9:15", 45}, {"9:16", 1},    // their pools
    {"9:5", 0},  {"9:6", 5},   {"9:7", 60}, {"9:21", 0},  {"9:22", 5},  {"9:23", 60}};  // pictures
/// What answers each query.
const std::map<std::string, std::string> kAnswers = {{"9:1", "9:11"}, {"9:2", "9:12"}, {"9:3", "9:13"}, {"9:4", "9:14"},
                                                     {"9:5", "9:22"}, {"9:6", "9:21"}, {"9:7", "9:21"}};

SetVectors vectors_of(const EvalSet& set) {
  SetVectors vectors;
  for (const auto& file : set.files()) {
    auto rows = at::empty({file->records.size(), 2}, torch::kFloat32);
    for (int64_t row = 0; row < rows.size(0); ++row) {
      const double radians = kDegrees.at(std::string(file->ids[row])) * M_PI / 180;
      rows[row][0] = std::cos(radians);
      rows[row][1] = std::sin(radians);
    }
    vectors.push_back(std::make_unique<TensorSource>(rows));
  }
  return vectors;
}

/// A reranker that knows: 1 for the answer, 0 for others; times `sign`, it is always wrong.
ScoreBatch knowing(double sign) {
  return [sign](std::span<const RerankQuery> queries, RerankModes modes) {
    RerankResult result;
    for (const RerankQuery& query : queries) {
      RerankScores scores;
      std::vector<double> values;
      for (const Record& candidate : query.candidates)
        values.push_back(kAnswers.at(query.query.id) == candidate.id ? sign : 0);
      scores.listwise_order = {std::max_element(values.begin(), values.end()) - values.begin()};
      if (asks_pointwise(modes)) scores.pointwise = values;
      if (asks_listwise(modes)) scores.listwise = values;
      result.scores.push_back(std::move(scores));
      result.counts.prompts += std::ssize(values);
    }
    return result;
  };
}

class EvalRerankTest : public ::testing::Test {
 protected:
  EvalRerankTest() {
    fs::copy(fs::path(TRIREME_TEST_DIR) / "golden/embed/images", benchmark_.root() / "images");
    BenchmarkConfig benchmark;
    benchmark.root = benchmark_.root();
    set_.emplace(read_benchmark(benchmark), EvalQueryConfig{});
    metrics_.names = {"recall@1", "recall@5", "mrr"};
    metrics_.depth = 5;
    metrics_.bootstrap_samples = 0;
    config_.depth = 3;
    config_.reranker.block_queries = 2;
  }

  /// Every search, scored by the reranker.
  std::vector<RerankedSearch> reranked(const ScoreBatch& score, Communicator& communicator) {
    SearchReranker reranker(config_, score, communicator, {});
    std::vector<RerankedSearch> searches;
    evaluate(*set_, metrics_, vectors_of(*set_), communicator,
             [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) {
               searches.push_back(reranker.score(*set_, search, found));
             });
    return searches;
  }

  /// The retriever's column and one behind it, fused with `fusion`.
  std::vector<ResultTable> columns(const ScoreBatch& score, const Fusion& fusion, Communicator& communicator) {
    SearchReranker reranker(config_, score, communicator, {});
    return evaluate_columns(
        *set_, metrics_, vectors_of(*set_),
        [&](const EvalSearch& search, const Neighbours& found) {
          return std::vector{fused(*set_, reranker.score(*set_, search, found), RerankModes::kPointwise, fusion)};
        },
        communicator);
  }

  ToyBenchmark benchmark_;
  std::optional<EvalSet> set_;
  EvalMetricConfig metrics_;
  EvalRerankConfig config_;
};

double recall_at_1(const ResultRow& row) { return row.local.value().find("recall@1")->value; }

TEST_F(EvalRerankTest, AKnowingRerankerLiftsWhatIsWithinItsDepth) {
  SelfCommunicator alone;
  const auto tables = columns(knowing(1), {FusionForm::kAlpha, 0}, alone);
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_DOUBLE_EQ(recall_at_1(tables[0].tasks[0]), 0.75) << "9:2 finds 9:15 before its answer";
  EXPECT_DOUBLE_EQ(recall_at_1(tables[1].tasks[0]), 1);
  EXPECT_DOUBLE_EQ(recall_at_1(tables[1].tasks[1]), 1);
  config_.depth = 1;
  EXPECT_EQ(columns(knowing(1), {FusionForm::kAlpha, 0}, alone)[1].tasks[0].local->find("recall@1")->value, 0.75);
}

TEST_F(EvalRerankTest, TheRetrieverAloneIsItsOwnColumn) {
  SelfCommunicator alone;
  const auto tables = columns(knowing(1), {FusionForm::kAlpha, 1}, alone);
  EXPECT_EQ(tables[0], tables[1]);
}

TEST_F(EvalRerankTest, AnyNumberOfRanksGivesTheSameTables) {
  SelfCommunicator alone;
  const auto one = columns(knowing(1), {FusionForm::kAlpha, 0.5}, alone);
  for (const int ranks : {2, 3})
    run_ranks(ranks, [&](Communicator& communicator) {
      EXPECT_EQ(columns(knowing(1), {FusionForm::kAlpha, 0.5}, communicator), one);
    });
}

TEST_F(EvalRerankTest, AShorterListOfOneQueryLeavesTheOthersWhole) {
  const auto query = [](int id, const std::string& excluded) {
    return fmt::format(R"({{"qid": "9:{}", "query_txt": "x", "query_img_path": null, "query_modality": "text", )"
                       R"("task_id": 1, "exclude_cand_list": [{}]}})"
                       "\n",
                       id, excluded);
  };
  benchmark_.write("query/test/names.jsonl",
                   query(1, "") + query(2, R"("9:15", "9:11", "9:13")") + query(3, "") + query(4, ""));
  BenchmarkConfig benchmark;
  benchmark.root = benchmark_.root();
  benchmark.tasks = {"names_test"};
  EvalQueryConfig queries;
  queries.pools = {PoolScope::kLocal};
  set_.emplace(read_benchmark(benchmark), queries);
  FusionFitConfig fit_config;
  fit_config.metric = "recall@10";
  for (const int ranks : {1, 2}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      SearchReranker reranker(config_, knowing(1), communicator, {});
      std::vector<RerankedSearch> searches;
      evaluate(*set_, metrics_, vectors_of(*set_), communicator,
               [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) {
                 searches.push_back(reranker.score(*set_, search, found));
               });
      const Neighbours& found = searches.at(0).found;
      std::vector<int64_t> lengths;
      for (int64_t row = 0; row < 4; ++row) lengths.push_back(list_length(found.scores, row));
      EXPECT_THAT(lengths, ::testing::ElementsAre(5, 2, 5, 5));
      EXPECT_EQ(reranker.candidates(), (3 + 2 + 3 + 3) + (5 + 2 + 5 + 5)) << "pointwise to 3, listwise to 5";
      EXPECT_EQ(reranker.counts().prompts, reranker.candidates());
      const Neighbours lists = fused(*set_, searches[0], RerankModes::kBoth, {FusionForm::kAlpha, 0});
      EXPECT_TRUE(at::equal(lists.rows.slice(1, 2).select(0, 1), found.rows.slice(1, 2).select(0, 1))) << "no row";
      const PositionBias bias = reranker.position_bias(*set_, searches[0]);
      EXPECT_EQ(bias.candidates, 5);
      EXPECT_EQ(bias.queries, 3) << "those that have five";
      // Weights are fitted on the same lists.
      const FusionFile fit = fit_fusion(*set_, searches, {RerankModes::kPointwise}, fit_config);
      EXPECT_EQ(fit.fitted.at(0).value, 1) << "five are all there are";
    });
  }
  SelfCommunicator alone;
  const auto tables = columns(knowing(1), {FusionForm::kAlpha, 0}, alone);
  EXPECT_EQ(recall_at_1(tables[0].tasks[0]), 1) << "9:2 is not given 9:15";
  EXPECT_EQ(recall_at_1(tables[1].tasks[0]), 1);
}

TEST_F(EvalRerankTest, CountsAreThoseOfAllRanks) {
  for (const int ranks : {1, 3}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      SearchReranker reranker(config_, knowing(1), communicator, {});
      evaluate(*set_, metrics_, vectors_of(*set_), communicator,
               [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) {
                 reranker.score(*set_, search, found);
               });
      // Words in both pools, 3 of each; 2 of the pictures, the query's own being left out. Pointwise and listwise.
      EXPECT_EQ(reranker.candidates(), (4 * 3 + 4 * 3 + 3 * 2) + (4 * 5 + 4 * 5 + 3 * 2));
      EXPECT_EQ(reranker.counts().prompts, reranker.candidates());
    });
  }
}

TEST_F(EvalRerankTest, FitsAWeightWhereRerankingHelpsAndTheRetrieverWhereItDoesNot) {
  SelfCommunicator alone;
  const std::vector<RerankModes> modes = {RerankModes::kPointwise};
  FusionFitConfig fit;
  const FusionFile good = fit_fusion(*set_, reranked(knowing(1), alone), modes, fit);
  EXPECT_LT(good.modes.at("pointwise").by_row.at("names"), 1);
  ASSERT_EQ(good.fitted.size(), 3u);
  EXPECT_EQ(good.fitted[0].row, "all");
  EXPECT_EQ(good.fitted[1].row, "names");
  EXPECT_DOUBLE_EQ(good.fitted[1].value, 1);
  EXPECT_DOUBLE_EQ(good.fitted[1].retriever_value, 0.75);
  EXPECT_EQ(good.fitted[1].queries, 4);
  EXPECT_EQ(good.fitted_on, "toys, val");
  const FusionFile bad = fit_fusion(*set_, reranked(knowing(-1), alone), modes, fit);
  EXPECT_EQ(bad.modes.at("pointwise").by_row.at("names"), 1);
  fit.by_row = false;
  EXPECT_TRUE(fit_fusion(*set_, reranked(knowing(1), alone), modes, fit).modes.at("pointwise").by_row.empty());
  fit.metric = "recal@1";
  EXPECT_THAT(message_of<ConfigError>([&] { fit_fusion(*set_, {}, modes, fit); }), HasSubstr("recal@1"));
}

TEST_F(EvalRerankTest, ConfigTellsWhatDoesNotGoTogether) {
  const std::string begin =
      "out: o\nembed: {model: m}\nbenchmark: {root: b}\nmetrics: {depth: 10}\nrerank: {reranker: {model: r}, ";
  const auto message = [&](const std::string& rest) {
    return message_of<ConfigError>(
        [&] { Resolved<EvalConfig>::from(ConfigSource::parse(begin + rest + "}\n", "eval.yaml")); });
  };
  EXPECT_THAT(message("depth: 20"), HasSubstr("20 and 10"));
  EXPECT_THAT(message("depth: 5, fit: {split: test}"), HasSubstr("fit.split"));
  EXPECT_THAT(message("depth: 5, fit: {}, fuse_file: x.yaml"), HasSubstr("fuse_file"));
  EXPECT_THAT(message("depth: 5, modes: [pointwise], position_bias: true"), HasSubstr("listwise"));
  EXPECT_THAT(message("depth: 5, modes: [listwise, listwise]"), HasSubstr("twice"));
  EXPECT_THAT(message("depth: 5, listwise_depth: 8, position_bias: true"), HasSubstr("window"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                Resolved<EvalConfig>::from(ConfigSource::parse(
                    "out: o\nembed: {model: m}\nbenchmark: {root: b}\nrerank: {depth: 5}\n", "eval.yaml"));
              }),
              HasSubstr("reranker"));
}

}  // namespace
}  // namespace trireme
