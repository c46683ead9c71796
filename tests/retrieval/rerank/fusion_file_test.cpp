#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <c10/util/irange.h>

#include "core/io/file.h"
#include "retrieval/rerank/fusion_config.h"
#include "retrieval/rerank/reranked_run.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FusionFiles : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return folder_.path() / name; }
  test::TempFolder folder_;
};

TEST_F(FusionFiles, ComeBackAsTheyWereWritten) {
  FusionFile written;
  written.modes["pointwise"] = {FusionForm::kAlpha, 0.7, {{"task4", 0.65}}};
  written.modes["listwise"] = {FusionForm::kWeight, 1, {}};
  written.metric = "recall@1";
  written.fitted_on = "toys, val";
  written.fitted = {{"pointwise", "task4", 0.65, 0.5, 0.4, 12}};
  write_fusion_file(at("fusion.yaml"), written);
  const FusionConfig pointwise = read_fusion(at("fusion.yaml"), RerankModes::kPointwise);
  EXPECT_EQ(pointwise, written.modes["pointwise"]);
  EXPECT_EQ(pointwise.of_row("task4"), (Fusion{FusionForm::kAlpha, 0.65}));
  EXPECT_EQ(pointwise.of_row("task0"), (Fusion{FusionForm::kAlpha, 0.7}));
  EXPECT_EQ(read_fusion_file(at("fusion.yaml")).fitted, written.fitted);
  EXPECT_THAT(message_of<ConfigError>([&] { read_fusion(at("fusion.yaml"), RerankModes::kBoth); }), HasSubstr("both"));
}

TEST_F(FusionFiles, AreRefusedWithWhatIsWrong) {
  folder_.write("a.yaml", "modes: {pointwise: {value: 1.5}}\n");
  EXPECT_THAT(message_of<ConfigError>([&] { read_fusion_file(at("a.yaml")); }), HasSubstr("1.5"));
  folder_.write("b.yaml", "modes: {pointwize: {value: 0.5}}\n");
  EXPECT_THAT(message_of<ConfigError>([&] { read_fusion_file(at("b.yaml")); }), HasSubstr("pointwize"));
  folder_.write("c.yaml", "modes: {listwise: {form: weight, by_row: {a: -1}}}\n");
  EXPECT_THAT(message_of<ConfigError>([&] { read_fusion_file(at("c.yaml")); }), HasSubstr("-1"));
  EXPECT_THAT(message_of<DataError>([&] { read_fusion_file(at("none.yaml")); }), HasSubstr("none.yaml"));
}

Fingerprint of_weights(std::string sha256) {
  Fingerprint fingerprint;
  fingerprint.set(FingerprintPart::kWeights, std::move(sha256));
  return fingerprint;
}

TEST_F(FusionFiles, TellWhenTheyWereFittedForOthers) {
  FusionFile file;
  file.modes["pointwise"] = {};
  const auto warning = [&](const std::string& reranker, const std::string& retriever) {
    write_fusion_file(at("fusion.yaml"), file);
    return fitted_for_others(read_fusion_file(at("fusion.yaml")), at("fusion.yaml"), of_weights(reranker),
                             of_weights(retriever));
  };
  EXPECT_EQ(warning("a", "b"), "") << "written by hand";
  file.model_sha256 = "a";  // version 1
  EXPECT_EQ(warning("a", "b"), "");
  EXPECT_THAT(warning("c", "b"), ::testing::AllOf(HasSubstr("another reranker"), HasSubstr("weights a then")));
  file.model_sha256.clear();
  file.fingerprint = of_weights("a").by_name();
  file.retriever_fingerprint = of_weights("b").by_name();
  EXPECT_EQ(warning("a", "b"), "");
  EXPECT_THAT(warning("a", "c"), ::testing::AllOf(HasSubstr("another retriever"), HasSubstr("weights c now")));
  file = for_another_form(std::move(file));
  EXPECT_EQ(warning("merged", "b"), "");
}

/// Three lists of five documents, of which three were scored.
ScoredRun scored_sample() {
  ScoredRun scored;
  scored.run.query_ids = {"q0", "q1", "q2"};
  for (const auto i : c10::irange(15)) scored.run.doc_ids.push_back("d" + std::to_string(i % 5));
  scored.run.scores = at::tensor({5.f, 4.f, 4.f, 2.f, 1.f}).repeat({3, 1});
  scored.run.info = {"exact", "models/ret", "aa", "bb", "cc", 12, of_weights("aa"), of_weights("aa")};
  scored.scores.pointwise = at::tensor({0.f, 1.f, 9.f, 9.f, 1.f, 0.f, 0.5f, 0.5f, 0.5f}).view({3, 3});
  scored.scores.listwise = at::tensor({1.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 0.f, 1.f}).view({3, 3});
  scored.reranker = {"models/rank", "dd", "", of_weights("dd")};
  scored.config_sha256 = "ee";
  return scored;
}

void expect_equal(const ScoredRun& a, const ScoredRun& b) {
  EXPECT_EQ(a.run.query_ids, b.run.query_ids);
  EXPECT_EQ(a.run.doc_ids, b.run.doc_ids);
  EXPECT_TRUE(at::equal(a.run.scores, b.run.scores));
  EXPECT_EQ(a.run.info, b.run.info);
  EXPECT_TRUE(at::equal(a.scores.pointwise, b.scores.pointwise));
  EXPECT_EQ(a.scores.listwise.defined(), b.scores.listwise.defined());
  EXPECT_EQ(a.reranker, b.reranker);
  EXPECT_EQ(a.config_sha256, b.config_sha256);
}

TEST_F(FusionFiles, ARerankedRunIsARunAndGivesBackWhatItWasMadeOf) {
  const ScoredRun scored = scored_sample();
  write_reranked_run(at("run.h5"), scored, RerankModes::kPointwise, {FusionForm::kWeight, 1});
  const trireme::Run run = read_run(at("run.h5"));
  EXPECT_THAT(run.docs_of(0), ElementsAre("d2", "d0", "d1", "d3", "d4")) << "13, then 5 and 5";
  EXPECT_EQ(run.info.method, "rerank pointwise, w=1");
  EXPECT_EQ(run.info.model, "models/rank");
  EXPECT_EQ(run.info.candidates, 12);
  expect_equal(read_scored_run(at("run.h5")), scored);
}

TEST_F(FusionFiles, AShorterListKeepsItsLength) {
  ScoredRun scored = scored_sample();
  for (int64_t i = 2; i < 5; ++i) {
    scored.run.doc_ids[static_cast<std::size_t>(5 + i)] = "";
    scored.run.scores[1][i] = -std::numeric_limits<float>::infinity();
  }
  scored.scores.pointwise[1][2] = scored.scores.listwise[1][2] = 0;
  scored.scores.pointwise[1][0] = 0.5;
  write_reranked_run(at("run.h5"), scored, RerankModes::kPointwise, {FusionForm::kAlpha, 0});
  const trireme::Run run = read_run(at("run.h5"));
  EXPECT_THAT(run.docs_of(0), ElementsAre("d2", "d1", "d0", "d3", "d4"));
  EXPECT_THAT(run.docs_of(1), ElementsAre("d1", "d0"));
  expect_equal(read_scored_run(at("run.h5")), scored);
}

TEST_F(FusionFiles, FusingAgainIsFusingAtOnce) {
  const ScoredRun scored = scored_sample();
  write_reranked_run(at("a.h5"), scored, RerankModes::kPointwise, {FusionForm::kAlpha, 0});
  write_reranked_run(at("b.h5"), read_scored_run(at("a.h5")), RerankModes::kBoth, {FusionForm::kAlpha, 0.25});
  write_reranked_run(at("c.h5"), scored, RerankModes::kBoth, {FusionForm::kAlpha, 0.25});
  EXPECT_TRUE(read_text_file(at("b.h5")) == read_text_file(at("c.h5")));
  EXPECT_FALSE(read_run(at("a.h5")).doc_ids == read_run(at("c.h5")).doc_ids);
}

TEST_F(FusionFiles, OnlyARerankedRunHasScoresToFuse) {
  write_run(at("run.h5"), scored_sample().run);
  EXPECT_THAT(message_of<DataError>([&] { read_scored_run(at("run.h5")); }),
              ::testing::AllOf(HasSubstr("run.h5"), HasSubstr("exact"), HasSubstr("--model")));
}

}  // namespace
}  // namespace trireme
