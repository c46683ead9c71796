#include "data/loader/data_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

Resolved<DataConfig> parse(std::string_view yaml) {
  return Resolved<DataConfig>::from(ConfigSource::parse(yaml, "data.yaml"));
}

std::string refusal(std::string_view yaml) {
  return message_of<ConfigError>([&] { parse(yaml); });
}

constexpr const char* kTwoSources = R"(
root: data/pictograms
sources:
  - files: [query/union_train/mbeir_union_train.jsonl]
    pool: cand_pool/global/mbeir_union_train_cand_pool.jsonl
    instruction_choice: none
    tasks: [0, 1, 3, 4]
    group_by: task
    group_weights: {task0: 2, task1: 1.5, task3: 2, task4: 3}
    weight: 8.5
  - kind: views
    files: [pictures/pictograms_train.jsonl]
    weight: 2
sampler: {pairs_global: 64, batch_from: one_group, distinct: concept}
prompt: bare
augment: {rotate_degrees: 12, scale: 0.2, shift: 0.1, aspect: 0.12, colour: 0.4, grey: 0.15}
)";

TEST(DataConfig, ReadsTheExampleOfTheManual) {
  const auto config = parse(kTwoSources);
  ASSERT_EQ(config->sources.size(), 2u);
  EXPECT_EQ(config->sources[0].kind, SourceKind::kMbeir);
  EXPECT_EQ(config->sources[0].group_weights.at("task1"), 1.5);
  EXPECT_EQ(config->sources[1].kind, SourceKind::kViews);
  EXPECT_EQ(config->sampler.batch_from, BatchFrom::kOneGroup);
  EXPECT_EQ(config->prompt, PromptForm::kBare);
  EXPECT_EQ(config->text_tokens, 480);
  EXPECT_EQ(parse(config.dump()).dump(), config.dump());
}

TEST(DataConfig, RefusesWhatContradictsItself) {
  EXPECT_THAT(refusal("root: d\nsources: [{files: [q.jsonl]}]"), AllOf(HasSubstr("pool"), HasSubstr("instructions")));
  EXPECT_THAT(refusal("root: d\nsources: [{kind: views, files: [p.jsonl]}]"),
              AllOf(HasSubstr("augment"), HasSubstr("same picture")));
  EXPECT_THAT(refusal("root: d\nsources: [{kind: pairs, files: [a.jsonl], weight: 1}, {kind: nli, files: [b.csv]}]"),
              HasSubstr("got 1 weights for 2 sources"));
  EXPECT_THAT(refusal("root: d\nsources: [{kind: pairs, files: [a.jsonl], group_by: task}]"),
              HasSubstr("unless kind is mbeir"));
  EXPECT_THAT(refusal("root: d\nsources: [{kind: pairs, files: [a.jsonl], group_weights: {task0: 1}}]"),
              HasSubstr("set group_by"));
  EXPECT_THAT(refusal("root: d\nsources: [{kind: pairs, files: [a.jsonl]}]\nmin_pixels: 9\nmax_pixels: 8"),
              HasSubstr("min_pixels must be at most max_pixels"));
  EXPECT_THAT(refusal("sources: []"), AllOf(HasSubstr("root"), HasSubstr("sources")));
}

}  // namespace
}  // namespace trireme
