#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"

namespace trireme::test {
namespace {

Resolved<SampleConfig> read(std::string_view yaml, const std::vector<std::string>& overrides) {
  return Resolved<SampleConfig>::from(ConfigSource::parse(yaml, "x.yaml", overrides));
}

TEST(ConfigOverride, GoesOverTheFileAndTheDefaults) {
  const auto config = read("name: a\nseed: 1\noptim: {peak_lr: 1}\n", {"seed=2", "optim.peak_lr=3e-4", "exact=true"});
  EXPECT_EQ(config->seed, 2);
  EXPECT_EQ(config->optim.peak_lr, 3e-4);
  EXPECT_TRUE(config->exact);
}

TEST(ConfigOverride, ReplacesAListAndMergesAMap) {
  const auto config = read("name: a\ntags: [x, y]\noptim: {peak_lr: 1, total_steps: 5}\n",
                           {"tags=[z, \"1, 2\"]", "optim={peak_lr: 2, warmup_steps: 3}", "temperatures={a: 1}"});
  EXPECT_EQ(config->tags, (std::vector<std::string>{"z", "1, 2"}));
  EXPECT_EQ(config->optim.peak_lr, 2);
  EXPECT_EQ(config->optim.total_steps, 5);
  EXPECT_EQ(config->optim.warmup_steps, 3);
  EXPECT_EQ(config->temperatures.at("a"), 1);
}

TEST(ConfigOverride, ReachesIntoMapsAndSectionsThatTheFileDoesNotHave) {
  const auto config = read("name: a\ntasks: {n: {records: r}}\n",
                           {"tasks.n.weight=2", "tasks.m.records=q", "validation.records=v", "optim.clip_norm=null"});
  EXPECT_EQ(config->tasks.at("n").weight, 2);
  EXPECT_EQ(config->tasks.at("m").records, "q");
  EXPECT_EQ(config->validation->records, "v");
  EXPECT_EQ(config->optim.clip_norm, std::nullopt);
}

TEST(ConfigOverride, TakesPlainTextToTheLetter) {
  for (const std::string text : {"a: b", "a #b", "*x", "&x", "!x", "%x", "@x", "- x", "a=b", " x ", "#", "?", "|"})
    EXPECT_EQ(read("seed: 1", {fmt::format("name={}", text)})->name, text);
  EXPECT_EQ(read("seed: 1", {"name='it''s'"})->name, "it's");
  EXPECT_EQ(read("seed: 1", {"name=\"null\""})->name, "null");
}

TEST(ConfigSource, TellsAScalarBeforeAnythingIsTyped) {
  const auto source =
      ConfigSource::parse("recipe: lamra_ret\ntags: [a]\n", "x.yaml", std::vector<std::string>{"seed=x"});
  EXPECT_EQ(source.scalar("recipe"), "lamra_ret");
  EXPECT_EQ(source.scalar("seed"), "x");
  EXPECT_EQ(source.scalar("tags"), std::nullopt);
  EXPECT_EQ(source.scalar("absent"), std::nullopt);
}

}  // namespace
}  // namespace trireme::test
