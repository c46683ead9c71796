#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

Resolved<SampleConfig> read(std::string_view yaml, const std::vector<std::string>& overrides = {}) {
  return Resolved<SampleConfig>::from(ConfigSource::parse(yaml, "experiments/x.yaml", overrides));
}

std::string refusal(std::string_view yaml, const std::vector<std::string>& overrides = {}) {
  return message_of<ConfigError>([&] { read(yaml, overrides); });
}

/// The one problem of a file whose second line is `line`.
std::string refusal_of_line(const std::string& line) { return refusal("name: a\n" + line + "\n"); }

/// The one problem of an override.
std::string refusal_of_override(const std::string& text) { return refusal("name: a\n", {text}); }

// ---- keys ----

TEST(ConfigRefusal, OfAnUnknownKeySuggestsTheNearestByItsFullPath) {
  EXPECT_EQ(refusal("name: a\noptim:\n  warmup_steps: 1\n  peek_lr: 1e-3\n"),
            "[config] experiments/x.yaml:4: unknown key optim.peek_lr; did you mean optim.peak_lr?");
}

TEST(ConfigRefusal, OfAnUnknownKeyKnowsItInAnotherSection) {
  EXPECT_EQ(refusal_of_line("peak_lr: 1e-3"),
            "[config] experiments/x.yaml:2: unknown key peak_lr; did you mean optim.peak_lr?");
}

TEST(ConfigRefusal, OfAKeyLikeNoOtherListsThemAll) {
  EXPECT_EQ(refusal_of_line("optim: {momentum: 0.9}"),
            "[config] experiments/x.yaml:2: unknown key optim.momentum; optim has peak_lr, warmup_steps, total_steps, "
            "betas, clip_norm, decay_steps; remove it or choose one of these.");
}

TEST(ConfigRefusal, OfATypingErrorInARequiredKeyIsNotTwoProblems) {
  EXPECT_EQ(refusal("nmae: a\n"), "[config] experiments/x.yaml:1: unknown key nmae; did you mean name?");
}

TEST(ConfigRefusal, OfAnUnknownKeyInAnElement) {
  EXPECT_EQ(refusal_of_line("extra_tasks: [{records: a}, {records: b, wieght: 2}]"),
            "[config] experiments/x.yaml:2: unknown key extra_tasks[1].wieght; did you mean extra_tasks[1].weight?");
}

TEST(ConfigRefusal, OfAMissingRequiredKeyTellsWhatItIs) {
  EXPECT_EQ(refusal("seed: 1\n"),
            "[config] experiments/x.yaml: name is required; got nothing; set it: What the run is called.");
  EXPECT_EQ(
      refusal_of_line("tasks: {nights: {weight: 2}}"),
      "[config] experiments/x.yaml:2: tasks.nights.records is required; got nothing; set it: Jsonl file of the task.");
}

struct ModelConfig {
  std::filesystem::path path;
  void describe(FieldList& v) { v.field("path", path, "Hugging Face folder.").required(); }
};
static_assert(field_count<ModelConfig>() == 1, "describe() must list every field");
struct WithModel {
  int64_t seed = 1;
  ModelConfig model;
  void describe(FieldList& v) {
    v.field("seed", seed, "Seed.");
    v.field("model", model, "The model.");
  }
};
static_assert(field_count<WithModel>() == 2, "describe() must list every field");

TEST(ConfigRefusal, OfARequiredKeyWhoseWholeSectionIsMissing) {
  EXPECT_EQ(message_of<ConfigError>([] { Resolved<WithModel>::from(ConfigSource::parse("seed: 2", "x.yaml")); }),
            "[config] x.yaml: model.path is required; got nothing; set it: Hugging Face folder.");
}

TEST(ConfigRefusal, OfAnEmptyRequiredValue) {
  EXPECT_EQ(refusal("name: ''\n"), "[config] experiments/x.yaml:1: name must be given; got nothing; set it.");
}

TEST(ConfigRefusal, OfADuplicateKeyNamesBothLines) {
  EXPECT_EQ(refusal("name: a\noptim:\n  peak_lr: 1\n  peak_lr: 2\n"),
            "[config] experiments/x.yaml:4: a key must stand once in its section; got optim.peak_lr again, first on "
            "line 3; remove one.");
}

TEST(ConfigRefusal, OfAKeyThatIsNoText) {
  EXPECT_EQ(refusal_of_line("? [a]\n: b"),
            "[config] experiments/x.yaml:2: a key must be text of 1 to 200 bytes; got a list of 1; correct it.");
}

// ---- values ----

TEST(ConfigRefusal, OfIntegersIsStrict) {
  const auto problem = [](std::string_view got, std::string_view remedy = "write digits only, as in 1000") {
    return fmt::format("[config] experiments/x.yaml:2: seed must be an integer; got {}; {}.", got, remedy);
  };
  EXPECT_EQ(refusal_of_line("seed: 3.5"), problem("3.5"));
  EXPECT_EQ(refusal_of_line("seed: 1e3"), problem("1e3"));
  EXPECT_EQ(refusal_of_line("seed: ten"), problem("ten"));
  EXPECT_EQ(refusal_of_line("seed: 1_000"), problem("1_000"));
  EXPECT_EQ(refusal_of_line("seed: 0x10"), problem("0x10"));
  EXPECT_EQ(refusal_of_line("seed: +-1"), problem("+-1"));
  EXPECT_EQ(refusal_of_line("seed:"), problem("nothing"));
  EXPECT_EQ(refusal_of_line("seed: [1]"), problem("a list of 1"));
  EXPECT_EQ(refusal_of_line("seed: {a: 1}"), problem("a map"));
  EXPECT_EQ(refusal_of_line("seed: '1'"), problem("\"1\"", "remove the quotes"));
  EXPECT_EQ(refusal_of_line("seed: 9223372036854775808"),
            "[config] experiments/x.yaml:2: seed must be an integer of 64 bits; got 9223372036854775808; choose one "
            "between -2^63 and 2^63 - 1.");
  EXPECT_EQ(refusal_of_line("seed: 010"),
            "[config] experiments/x.yaml:2: seed must be an integer without leading zeros, which some readers take for "
            "octal; got 010; write 10.");
}

TEST(ConfigRefusal, OfNumbersIsStrict) {
  const auto problem = [](std::string_view got, std::string_view remedy = "write it as in 0.05 or 1e-4") {
    return fmt::format("[config] experiments/x.yaml:2: optim.peak_lr must be a number; got {}; {}.", got, remedy);
  };
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: 1e-4x}"), problem("1e-4x"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: ten}"), problem("ten"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: inf}"), problem("inf"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: NaN}"), problem("NaN"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: 0x1p3}"), problem("0x1p3"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: '1'}"), problem("\"1\"", "remove the quotes"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: ~}"), problem("nothing"));
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: 1e999}"),
            "[config] experiments/x.yaml:2: optim.peak_lr must be a number that a double can hold; got 1e999; choose "
            "one between 1e-307 and 1e308.");
}

TEST(ConfigRefusal, OfInfinitiesAndNanUnlessTheFieldAllowsThem) {
  for (const std::string value : {".inf", "-.inf", ".nan"}) {
    EXPECT_THAT(refusal_of_line("optim: {peak_lr: " + value + "}"),
                testing::StartsWith("[config] experiments/x.yaml:2: optim.peak_lr must be finite; got "));
    EXPECT_NO_THROW(read("name: a\nfloor: " + value));
  }
}

TEST(ConfigRefusal, OfBooleansTakesTrueAndFalseAlone) {
  for (const std::string value : {"True", "FALSE", "yes", "no", "on", "off", "1", "0", "y", "nothing"})
    EXPECT_EQ(refusal_of_line("exact: " + value), "[config] experiments/x.yaml:2: exact must be true or false; got " +
                                                      value + "; write true or false, in small letters.");
  EXPECT_EQ(refusal_of_line("exact: \"true\""),
            "[config] experiments/x.yaml:2: exact must be true or false; got \"true\"; remove the quotes.");
}

TEST(ConfigRefusal, OfAChoiceListsAllAndSuggestsTheNearest) {
  EXPECT_EQ(refusal_of_line("rope_mode: mropee"),
            "[config] experiments/x.yaml:2: rope_mode must be one of mrope, oned; got mropee; did you mean mrope?");
  EXPECT_EQ(refusal_of_line("rope_mode: absolute"),
            "[config] experiments/x.yaml:2: rope_mode must be one of mrope, oned; got absolute; choose one of them.");
  EXPECT_EQ(refusal_of_line("modes: [mrope, 3]"),
            "[config] experiments/x.yaml:2: modes[1] must be one of mrope, oned; got 3; choose one of them.");
}

TEST(ConfigRefusal, OfTheWrongShape) {
  EXPECT_EQ(refusal("name: [a]\n"),
            "[config] experiments/x.yaml:1: name must be text; got a list of 1; write one value.");
  EXPECT_EQ(refusal("name: null\n"),
            "[config] experiments/x.yaml:1: name must be text; got nothing; write some, or \"\" for empty text.");
  EXPECT_EQ(refusal_of_line("out: {a: b}"),
            "[config] experiments/x.yaml:2: out must be a path; got a map; write one path.");
  EXPECT_EQ(refusal_of_line("tags: a"), "[config] experiments/x.yaml:2: tags must be a list; got a; write [a].");
  EXPECT_EQ(refusal_of_line("optim: 3"),
            "[config] experiments/x.yaml:2: optim must be a map of keys to values; got 3; write {key: value}, or keys "
            "on lines of their own.");
}

TEST(ConfigRefusal, OfValuesOutOfRange) {
  EXPECT_EQ(refusal_of_line("optim: {peak_lr: -0.5}"),
            "[config] experiments/x.yaml:2: optim.peak_lr must be positive; got -0.5; set it above 0.");
  EXPECT_EQ(refusal_of_line("optim: {warmup_steps: -1}"),
            "[config] experiments/x.yaml:2: optim.warmup_steps must be at least 0; got -1; set it to 0 or more.");
  EXPECT_EQ(refusal_of_line("optim: {total_steps: 1000001}"),
            "[config] experiments/x.yaml:2: optim.total_steps must be at most 1000000; got 1000001; set it to 1000000 "
            "or less.");
  EXPECT_EQ(refusal_of_line("optim:\n  betas:\n    - 0.9\n    - 1.5"),
            "[config] experiments/x.yaml:5: optim.betas[1] must be between 0 and 1; got 1.5; choose a value in this "
            "range, ends included.");
  EXPECT_EQ(refusal_of_line("optim: {betas: []}"),
            "[config] experiments/x.yaml:2: optim.betas must be not empty; got nothing in it; give at least one.");
  EXPECT_EQ(refusal_of_line("optim: {clip_norm: 0}"),
            "[config] experiments/x.yaml:2: optim.clip_norm must be positive; got 0; set it above 0.");
  EXPECT_EQ(refusal_of_line("temperatures: {nights: 0}"),
            "[config] experiments/x.yaml:2: temperatures.nights must be positive; got 0; set it above 0.");
  EXPECT_EQ(refusal_of_line("precision: float64"),
            "[config] experiments/x.yaml:2: precision must be one of float32, bfloat16; got \"float64\"; choose one of "
            "them.");
}

TEST(ConfigRefusal, OfRulesBetweenFields) {
  EXPECT_EQ(refusal("name: a\noptim:\n  total_steps: 10\n  warmup_steps: 20\n"),
            "[config] experiments/x.yaml:4: optim.warmup_steps must be at most total_steps; got 20 and 10; lower it.");
}

TEST(ConfigRefusal, OfRulesBetweenFieldsWaitsForTheFieldsThemselves) {
  EXPECT_EQ(refusal("name: a\noptim:\n  total_steps: 0\n  warmup_steps: 20\n"),
            "[config] experiments/x.yaml:3: optim.total_steps must be positive; got 0; set it above 0.");
}

// ---- all together ----

TEST(ConfigRefusal, TellsAllProblemsInOneLineByLine) {
  const std::string message = refusal(R"(seed: 3.5
optim:
  total_steps: 10
  warmup_steps: x
  peak_lr: -1
  peak_lr: 1
exact: maybe
extra_tasks: [{records: a, weight: x}, {records: b, weight: -1}]
color: red
)",
                                      {"seed2=1", "floor=x"});
  EXPECT_EQ(
      message,
      "[config] 10 problems: "
      "(1) experiments/x.yaml:1: seed must be an integer; got 3.5; write digits only, as in 1000. "
      "(2) experiments/x.yaml:4: optim.warmup_steps must be an integer; got x; write digits only, as in 1000. "
      "(3) experiments/x.yaml:6: a key must stand once in its section; got optim.peak_lr again, first on line 5; "
      "remove one. "
      "(4) experiments/x.yaml:7: exact must be true or false; got maybe; write true or false, in small letters. "
      "(5) experiments/x.yaml:8: extra_tasks[0].weight must be a number; got x; write it as in 0.05 or 1e-4. "
      "(6) experiments/x.yaml:8: extra_tasks[1].weight must be positive; got -1; set it above 0. "
      "(7) experiments/x.yaml:9: unknown key color; the config has name, exact, seed, rope_mode, out, tags, modes, "
      "temperatures, tasks, extra_tasks, validation, precision and 2 more; remove it or choose one of these. "
      "(8) experiments/x.yaml: name is required; got nothing; set it: What the run is called. "
      "(9) command line: unknown key seed2; did you mean seed? "
      "(10) command line: floor must be a number; got x; write it as in 0.05 or 1e-4.");
}

TEST(ConfigRefusal, OfThousandsOfProblemsStaysShort) {
  std::string yaml = "name: a\n";
  for (int i = 0; i < 5000; ++i) yaml += fmt::format("unknown_{}: 1\n", i);
  const std::string message = refusal(yaml);
  EXPECT_LT(message.size(), 2000u);
  EXPECT_THAT(message,
              testing::StartsWith("[config] 5000 problems: (1) experiments/x.yaml:2: unknown key unknown_0; "));
  EXPECT_THAT(message, testing::ContainsRegex(R"( And 49[0-9]+ more; correct these first\.$)"));
}

TEST(ConfigRefusal, IsFitForATerminalWhateverTheFileHolds) {
  EXPECT_EQ(refusal_of_line("exact: \"\\x1b[31m\\nred\\u0085\""),
            "[config] experiments/x.yaml:2: exact must be true or false; got \"\\x1b[31m\\nred\\x85\"; remove the "
            "quotes.");
  EXPECT_EQ(refusal_of_line("exact: " + std::string(70, 'x')),
            "[config] experiments/x.yaml:2: exact must be true or false; got " + std::string(60, 'x') +
                "...; write true or false, in small letters.");
}

// ---- the command line's overrides ----

TEST(ConfigRefusal, OfOverridesNamesTheCommandLine) {
  EXPECT_EQ(refusal_of_override("optim.peek_lr=1"),
            "[config] command line: unknown key optim.peek_lr; did you mean optim.peak_lr?");
  EXPECT_EQ(refusal_of_override("optim.peak_lr=1e-4x"),
            "[config] command line: optim.peak_lr must be a number; got 1e-4x; write it as in 0.05 or 1e-4.");
  EXPECT_EQ(refusal_of_override("optim.peak_lr=-1"),
            "[config] command line: optim.peak_lr must be positive; got -1; set it above 0.");
  EXPECT_EQ(refusal_of_override("optim.warmup_steps=2000"),
            "[config] command line: optim.warmup_steps must be at most total_steps; got 2000 and 1000; lower it.");
  EXPECT_EQ(refusal_of_override("name="),
            "[config] command line: name must be text; got nothing; write some, or \"\" for empty text.");
}

TEST(ConfigRefusal, OfOverridesThatAreNone) {
  for (const std::string text : {"optim.peak_lr", "=3", ".a=3", "a..b=3", "a.=3", "--seed", ""})
    EXPECT_EQ(refusal_of_override(text),
              "[config] command line: an override must be section.key=value; got \"" + text + "\"; correct it.");
  EXPECT_EQ(refusal_of_override("name=\xff"),
            "[config] command line: an override must be UTF-8; got \"name=\\xff\"; rename what it names.");
}

TEST(ConfigRefusal, OfAnOverrideGivenTwice) {
  EXPECT_EQ(refusal("name: a\n", {"seed=1", "seed=2"}),
            "[config] command line: an override must be given once; got seed again; remove one.");
}

TEST(ConfigRefusal, OfAnOverrideInsideOfAValue) {
  EXPECT_EQ(refusal("name: a\ntags: [a]\n", {"tags.0=b"}),
            "[config] command line: an override must name a key of a section; got tags.0, inside of a list of 1; set "
            "the whole value.");
}

TEST(ConfigRefusal, OfBrokenYamlInAnOverride) {
  EXPECT_EQ(
      refusal_of_override("tags=[a, b"),
      "[config] command line: tags must be well-formed YAML when it starts with [; got [a, b; close every bracket "
      "and quote.");
}

// ---- configs made in code ----

TEST(ConfigRefusal, OfAConfigMadeInCode) {
  SampleConfig config;
  config.optim.peak_lr = -1;
  config.out = std::string("a\0b", 3);
  EXPECT_EQ(message_of<ConfigError>([&] { Resolved<SampleConfig>::from(config); }),
            "[config] 3 problems: (1) optim.peak_lr must be positive; got -1; set it above 0. (2) out must be a path, "
            "without zero bytes; got \"a\\x00b\"; remove them. (3) name must be given; got nothing; set it.");
  config = {};
  config.name = "\xff";
  EXPECT_EQ(message_of<ConfigError>([&] { Resolved<SampleConfig>::from(config); }),
            "[config] name must be UTF-8; got \"\\xff\"; rename it.");
}

}  // namespace
}  // namespace trireme::test
