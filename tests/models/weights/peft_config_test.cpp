#include "models/weights/peft_config.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

PeftConfig config_of(const Json& changes) {
  Json config{{"peft_type", "LORA"}, {"r", 8}, {"lora_alpha", 16}};
  config.update(changes);
  const test::TempFolder folder;
  return read_peft_config(folder.write("adapter_config.json", dump_json(config)));
}

TEST(PeftConfig, MatchesAsPeftsOwnFunctionsDo) {
  std::ifstream file(test::golden_checkpoint("peft_matching.json"));
  const Json golden = Json::parse(file);
  const auto paths = golden["paths"].get<std::vector<std::string>>();
  ASSERT_EQ(golden["cases"].size(), 150u);
  for (const Json& expected : golden["cases"]) {
    SCOPED_TRACE(dump_json(expected["settings"]));
    const PeftConfig config = config_of(expected["settings"]);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      EXPECT_EQ(config.rank_of(paths[i]), expected["rank"][i].get<int64_t>()) << paths[i];
      EXPECT_EQ(config.alpha_of(paths[i]), expected["alpha"][i].get<double>()) << paths[i];
      EXPECT_EQ(config.selects(paths[i], paths[i] == "lm_head"), expected["selected"][i].get<bool>()) << paths[i];
    }
  }
}

TEST(PeftConfig, PatternsMatchAWholePathOrItsEndAfterADot) {
  const PeftConfig config = config_of({{"rank_pattern", {{"q_proj", 1}, {"layers.1.self_attn.k_proj", 2}}}});
  EXPECT_EQ(config.rank_of("q_proj"), 1);
  EXPECT_EQ(config.rank_of("model.layers.0.self_attn.q_proj"), 1);
  EXPECT_EQ(config.rank_of("model.layers.0.self_attn.fused_q_proj"), 8) << "not after a dot";
  EXPECT_EQ(config.rank_of("model.layers.0.q_proj.inner"), 8) << "not the end";
  EXPECT_EQ(config.rank_of("model.layers.1.self_attn.k_proj"), 2);
  EXPECT_EQ(config.rank_of("model.layers.11.self_attn.k_proj"), 8);
}

TEST(PeftConfig, FirstPatternOfTheFileCounts) {
  const PeftConfig config = config_of({{"alpha_pattern", {{".*_proj", 3}, {"q_proj", 5}}}});
  EXPECT_EQ(config.alpha_of("model.layers.0.self_attn.q_proj"), 3);
  const PeftConfig turned = config_of({{"alpha_pattern", {{"q_proj", 5}, {".*_proj", 3}}}});
  EXPECT_EQ(turned.alpha_of("model.layers.0.self_attn.q_proj"), 5);
  EXPECT_EQ(turned.alpha_of("visual.blocks.0.attn.qkv"), 16);
}

TEST(PeftConfig, PatternsAreRegularExpressionsWithAnchorsAndAlternatives) {
  const PeftConfig config = config_of({{"rank_pattern", {{"^layers\\.\\d+\\.up", 1}, {"a|b", 2}, {"(?!x)c$", 3}}}});
  EXPECT_EQ(config.rank_of("layers.10.up"), 1);
  EXPECT_EQ(config.rank_of("model.layers.10.up"), 8) << "^ is the start of the whole path";
  EXPECT_EQ(config.rank_of("m.a"), 2);
  EXPECT_EQ(config.rank_of("m.b"), 2);
  EXPECT_EQ(config.rank_of("m.c"), 3);
}

TEST(PeftConfig, TargetsByListRegexOrAllLinear) {
  const PeftConfig list = config_of({{"target_modules", {"q_proj", "mlp.up_proj"}}});
  EXPECT_TRUE(list.selects("model.layers.0.self_attn.q_proj", false));
  EXPECT_TRUE(list.selects("model.layers.0.mlp.up_proj", false));
  EXPECT_FALSE(list.selects("model.layers.0.self_attn.xq_proj", false));
  const PeftConfig regex = config_of({{"target_modules", "(?!.*visual).*(q_proj|up_proj)"}});
  EXPECT_TRUE(regex.selects("model.layers.0.mlp.up_proj", false));
  EXPECT_FALSE(regex.selects("model.visual.blocks.0.mlp.up_proj", false));
  EXPECT_FALSE(regex.selects("model.layers.0.mlp.up_proj.x", false)) << "the whole path must match";
  const PeftConfig all = config_of({{"target_modules", "All-Linear"}});
  EXPECT_TRUE(all.selects("visual.merger.mlp.0", false));
  EXPECT_FALSE(all.selects("lm_head", true));
}

TEST(PeftConfig, LayersToTransformCountsInTheFirstNumberedList) {
  const PeftConfig config = config_of({{"target_modules", {"q_proj"}}, {"layers_to_transform", {0, 2}}});
  EXPECT_TRUE(config.selects("model.layers.2.self_attn.q_proj", false));
  EXPECT_FALSE(config.selects("model.layers.1.self_attn.q_proj", false));
  EXPECT_FALSE(config.selects("model.layers.20.self_attn.q_proj", false));
  const PeftConfig named =
      config_of({{"target_modules", {"q_proj"}}, {"layers_to_transform", 1}, {"layers_pattern", "layers"}});
  EXPECT_TRUE(named.selects("layers.1.self_attn.q_proj", false));
  EXPECT_FALSE(named.selects("blocks.1.self_attn.q_proj", false));
  const PeftConfig whole = config_of({{"target_modules", {"model.layers.1.q_proj"}}, {"layers_to_transform", {0}}});
  EXPECT_TRUE(whole.selects("model.layers.1.q_proj", false)) << "a whole path says its layer itself, as in PEFT";
}

TEST(PeftConfigRefuses, EndlessBacktracking) {
  const PeftConfig config = config_of({{"target_modules", "(a+)+$"}});
  const std::string path = fmt::format("{:a<40}b", "");
  EXPECT_THAT(message_of<DataError>([&] { config.selects(path, false); }), HasSubstr("bounded time"));
}

}  // namespace
}  // namespace trireme
