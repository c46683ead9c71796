#include "evaluation/evaluate.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/json.h"
#include "evaluation/examples.h"
#include "evaluation/references.h"
#include "evaluation/validation.h"
#include "retrieval/checkpoint_embedder.h"
#include "tests/support/expect_error.h"
#include "tests/support/toy_benchmark.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ToyBenchmark;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Unit vectors in the plane, by id: the smaller the angle between two, the nearer.
const std::map<std::string, double> kDegrees = {
    {"9:1", 0},  {"9:2", 40},  {"9:3", 10}, {"9:4", 90},                                // names
    {"9:11", 2}, {"9:12", 70}, {"9:13", 9}, {"9:14", 91}, {"9:15", 45}, {"9:16", 1},    // their pools
    {"9:5", 0},  {"9:6", 5},   {"9:7", 60}, {"9:21", 0},  {"9:22", 5},  {"9:23", 60}};  // pictures

/// An embedder without a model.
class PlaneEmbedder : public Embedder {
 public:
  int64_t dim() const override { return 2; }
  EmbedCounts embed(const RecordsToEmbed& what, const Communicator& communicator, const EmbeddedRows& take,
                    const EmbedSkipped&, const EmbedProgress&) const override {
    EmbedCounts counts;
    for (int64_t row = communicator.rank(); row < what.records.size(); row += communicator.size()) {
      const std::string id = what.records.read(row).id;
      const double radians = kDegrees.at(id) * M_PI / 180;
      take(row, {id},
           at::tensor(std::vector<double>{std::cos(radians), std::sin(radians)}, torch::kFloat32).view({1, 2}));
      ++counts.records;
    }
    return counts;
  }
};

SetVectors vectors_of(const EvalSet& set, Communicator& communicator) {
  SetVectors vectors;
  for (const auto& file : set.files())
    vectors.push_back(
        std::make_unique<TensorSource>(embed_in_memory(PlaneEmbedder(), {file->records}, communicator).rows));
  return vectors;
}

class EvaluateTest : public ::testing::Test {
 protected:
  EvaluateTest() {
    fs::copy(fs::path(TRIREME_TEST_DIR) / "golden/embed/images", benchmark_.root() / "images");
    config_.root = benchmark_.root();
    metrics_.names = {"recall@1", "recall@5", "mrr"};
    metrics_.depth = 5;
    metrics_.bootstrap_samples = 50;
  }

  EvalSet open() const { return EvalSet(read_benchmark(config_), queries_); }

  ResultTable evaluate_toys(Communicator& communicator, const SearchDone& done = {}) const {
    const EvalSet set = open();
    return evaluate(set, metrics_, vectors_of(set, communicator), communicator, done);
  }

  template <class Kind>
  std::string refusal() const {
    return message_of<Kind>([&] { open(); });
  }

  ToyBenchmark benchmark_;
  BenchmarkConfig config_;
  EvalQueryConfig queries_;
  EvalMetricConfig metrics_;
};

double value(const std::optional<PoolResult>& pool, std::string_view metric) {
  return pool.value().find(metric)->value;
}

TEST_F(EvaluateTest, ScoresEveryTaskInItsPools) {
  SelfCommunicator alone;
  const ResultTable table = evaluate_toys(alone);
  ASSERT_EQ(table.tasks.size(), 2u);
  // Query 9:2 at 40 degrees finds 9:15 at 45 before its answer at 70.
  EXPECT_DOUBLE_EQ(value(table.tasks[0].local, "recall@1"), 0.75);
  EXPECT_DOUBLE_EQ(value(table.tasks[0].local, "mrr"), (1 + 0.5 + 1 + 1) / 4.0);
  EXPECT_EQ(table.tasks[0].local->candidates, 5);
  EXPECT_EQ(table.tasks[0].queries, 4);
  // In the pool of all tasks 9:1 finds 9:21 at 0 degrees and then 9:16, right only there; 9:2 finds 9:15, 9:23 at 60.
  EXPECT_DOUBLE_EQ(value(table.tasks[0].global, "mrr"), (0.5 + 1.0 / 3 + 1 + 1) / 4.0);
  EXPECT_EQ(table.tasks[0].global->candidates, 9);
  // Without their own pictures: 9:5 finds 9:22, 9:6 finds 9:21, 9:7 at 60 degrees finds 9:22 at 5 before 9:21 at 0.
  EXPECT_DOUBLE_EQ(value(table.tasks[1].local, "recall@1"), 2.0 / 3);
  EXPECT_FALSE(table.tasks[1].global.has_value());
}

TEST_F(EvaluateTest, AveragesTasksIntoRowsAndRowsIntoTheMean) {
  SelfCommunicator alone;
  const ResultTable table = evaluate_toys(alone);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1].set, "T2");
  EXPECT_DOUBLE_EQ(value(table.mean.value().local, "recall@1"), (0.75 + 2.0 / 3) / 2);
  EXPECT_FALSE(table.mean->global.has_value()) << "one row has no global pool";
  const Estimate& mean = *table.mean->local->find("recall@1");
  EXPECT_LT(mean.low.value(), mean.value);
  EXPECT_GT(mean.high.value(), mean.value);
}

TEST_F(EvaluateTest, AnyNumberOfRanksGivesTheSameTable) {
  SelfCommunicator alone;
  const ResultTable one = evaluate_toys(alone);
  for (const int ranks : {2, 4})
    run_ranks(ranks, [&](Communicator& communicator) { EXPECT_EQ(evaluate_toys(communicator), one); });
}

TEST_F(EvaluateTest, EmbedsEveryRecordOnce) {
  const EvalSet set = open();
  EXPECT_EQ(set.files().size(), 5u);
  EXPECT_EQ(set.records_to_embed(), 4 + 3 + 9) << "both local pools are part of the global one";
  benchmark_.write("cand_pool/local/names.jsonl",
                   "{\"did\": \"9:11\", \"txt\": \"another text\", \"img_path\": null, \"modality\": \"text\"}\n"
                   "{\"did\": \"9:12\", \"txt\": \"b\"}\n{\"did\": \"9:13\", \"txt\": \"c\"}\n"
                   "{\"did\": \"9:14\", \"txt\": \"d\"}\n{\"did\": \"9:15\", \"txt\": \"e\"}\n");
  EXPECT_EQ(open().records_to_embed(), 4 + 3 + 9 + 5) << "the same ids with other contents";
}

TEST_F(EvaluateTest, AsksFixedInstructionsOrRandomOnesBySeed) {
  const auto asked = [&] {
    const EvalSet set = open();
    std::string texts;
    for (int64_t row = 0; row < 4; ++row) texts += set.files()[0]->records.read(row).text + "|";
    return texts;
  };
  EXPECT_EQ(asked(),
            "Find the name. an apple.|Find the name. a pear.|Find the name. apples.|"
            "Find the name. <i>table</i> & \"chair.|");
  EXPECT_EQ(open().searches()[0].instruction, "Find the name.");
  queries_.prompt_number = 2;
  EXPECT_THAT(asked(), HasSubstr("What is it called? a pear"));
  queries_.instruction = InstructionChoice::kRandom;
  std::set<std::string> drawn;
  for (queries_.seed = 0; queries_.seed < 20; ++queries_.seed) drawn.insert(asked());
  EXPECT_GT(drawn.size(), 5u);
  EXPECT_EQ(asked(), asked());
  queries_.instruction = InstructionChoice::kNone;
  EXPECT_EQ(asked(), "An apple.|A pear.|Apples.|<i>table</i> & \"chair.|");
  EXPECT_EQ(open().instruction(), "no instruction");
}

TEST_F(EvaluateTest, PicksTheWorstMissesFirst) {
  SelfCommunicator alone;
  const EvalSet set = open();
  GalleryBuilder builder(set, {.misses = 2, .hits = 1, .shown = 1, .thumbnail_pixels = 32}, 5);
  evaluate(set, metrics_, vectors_of(set, alone), alone,
           [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) { builder.add(search, found); });
  const Gallery gallery = builder.take();
  ASSERT_EQ(gallery.tasks.size(), 2u);
  EXPECT_EQ(gallery.notice, "Drawn by <nobody>\n");
  const auto& names = gallery.tasks[0].cases;
  ASSERT_EQ(names.size(), 2u) << "one miss, one hit";
  EXPECT_EQ(names[0].query.id, "9:2");
  EXPECT_EQ(names[0].query.text, "a pear") << "as the file has it, without the instruction";
  EXPECT_EQ(names[0].rank, 2);
  EXPECT_EQ(names[0].wanted.value().text, "green pear");
  EXPECT_TRUE(names[1].top.at(0).relevant);
  EXPECT_FALSE(names[1].wanted.has_value());
  EXPECT_EQ(gallery.pictures.size(), 3u) << "each picture once";
}

TEST_F(EvaluateTest, FloorsStandBesideTheirTasksAndRows) {
  FloorTable floors;
  floors.method = "by hand";
  Floor floor;
  floor.id = "names_floor";
  floor.recall_at_1 = 50;
  floor.recall_at_1_interval = {40, 60};
  floors.floors = {floor};
  const Reference reference = reference_of(floors, read_benchmark(config_));
  EXPECT_EQ(reference.table.tasks.at(0).id, "names_test");
  EXPECT_EQ(*reference.table.rows.at(0).local->find("recall@1"), (Estimate{0.5, {}, {}})) << "the mean of its one task";
  EXPECT_DOUBLE_EQ(reference.table.tasks[0].local->find("recall@1")->low.value(), 0.4);
  EXPECT_FALSE(reference.table.mean.has_value()) << "a row of the mean has no floor";
}

TEST_F(EvaluateTest, ValidationOfALiveModelTellsMeansAndRows) {
  SelfCommunicator alone;
  RecordModelConfig config;
  config.path = fs::path(TRIREME_TEST_DIR) / "golden/embed/model";
  CheckpointEmbedder embedder(config);
  embedder.load(alone);
  ValidationConfig validation;
  validation.benchmark = config_;
  const Validation opened(validation);
  const auto finite = [](const std::string& where) { FAIL() << where << " is not finite"; };
  const ValidationScores scores = opened.run(embedder, alone, finite);
  const auto& values = scores.values;
  std::vector<std::string> keys;
  for (const auto& [key, value] : values) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("val/recall_at_1", "val/recall_at_5", "val/recall_at_10", "val_rows/names",
                                "val_rows/pictures"));
  EXPECT_EQ(values[2].second, 1.0) << "every pool has fewer than ten";
  EXPECT_EQ(opened.run(embedder, alone, finite).values, values);
  EXPECT_EQ(scores.best_key, "val/recall_at_5") << "the headline of both tasks";
  EXPECT_EQ(scores.best_value, values[1].second);
}

TEST_F(EvaluateTest, ValidationTakesAnyEmbedder) {
  SelfCommunicator alone;
  const MetricTable expected = evaluate_toys(alone).mean.value().local.value().metrics;
  ValidationConfig config;
  config.benchmark = config_;
  config.metrics = metrics_;
  const Validation validation(config);
  for (const int ranks : {1, 2}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      const auto values = validation.run(PlaneEmbedder(), communicator, {}).values;
      ASSERT_GE(values.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(values[i].first, "val/" + metric_key(expected[i].first));
        EXPECT_DOUBLE_EQ(values[i].second, expected[i].second.value);
      }
    });
  }
}

TEST_F(EvaluateTest, TakesQueriesAndCandidatesEvenlySpacedAndKeepsTheRelevantOnes) {
  const EvalSet set(read_benchmark(config_), queries_, {.max_queries = 2, .max_candidates = 3});
  const EvalSearch& names = set.searches()[0];
  const EvalFile &asked = *set.files()[names.queries], &pool = *set.files()[names.pool];
  EXPECT_EQ(asked.records.size(), 2);
  EXPECT_EQ(asked.ids[0], "9:1");
  EXPECT_EQ(asked.ids[1], "9:3");
  EXPECT_EQ(asked.records.read(1).id, "9:3");
  EXPECT_THAT(asked.records.where(1), HasSubstr("names.jsonl:3"));
  ASSERT_EQ(names.relevant.size(), 2u);
  EXPECT_EQ(names.relevant[1][0].did, "9:13");
  EXPECT_EQ(pool.records.size(), 3);
  for (const char* relevant : {"9:11", "9:13"}) EXPECT_TRUE(pool.ids.find(relevant)) << relevant;
  // What a query excludes is found by its new number.
  const EvalSearch& pictures = set.searches().back();
  const EvalFile& shown = *set.files()[pictures.pool];
  ASSERT_EQ(pictures.excluded.size(), 2u);
  EXPECT_EQ(shown.ids[pictures.excluded[0].at(0)], "9:21");
  EXPECT_EQ(shown.ids[pictures.excluded[1].at(0)], "9:22");
}

TEST_F(EvaluateTest, KeepsMoreCandidatesThanAskedForWhereMoreAreRelevant) {
  const EvalSet set(read_benchmark(config_), queries_, {.max_queries = std::nullopt, .max_candidates = 1});
  EXPECT_EQ(set.files()[set.searches()[0].pool]->records.size(), 4);
  const EvalSearch& pictures = set.searches().back();
  EXPECT_EQ(set.files()[pictures.pool]->records.size(), 2) << "9:21 and 9:22";
  EXPECT_TRUE(pictures.excluded[2].empty()) << "9:23, which 9:7 excludes, is no longer there";
}

TEST_F(EvaluateTest, KeepsTheTasksAskedFor) {
  config_.sets = {"T2"};
  EXPECT_EQ(open().searches().size(), 1u);
  config_.sets = {"T3"};
  EXPECT_THAT(refusal<ConfigError>(), HasSubstr("[benchmark] sets must name"));
  config_.sets.clear();
  config_.tasks = {"name_test"};
  EXPECT_THAT(refusal<ConfigError>(), HasSubstr("did you mean names_test?"));
  config_.tasks.clear();
  config_.split = "val";
  EXPECT_THAT(refusal<ConfigError>(), HasSubstr("split val"));
}

TEST_F(EvaluateTest, RefusesFilesThatDoNotFitEachOther) {
  const std::string qrels = "9:1 0 9:11 1 1\n9:2 0 9:12 1 1\n9:3 0 9:13 1 1\n";
  benchmark_.write("qrels/test/names.txt", qrels);
  EXPECT_THAT(refusal<DataError>(), HasSubstr("got none for 9:4"));
  benchmark_.write("qrels/test/names.txt", qrels + "9:4 0 9:99 1 1\n");
  EXPECT_THAT(refusal<DataError>(), HasSubstr("9:99"));
  config_.allow_missing_positives = true;
  EXPECT_EQ(open().searches()[0].missing, 1);
  benchmark_.write("qrels/test/names.txt", qrels + "9:4 0 9:14 1 1\n9:40 0 9:14 1 1\n");
  EXPECT_THAT(refusal<DataError>(), HasSubstr("9:40"));
  benchmark_.write("qrels/test/names.txt", qrels + "9:4 0 9:14 1 1\n");
  benchmark_.write("query/test/pictures.jsonl", "{\"qid\": \"9:5\", \"query_txt\": \"x\", \"task_id\": 1}\n");
  EXPECT_THAT(refusal<DataError>(), HasSubstr("3 queries"));
  fs::remove(benchmark_.root() / "tasks.yaml");
  EXPECT_THAT(refusal<DataError>(), HasSubstr("tasks.yaml"));
}

TEST_F(EvaluateTest, RefusesMetricsThatCannotBeComputed) {
  const Benchmark benchmark = read_benchmark(config_);
  const auto message = [&] { return message_of<ConfigError>([&] { resolve_metrics(metrics_, benchmark); }); };
  metrics_.names = {"recall@5", "recall@10"};
  EXPECT_THAT(message(), HasSubstr("[metrics] depth must be"));
  metrics_.names = {"recall@1"};
  EXPECT_THAT(message(), HasSubstr("recall@5"));
  metrics_.names = {"recal@5"};
  EXPECT_THAT(message(), HasSubstr("recal@5"));
}

/// A benchmark of one task out of a line of tests/golden/metrics/eval_cases.jsonl, on disk.
class PoolBenchmark {
 public:
  explicit PoolBenchmark(const nlohmann::json& json) {
    std::string pool, queries, qrels;
    for (const auto& [did, degrees] : json["pool"].items()) {
      degrees_[did] = degrees;
      pool += dump_json(nlohmann::json{{"did", did}, {"txt", "x"}, {"img_path", nullptr}, {"modality", "text"}}) + "\n";
    }
    for (const auto& [qid, query] : json["queries"].items()) {
      degrees_[qid] = query["degrees"];
      queries += nlohmann::json{{"qid", qid},
                                {"query_txt", "x"},
                                {"task_id", 1},
                                {"query_img_path", nullptr},
                                {"query_modality", "text"},
                                {"exclude_cand_list", query["excluded"]}}
                     .dump() +
                 "\n";
      for (const auto& [did, grade] : query["relevant"].items())
        qrels += fmt::format("{} 0 {} {} 1\n", qid, did, grade.get<int64_t>());
    }
    folder_.write("pool.jsonl", pool);
    folder_.write("queries.jsonl", queries);
    folder_.write("qrels.txt", qrels);
    folder_.write("tasks.yaml",
                  fmt::format("format: trireme_tasks\nformat_version: 1\ndataset: toys\ninstructions: none.tsv\n"
                              "rows:\n  - {{id: row, label: row}}\ntasks:\n  - {{id: t, label: t, row: row, set: main, "
                              "split: test, task_id: 1, floor: \"\", query: queries.jsonl, pool: pool.jsonl, qrels: "
                              "qrels.txt, global_pool: \"\", global_qrels: \"\", queries: {}, candidates: {}}}\n",
                              json["queries"].size(), json["pool"].size()));
  }
  EvalSet open() const {
    BenchmarkConfig config;
    config.root = folder_.path();
    config.allow_missing_positives = true;
    EvalQueryConfig queries;
    queries.instruction = InstructionChoice::kNone;
    return {read_benchmark(config), queries};
  }
  SetVectors vectors(const EvalSet& set) const {
    SetVectors vectors;
    for (const auto& file : set.files()) {
      auto rows = at::empty({file->records.size(), 2}, torch::kFloat32);
      for (int64_t row = 0; row < rows.size(0); ++row) {
        const double radians = degrees_.at(std::string(file->ids[row])) * M_PI / 180;
        rows[row][0] = std::cos(radians);
        rows[row][1] = std::sin(radians);
      }
      vectors.push_back(std::make_unique<TensorSource>(rows));
    }
    return vectors;
  }

 private:
  test::TempFolder folder_;
  std::map<std::string, double> degrees_;
};

// Golden: tests/golden/metrics/make.py. Pools of 1 to 14 documents, exclusions of each query's own, relevant documents
// that the pool lacks.
TEST(SmallPools, GiveEveryQueryWhatPytrecEvalGivesIt) {
  EvalMetricConfig metrics;
  metrics.names = {"recall@1", "recall@5", "recall@10", "mrr", "ndcg", "ndcg@5", "ndcg@10", "map", "map@10"};
  metrics.bootstrap_samples = 0;
  std::ifstream file(fs::path(TRIREME_TEST_DIR) / "golden/metrics/eval_cases.jsonl");
  int64_t cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const auto json = parse_json(line);
    const PoolBenchmark benchmark(json);
    const EvalSet set = benchmark.open();
    for (const int ranks : {1, 2}) {
      run_ranks(ranks, [&](Communicator& communicator) {
        std::vector<MetricValue> values;
        const ResultTable table =
            evaluate(set, metrics, benchmark.vectors(set), communicator,
                     [&](const EvalSearch&, const Neighbours&, const TaskMetrics& scored) { values = scored.values; });
        ASSERT_EQ(values.size(), metrics.names.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto expected = json["expected"][metrics.names[i]].get<std::vector<double>>();
          EXPECT_THAT(values[i].per_query, ::testing::Pointwise(::testing::DoubleNear(1e-9), expected))
              << "case " << cases << ", " << metrics.names[i];
        }
        EXPECT_EQ(table.tasks[0].local->candidates, std::ssize(json["pool"]));
      });
    }
  }
  EXPECT_EQ(cases, 18);
}

TEST(SmallPools, RefuseAQueryThatExcludesAllOfItsPool) {
  const auto json = parse_json(R"({"pool": {"9:101": 1, "9:102": 5}, "queries": {
      "9:1": {"degrees": 0.25, "excluded": ["9:101", "9:102"], "relevant": {"9:101": 1}}}})");
  const PoolBenchmark benchmark(json);
  SelfCommunicator alone;
  const EvalSet set = benchmark.open();
  EXPECT_THAT(message_of<DataError>([&] { evaluate(set, {}, benchmark.vectors(set), alone); }),
              HasSubstr("2 candidates and 2 excluded"));
}

TEST(Mbeir, HasSixteenTasksByTheirFileNames) {
  BenchmarkConfig config;
  config.root = "M-BEIR";
  config.layout = BenchmarkLayout::kMbeir;
  const Benchmark benchmark = read_benchmark(config);
  ASSERT_EQ(benchmark.tasks.size(), 16u);
  const auto find = [&](std::string_view id) {
    for (const BenchmarkTask& task : benchmark.tasks)
      if (task.task.id == id) return task;
    ADD_FAILURE() << id;
    return benchmark.tasks[0];
  };
  EXPECT_EQ(find("mscoco_task0").task.pool, "cand_pool/local/mbeir_mscoco_task0_test_cand_pool.jsonl");
  EXPECT_EQ(find("oven_task8").task.pool, "cand_pool/local/mbeir_oven_task8_cand_pool.jsonl");
  EXPECT_EQ(find("edis_task2").task.query, "query/test/mbeir_edis_task2_test.jsonl");
  EXPECT_EQ(find("edis_task2").task.qrels, "qrels/test/mbeir_edis_task2_test_qrels.txt");
  EXPECT_EQ(find("fashioniq_task7").headline, "recall@10");
  EXPECT_EQ(find("fashion200k_task3").headline, "recall@10");
  EXPECT_EQ(find("cirr_task7").headline, "recall@5");
}

TEST(Mbeir, PublishedNumbersAverageAsTheyWerePublished) {
  const auto table =
      load_config<PublishedTable>(fs::path(TRIREME_TEST_DIR).parent_path() / "experiments/lamra/mbeir_published.yaml");
  BenchmarkConfig config;
  config.root = "M-BEIR";
  config.layout = BenchmarkLayout::kMbeir;
  const Benchmark benchmark = read_benchmark(config);
  for (std::size_t i = 0; i < benchmark.tasks.size(); ++i) EXPECT_EQ(table->tasks.at(i), benchmark.tasks[i].task.id);
  for (const PublishedSystem& system : table->systems) {
    double sum = 0;
    for (const double percent : system.values) sum += percent;
    EXPECT_NEAR(sum / 16, system.average, 0.11) << system.name << ", " << system.pool;
  }
  const auto references = references_of(*table, benchmark);
  EXPECT_EQ(references.front().name, "LamRA");
  EXPECT_EQ(references.front().table.mean.value().local->find("headline")->value, 0.637);
}

}  // namespace
}  // namespace trireme
