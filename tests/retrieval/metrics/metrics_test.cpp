#include "retrieval/metrics/metrics.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/metrics_case.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-9;

/// Two queries, four documents each.
Run sample_run() {
  return {{"q1", "q2"},
          {"a", "b", "c", "d", "e", "f", "g", "h"},
          at::tensor({4.f, 3.f, 3.f, 1.f, 2.f, 1.f, 0.f, 0.f}).view({2, 4}),
          {"exact", "", "", "", "", 100}};
}
Judgements sample_judgements() {
  return {{"q1", {{"b", 1}, {"d", 2}, {"x", 1}, {"a", 0}}}, {"q2", {{"y", 1}, {"h", -1}}}};
}

double value_of(const std::string& metric, TieRule ties = TieRule::kListed) {
  const auto metrics = evaluate_run("sample", sample_run(), sample_judgements(),
                                    {.metrics = {metric_of_name(metric)}, .ties = ties, .bootstrap_samples = 0});
  EXPECT_EQ(metrics.values[0].per_query[1], 0) << metric;
  EXPECT_NEAR(metrics.values[0].mean, metrics.values[0].per_query[0] / 2, 1e-15);
  return metrics.values[0].per_query[0];
}

TEST(Metrics, AreTheNumbersThatTheirDefinitionsGiveByHand) {
  EXPECT_EQ(value_of("recall@1"), 0);
  EXPECT_EQ(value_of("recall@2"), 1);  // one of three relevant is enough
  EXPECT_EQ(value_of("mrr"), 0.5);
  EXPECT_EQ(value_of("mrr@1"), 0);
  EXPECT_NEAR(value_of("map"), (1. / 2 + 2. / 4) / 3, kTolerance);
  EXPECT_NEAR(value_of("map@3"), (1. / 2) / 3, kTolerance);
  const double ideal = 2 / std::log2(2) + 1 / std::log2(3) + 1 / std::log2(4);
  EXPECT_NEAR(value_of("ndcg"), (1 / std::log2(3) + 2 / std::log2(5)) / ideal, kTolerance);
  EXPECT_NEAR(value_of("ndcg@2"), (1 / std::log2(3)) / (2 / std::log2(2) + 1 / std::log2(3)), kTolerance);
}

TEST(Metrics, TieRuleDecidesBetweenEqualScores) {
  EXPECT_EQ(value_of("mrr", TieRule::kListed), 1. / 2);    // b before c, as listed
  EXPECT_EQ(value_of("mrr", TieRule::kTrecEval), 1. / 3);  // c before b, the larger id
}

/// Golden: tests/golden/metrics/make.py. Compares every query's values; returns how many.
int64_t compare_with_pytrec_eval(const std::string& name, int64_t expected_cases) {
  std::ifstream file(fmt::format("{}/golden/metrics/{}", TRIREME_TEST_DIR, name));
  int64_t cases = 0, values = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const auto json = parse_json(line);
    const auto drawn = test::metrics_case(json);
    const TaskMetrics metrics =
        evaluate_run("drawn", drawn.run, drawn.judgements,
                     {.metrics = drawn.metrics, .ties = TieRule::kTrecEval, .bootstrap_samples = 0});
    for (const MetricValue& value : metrics.values) {
      const auto expected = json["expected"][metric_name(value.metric)].get<std::vector<double>>();
      EXPECT_EQ(value.per_query.size(), expected.size());
      for (std::size_t q = 0; q < expected.size(); ++q, ++values)
        EXPECT_NEAR(value.per_query[q], expected[q], kTolerance)
            << "case " << cases << " " << metric_name(value.metric) << " query " << q;
    }
  }
  EXPECT_EQ(cases, expected_cases);
  return values;
}

TEST(Metrics, EqualPytrecEvalOnRunsWithTies) { EXPECT_GT(compare_with_pytrec_eval("cases.jsonl", 24), 500); }

TEST(Metrics, EqualPytrecEvalOnPoolsSmallerThanTheCutoffs) {
  EXPECT_GT(compare_with_pytrec_eval("pool_cases.jsonl", 24), 500);
}

/// A run of one query whose list ends behind its second document, in a pool of four.
TEST(Metrics, TakeAShortListForWhatItIs) {
  constexpr float kEnd = -std::numeric_limits<float>::infinity();
  const trireme::Run run{
      {"q1"}, {"a", "b", "", ""}, at::tensor({2.f, 1.f, kEnd, kEnd}).view({1, 4}), {"exact", "", "", "", "", 4}};
  const Judgements judgements = {{"q1", {{"b", 1}, {"x", 1}, {"y", 1}}}};
  const auto value = [&](const std::string& metric) {
    return evaluate_run("t", run, judgements, {.metrics = {metric_of_name(metric)}, .bootstrap_samples = 0})
        .values[0]
        .mean;
  };
  EXPECT_EQ(value("recall@10"), 1);
  EXPECT_EQ(value("mrr"), 0.5);
  EXPECT_NEAR(value("map@10"), (1. / 2) / 3, kTolerance);
  const double all_found = 1 / std::log2(2) + 1 / std::log2(3) + 1 / std::log2(4);
  EXPECT_NEAR(value("ndcg@10"), (1 / std::log2(3)) / all_found, kTolerance) << "x and y are missed";
}

TEST(Metrics, NamesComeBack) {
  for (const char* name : {"recall@1", "recall@100", "mrr", "mrr@10", "ndcg@10", "map"})
    EXPECT_EQ(metric_name(metric_of_name(name)), name);
  EXPECT_THAT(message_of<ConfigError>([] { metric_of_name("recal@5"); }), HasSubstr("did you mean recall"));
  for (const char* name : {"recall@", "recall@0", "recall@-1", "ndcg@1.5", "ndcg@5x"})
    EXPECT_THAT(message_of<ConfigError>([&] { metric_of_name(name); }), HasSubstr(name));
}

TEST(Metrics, RefuseACutoffBeyondListsThatLeaveDocumentsOut) {
  trireme::Run run = sample_run();
  const MetricOptions options{.metrics = {metric_of_name("recall@10")}};
  EXPECT_THAT(message_of<ConfigError>([&] { evaluate_run("t", run, sample_judgements(), options); }),
              AllOf(HasSubstr("recall@10"), HasSubstr("got 4 documents")));
  run.info.candidates = 4;  // all there are: the longer list would hold nothing more
  EXPECT_EQ(evaluate_run("t", run, sample_judgements(), options).values[0].mean, 0.5);
}

class Refused : public ::testing::Test {
 protected:
  std::string refusal() const {
    return message_of<DataError>(
        [&] { evaluate_run("cirr task 7", run_, judgements_, {.metrics = {metric_of_name("mrr")}}); });
  }
  trireme::Run run_ = sample_run();
  Judgements judgements_ = sample_judgements();
};

TEST_F(Refused, AQueryWithoutJudgement) {
  judgements_.erase("q2");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("cirr task 7"), HasSubstr("no judgement of query \"q2\"")));
}

TEST_F(Refused, AQueryWithoutRelevantDocument) {
  judgements_["q2"] = {{"h", 0}, {"g", -1}};
  EXPECT_THAT(refusal(), HasSubstr("none for query \"q2\""));
}

TEST_F(Refused, JudgedQueriesThatWereNotSearched) {
  judgements_["q9"] = judgements_["q4"] = judgements_["q7"] = {{"a", 1}};
  EXPECT_THAT(refusal(), HasSubstr("none of query \"q4\" and 2 more"));
}

TEST_F(Refused, ADocumentJudgedTwice) {
  judgements_["q1"].push_back({"d", 1});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("\"d\" twice"), HasSubstr("\"q1\"")));
}

TEST_F(Refused, ARunWithoutQueries) {
  run_ = {{}, {}, at::empty({0, 4}), {}};
  judgements_.clear();
  EXPECT_THAT(refusal(), HasSubstr("must hold queries"));
}

MetricValue values_of(const std::vector<double>& per_query, const std::string& task, int64_t samples = 1000) {
  double mean = 0;
  for (const double each : per_query) mean += each / static_cast<double>(per_query.size());
  return {{}, mean, bootstrap_means({&per_query}, samples, 0, task)[0], per_query};
}

TEST(Bootstrap, GivesTheIntervalOfABinomialProportion) {
  std::vector<double> hits(2000, 0);
  for (std::size_t i = 0; i < 600; ++i) hits[i] = 1;
  const auto interval = values_of(hits, "task", 4000).interval;
  const double half_width = 1.96 * std::sqrt(0.3 * 0.7 / 2000);
  EXPECT_NEAR(interval.low, 0.3 - half_width, 0.002);
  EXPECT_NEAR(interval.high, 0.3 + half_width, 0.002);
}

TEST(Bootstrap, IsTheSameEachTimeAndDiffersBetweenTasksAndSeeds) {
  std::vector<double> values;
  for (int i = 0; i < 50; ++i) values.push_back(i * 0.01);
  const auto replicates = [&](uint64_t seed, std::string_view name) {
    return bootstrap_means({&values}, 20, seed, name)[0].replicates;
  };
  EXPECT_EQ(replicates(1, "a"), replicates(1, "a"));
  EXPECT_NE(replicates(1, "a"), replicates(1, "b"));
  EXPECT_NE(replicates(1, "a"), replicates(2, "a"));
}

TEST(Bootstrap, ResamplesAllMetricsAlike) {
  std::vector<double> values, doubled;
  for (int i = 0; i < 50; ++i) values.push_back(i), doubled.push_back(2 * i);
  const auto intervals = bootstrap_means({&values, &doubled}, 50, 0, "task");
  for (std::size_t i = 0; i < 50; ++i) EXPECT_NEAR(2 * intervals[0].replicates[i], intervals[1].replicates[i], 1e-12);
}

TEST(Bootstrap, WithoutSamplesIsTheMean) {
  const auto interval = values_of({0, 1, 1, 0}, "task", 0).interval;
  EXPECT_EQ(interval.low, 0.5);
  EXPECT_EQ(interval.high, 0.5);
}

TEST(Average, IsUnweightedOverTasksWithANarrowerInterval) {
  std::vector<double> few(100, 0), many(1000, 0);
  for (std::size_t i = 0; i < 50; ++i) few[i] = 1;
  for (std::size_t i = 0; i < 900; ++i) many[i] = 1;
  const MetricValue a = values_of(few, "a"), b = values_of(many, "b");
  const Average both = average({&a, &b});
  EXPECT_NEAR(both.mean, 0.7, 1e-12);
  const double deviation = std::sqrt(0.25 / 100 + 0.09 / 1000) / 2;
  EXPECT_NEAR(both.interval.high - both.interval.low, 2 * 1.96 * deviation, 0.015);
  EXPECT_LT(both.interval.low, both.mean);
  EXPECT_GT(both.interval.high, both.mean);
}

TEST(Metrics, AreWrittenAsJson) {
  const auto metrics = evaluate_run("cirr", sample_run(), sample_judgements(),
                                    {.metrics = {metric_of_name("recall@2")}, .bootstrap_samples = 0});
  EXPECT_EQ(dump_json(to_json(metrics)),
            R"({"task":"cirr","queries":2,"metrics":{"recall@2":{"mean":0.5,"low":0.5,"high":0.5}}})");
  EXPECT_EQ(metrics.value(metric_of_name("recall@2")).mean, 0.5);
}

}  // namespace
}  // namespace trireme
