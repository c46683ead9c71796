#include "launch/options.h"

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

enum class RopeMode { kMrope, kOned };
constexpr auto choice_names(RopeMode) {
  return std::to_array<std::pair<RopeMode, std::string_view>>({{RopeMode::kMrope, "mrope"}, {RopeMode::kOned, "oned"}});
}

struct ImageOptions {
  int64_t max_pixels = 1'003'520;
  void describe(FieldList& v) {
    v.field("max_pixels", max_pixels,
            "Larger images are scaled down to this many pixels before they are cut into patches.")
        .positive();
  }
};
static_assert(field_count<ImageOptions>() == 1, "describe() must list every field");

struct EmbedOptions {
  std::filesystem::path model, out;
  RopeMode rope_mode = RopeMode::kMrope;
  bool normalize = true;
  int64_t k = 10;
  double temperature = 0.05;
  std::optional<std::filesystem::path> adapter;
  std::vector<std::string> tasks;
  std::map<std::string, double> weights;
  ImageOptions image;

  void describe(FieldList& v) {
    v.field("model", model, "Hugging Face folder of the model.").required().placeholder("DIR");
    v.field("out", out, "Embeddings file to write.").required().placeholder("FILE.h5").no_effect_on_values();
    v.field("rope_mode", rope_mode, "Position ids of the decoder.");
    v.field("normalize", normalize, "Rows of unit length.");
    v.field("k", k, "Results for each query.").at_least(1);
    v.field("temperature", temperature, "Of InfoNCE, dimensionless.");
    v.field("adapter", adapter, "PEFT adapter to put on the model.").placeholder("DIR");
    v.field("tasks", tasks, "Tasks to run.");
    v.field("weights", weights, "Share of each task.").positive();
    v.field("image", image, "Images.");
  }
  void check(Problems& problems) const {
    if (adapter == model) problems.add("adapter", "must be another folder than --model; got the same; correct one");
  }
};
static_assert(field_count<EmbedOptions>() == 10, "describe() must list every field");

struct TrainOptions {
  std::filesystem::path config;
  std::vector<std::string> overrides;
  void describe(FieldList& v) {
    v.field("config", config, "YAML file of the run.").required().positional();
    v.field("overrides", overrides, "Changes to it.").positional().placeholder("section.key=value");
  }
};
static_assert(field_count<TrainOptions>() == 2, "describe() must list every field");

/// A program with two verbs, the way main() makes it.
struct TwoVerbs {
  Program app{.name = "trireme", .purpose = "Training and serving multimodal retrievers.", .version = "trireme 0.1.0"};
  EmbedOptions embed;
  TrainOptions train;

  TwoVerbs() {
    app.add("embed", "Records to embeddings.", embed);
    app.add("train", "Trains any recipe.", train);
  }
  CommandLine parse(const std::vector<const char*>& arguments) { return parse_command_line(app, arguments); }
};

std::string refusal(const std::vector<const char*>& arguments) {
  TwoVerbs program;
  return message_of<ConfigError>([&] { program.parse(arguments); });
}

/// Of `embed` with what it requires and these arguments.
std::string embed_refusal(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"embed", "--model", "m", "--out", "o.h5"});
  return refusal(arguments);
}

EmbedOptions embed_options(std::vector<const char*> arguments) {
  TwoVerbs program;
  arguments.insert(arguments.begin(), {"embed", "--model", "m", "--out", "o.h5"});
  EXPECT_EQ(program.parse(arguments).verb, "embed");
  return program.embed;
}

TEST(Options, KeepTheirDefaultsWhenNotGiven) {
  EmbedOptions expected;
  expected.model = "m";
  expected.out = "o.h5";
  EXPECT_EQ(dump(embed_options({})), dump(expected));
}

TEST(Options, OfEveryTypeAreRead) {
  const EmbedOptions options =
      embed_options({"--rope-mode", "oned", "--no-normalize", "--k=3", "--temperature", "-1e-3", "--adapter", "a b",
                     "--tasks", "x,y z", "--weights", "{x: 1, y: 0.5}", "--image.max-pixels", "784"});
  EXPECT_EQ(options.rope_mode, RopeMode::kOned);
  EXPECT_FALSE(options.normalize);
  EXPECT_EQ(options.k, 3);
  EXPECT_EQ(options.temperature, -1e-3);
  EXPECT_EQ(options.adapter, "a b");
  EXPECT_EQ(options.tasks, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(options.weights, (std::map<std::string, double>{{"x", 1}, {"y", 0.5}}));
  EXPECT_EQ(options.image.max_pixels, 784);
}

TEST(Options, ThatAreListsWithCommasInTheirItemsAreWrittenAsYaml) {
  EXPECT_EQ(embed_options({"--tasks", "[\"a,b\", c]"}).tasks, (std::vector<std::string>{"a,b", "c"}));
}

TEST(Options, TakeTextToTheLetter) {
  for (const char* text : {"null", "a=b", "a: b", "{x}", "'q'", "-", "#"})
    EXPECT_EQ(embed_options({"--adapter", text}).adapter, text);
}

TEST(Options, GivenByPlaceTakeTheirTurn) {
  TwoVerbs program;
  EXPECT_EQ(program.parse({"train", "run.yaml", "optim.peak_lr=1", "tags=[a, b]", "embed"}).verb, "train");
  EXPECT_EQ(program.train.config, "run.yaml");
  EXPECT_EQ(program.train.overrides, (std::vector<std::string>{"optim.peak_lr=1", "tags=[a, b]", "embed"}));
}

TEST(Options, AreRefusedWhenUnknownWithTheNearest) {
  EXPECT_EQ(embed_refusal({"--rop-mode", "oned"}), "[embed] unknown option --rop-mode; did you mean --rope-mode?");
  EXPECT_EQ(embed_refusal({"--rope_mode=oned"}), "[embed] unknown option --rope_mode; did you mean --rope-mode?");
  EXPECT_EQ(embed_refusal({"--verbose"}), "[embed] unknown option --verbose; remove it; --help lists what there is.");
  EXPECT_EQ(embed_refusal({"-k", "3"}), "[embed] unknown option -k; did you mean --k?");
}

TEST(Options, MistypedAndRequiredAreOneProblem) {
  EXPECT_EQ(refusal({"embed", "--modle", "m", "--out", "o"}), "[embed] unknown option --modle; did you mean --model?");
}

TEST(Options, ThatAreRequiredAreMissed) {
  EXPECT_EQ(refusal({"embed"}),
            "[embed] 2 problems: (1) --model is required; got nothing; set it: Hugging Face folder of the model. "
            "(2) --out is required; got nothing; set it: Embeddings file to write.");
  EXPECT_EQ(refusal({"train"}), "[train] CONFIG is required; got nothing; set it: YAML file of the run.");
}

TEST(Options, ObeyTheRulesOfConfigsAllTogether) {
  EXPECT_EQ(embed_refusal({"--rope-mode", "one", "--k", "0", "--temperature", "1e-4x", "--tasks", "a,,b", "--weights",
                           "{a: -1}", "--image.max-pixels", "1.5"}),
            "[embed] 6 problems: "
            "(1) --tasks must be a list a,b,c; got \"a,,b\"; write something at both sides of a comma. "
            "(2) --rope-mode must be one of mrope, oned; got one; did you mean oned? "
            "(3) --temperature must be a number; got 1e-4x; write it as in 0.05 or 1e-4. "
            "(4) --image.max-pixels must be an integer; got 1.5; write digits only, as in 1000. "
            "(5) --k must be at least 1; got 0; set it to 1 or more. "
            "(6) --weights.a must be positive; got -1; set it above 0.");
  EXPECT_EQ(embed_refusal({"--adapter", "m"}),
            "[embed] --adapter must be another folder than --model; got the same; correct one.");
}

TEST(Options, AreGivenOnce) {
  EXPECT_EQ(embed_refusal({"--k", "3", "--k", "4"}), "[embed] --k must be given once; got it 2 times; keep one.");
  EXPECT_EQ(embed_refusal({"--normalize", "--no-normalize"}),
            "[embed] --normalize must be given once; got 1 of it and 1 of --no-normalize; keep one.");
}

TEST(Options, ThatLackTheirValueAreRefused) {
  EXPECT_EQ(embed_refusal({"--adapter"}),
            "[embed] --adapter must be followed by its value; got nothing; write --adapter VALUE.");
  EXPECT_EQ(embed_refusal({"--adapter", "--k", "3"}),
            "[embed] --adapter must be followed by its value; got --k; write --adapter DIR.");
  EXPECT_EQ(embed_refusal({"--k=", "3"}),
            "[embed] 2 problems: (1) every argument must have its place; got \"3\", one too many; remove it. "
            "(2) --k must be an integer; got \"\"; write digits only, as in 1000.");
}

TEST(Options, ThatAreFlagsTakeNoValue) {
  EXPECT_EQ(embed_refusal({"--normalize=1"}),
            "[embed] --normalize must be without a value; got 1; write --normalize or --no-normalize.");
  EXPECT_EQ(embed_refusal({"--normalize", "false"}),
            "[embed] every argument must have its place; got \"false\", one too many; remove it.");
}

TEST(Options, AreRefusedInBrokenUtf8) {
  EXPECT_EQ(embed_refusal({"--adapter", "\xff"}), "[embed] --adapter must be UTF-8; got \"\\xff\"; rename it.");
}

TEST(CommandLine, NeedsAVerbThatItKnows) {
  EXPECT_EQ(refusal({}), "[trireme] a verb must be given; got none; choose one of embed, train.");
  EXPECT_EQ(refusal({"embde", "--model", "m"}),
            "[trireme] the verb must be one of embed, train; got embde; did you mean embed?");
  EXPECT_EQ(refusal({"fly"}), "[trireme] the verb must be one of embed, train; got fly; choose one of them.");
}

TEST(CommandLine, RefusesOptionsBeforeTheVerbAndTheDoubleDash) {
  EXPECT_EQ(refusal({"--k", "train", "c.yaml"}),
            "[trireme] options must follow the verb; got --k; remove it, or put it behind.");
  EXPECT_EQ(refusal({"train", "c.yaml", "--", "a=1"}),
            "[trireme] arguments must be given without --; got \"a=1\" behind it; leave -- out.");
}

TEST(CommandLine, BehindTheDoubleDashTakesNoOptionsEither) {
  EXPECT_EQ(refusal({"train", "c.yaml", "--", "--k"}),
            "[trireme] arguments must be given without --; got \"--k\" behind it; leave -- out.");
}

TEST(CommandLine, BeginsWithTheVerb) {
  EXPECT_EQ(refusal({"fly", "train", "c.yaml"}),
            "[trireme] the verb must be one of embed, train; got fly; choose one of them.");
}

TEST(CommandLine, TellsItsVersion) {
  TwoVerbs program;
  const CommandLine line = program.parse({"--version"});
  EXPECT_EQ(line.verb, "");
  EXPECT_EQ(line.text, "trireme 0.1.0\n");
}

TEST(Help, OfTheProgramListsItsVerbs) {
  TwoVerbs program;
  EXPECT_EQ(program.parse({"--help"}).text, R"(Usage: trireme VERB [OPTIONS]

Training and serving multimodal retrievers.

Verbs:
  embed     Records to embeddings.
  train     Trains any recipe.

trireme VERB --help tells the options of one.
)");
}

TEST(Help, OfAVerbIsCompleteAt100Columns) {
  TwoVerbs program;
  EXPECT_EQ(program.parse({"embed", "--help"}).text, R"(Usage: trireme embed --model DIR --out FILE.h5 [OPTIONS]

Records to embeddings.

Required:
  --model DIR                 Hugging Face folder of the model. [path; required]
  --out FILE.h5               Embeddings file to write. [path; required]

Options:
  --rope-mode mrope|oned      Position ids of the decoder. [choice; default mrope]
  --normalize, --no-normalize Rows of unit length. [boolean; default true]
  --k N                       Results for each query. [integer, at least 1; default 10]
  --temperature X             Of InfoNCE, dimensionless. [number; default 0.05]
  --adapter DIR               PEFT adapter to put on the model. [path; default none]
  --tasks A,B,..              Tasks to run. [list of texts; default []]
  --weights "{KEY: VALUE}"    Share of each task. [map of names to numbers, positive; default {}]
  --image.max-pixels N        Larger images are scaled down to this many pixels before they are cut
                              into patches. [integer, positive; default 1003520]
  -h, --help                  Print this and exit.
)");
}

TEST(Help, OfAVerbWithArgumentsShowsTheirPlaces) {
  TwoVerbs program;
  EXPECT_EQ(program.parse({"train", "-h"}).text, R"(Usage: trireme train [OPTIONS] CONFIG [section.key=value ..]

Trains any recipe.

Arguments:
  CONFIG                      YAML file of the run. [path; required]
  section.key=value ..        Changes to it. [list of texts; default []]

Options:
  -h, --help                  Print this and exit.
)");
}

TEST(Help, AskedForBeforeTheVerbIsTheVerbs) {
  TwoVerbs program;
  EXPECT_THAT(program.parse({"--help", "train"}).text, testing::StartsWith("Usage: trireme train"));
}

TEST(Help, IsGivenWhateverElseIsWrong) {
  TwoVerbs program;
  EXPECT_THAT(program.parse({"embed", "--k", "x", "--help"}).text, testing::StartsWith("Usage: trireme embed"));
}

}  // namespace
}  // namespace trireme::test
