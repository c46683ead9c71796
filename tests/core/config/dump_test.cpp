#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "core/config/help.h"
#include "tests/core/config/sample_config.h"

namespace trireme::test {
namespace {

struct SeedAndOut {
  int64_t seed = 7;
  std::filesystem::path out = "x";
  void describe(FieldList& v) {
    v.field("seed", seed, "Seed.");
    v.field("out", out, "Where to.").no_effect_on_values();
  }
};
static_assert(field_count<SeedAndOut>() == 2, "describe() must list every field");

SampleConfig filled() {
  SampleConfig config;
  config.name = "a: \"b\"\n";
  config.tags = {"plain", "true", "1e5", "", "with space", "./x", "-"};
  config.temperatures = {{"nights", 0.05}, {"mscoco t2i", 1e-5}};
  config.tasks["nights"] = {"data/nights.jsonl", 2.0};
  config.extra_tasks = {{"a.jsonl", {}}, {"b.jsonl", 1e22}};
  config.validation = TaskConfig{"v.jsonl", 0.1};
  config.floor = -std::numeric_limits<double>::infinity();
  config.optim.clip_norm = std::nullopt;
  return config;
}

TEST(Dump, IsCompleteInTheOrderOfDescribe) {
  EXPECT_EQ(dump(filled()), R"(name: "a: \"b\"\n"
exact: false
seed: 2023
rope_mode: mrope
out: runs/sample
tags: [plain, "true", "1e5", "", "with space", ./x, "-"]
modes: [oned, mrope]
temperatures:
  "mscoco t2i": 1.0e-05
  nights: 0.05
tasks:
  nights:
    records: data/nights.jsonl
    weight: 2.0
extra_tasks:
  -
    records: a.jsonl
    weight: null
  -
    records: b.jsonl
    weight: 1.0e+22
validation:
  records: v.jsonl
  weight: 0.1
precision: float32
floor: -.inf
optim:
  peak_lr: 0.0001
  warmup_steps: 0
  total_steps: 1000
  betas: [0.9, 0.999]
  clip_norm: null
  decay_steps: null
)");
}

TEST(Dump, ReadsBackToTheSameBytes) {
  SampleConfig config = filled();
  config.optim.decay_steps = 7;
  const std::string text = dump(config);
  EXPECT_EQ(Resolved<SampleConfig>::from(ConfigSource::parse(text, "x.yaml")).dump(), text);
}

TEST(Dump, OfAResolvedConfigHasWhatTheSectionFilledIn) {
  const auto config = Resolved<SampleConfig>::from(filled());
  EXPECT_EQ(config->optim.decay_steps, 1000);
  EXPECT_THAT(config.dump(), testing::EndsWith("decay_steps: 1000\n"));
}

TEST(Dump, WritesDoublesShortestAndAlwaysAsDoubles) {
  EXPECT_EQ(double_text(1), "1.0");
  EXPECT_EQ(double_text(0.1), "0.1");
  EXPECT_EQ(double_text(-0.0), "-0.0");
  EXPECT_EQ(double_text(1e-5), "1.0e-05");
  EXPECT_EQ(double_text(1.25e300), "1.25e+300");
  EXPECT_EQ(double_text(5e-324), "5.0e-324");
  EXPECT_EQ(double_text(123456789012345680.0), "1.2345678901234568e+17");
  EXPECT_EQ(double_text(std::numeric_limits<double>::quiet_NaN()), ".nan");
}

TEST(ConfigHash, IsTheSha256OfTheDumpWithoutFieldsThatChangeNoValues) {
  // printf 'seed: 7\n' | sha256sum
  EXPECT_EQ(config_sha256(SeedAndOut{}), "d9681d39bb2fa92577a01cb9bb51fceaef4376a9d9b2893ac2da0468b9c30a3e");
  EXPECT_EQ(config_sha256(SeedAndOut{7, "elsewhere"}), config_sha256(SeedAndOut{}));
  EXPECT_NE(config_sha256(SeedAndOut{8, "x"}), config_sha256(SeedAndOut{}));
}

TEST(ConfigHash, IsTheSameForADefaultAndTheSameValueWritten) {
  const auto brief = Resolved<SampleConfig>::from(ConfigSource::parse("name: a\n", "x.yaml"));
  const auto wordy = Resolved<SampleConfig>::from(
      ConfigSource::parse("optim: {total_steps: +1000, peak_lr: 1e-4}\nname: 'a'\nseed: 2023\n", "y.yaml"));
  EXPECT_EQ(brief.sha256(), wordy.sha256());
}

TEST(ConfigHelp, TellsEveryKeyItsTypeLimitsAndDefaultAt100Columns) {
  EXPECT_EQ(config_help<SampleConfig>(), R"(name                      What the run is called. [text; required]
exact                     Equal bits for every number of ranks. [boolean; default false]
seed                      Of every random stream. [integer; default 2023]
rope_mode                 Position ids of the decoder. [mrope | oned; default mrope]
out                       Run directory. [path, not empty; default runs/sample]
tags                      Free words for reports. [list of texts; default []]
modes                     Modes to evaluate. [list of (mrope | oned); default [oned, mrope]]
temperatures              InfoNCE temperature of each task, dimensionless. [map of names to numbers,
                          positive; default {}]
tasks                     What is trained on. [map of names to sections; default {}]
tasks.NAME:               each of them:
  records                 Jsonl file of the task. [path; required]
  weight                  Share of the batch. [number, positive; default none]
extra_tasks               What is also evaluated. [list of sections; default []]
extra_tasks[]:            each of them:
  records                 Jsonl file of the task. [path; required]
  weight                  Share of the batch. [number, positive; default none]
validation:               What is validated on.
  records                 Jsonl file of the task. [path; required]
  weight                  Share of the batch. [number, positive; default none]
precision                 Compute dtype. [text, one of float32, bfloat16; default float32]
floor                     Scores below it are dropped. [number; default -1.0]
optim:                    AdamW, arXiv:1711.05101.
  peak_lr                 Learning rate after warm-up. [number, positive; default 0.0001]
  warmup_steps            Linear ramp; step 0 uses peak_lr / warmup_steps; 0 = no ramp. [integer, at
                          least 0; default 0]
  total_steps             Length of the run. [integer, positive, at most 1000000; default 1000]
  betas                   Decay rates of AdamW's two averages. [list of numbers, between 0 and 1,
                          not empty; default [0.9, 0.999]]
  clip_norm               Global gradient norm to clip at; null = no clipping. [number, positive;
                          default 1.0]
  decay_steps             Where the schedule reaches 0; total_steps when not set. [integer,
                          positive; default none]
)");
}

}  // namespace
}  // namespace trireme::test
