#include "data/prompt/embedding_prompt.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "data/sources/mbeir_text.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::HasSubstr;

class EmbeddingPromptTest : public ::testing::Test {
 protected:
  EmbeddingPrompt prompt(PromptForm form, std::optional<int64_t> text_tokens) {
    return {tokenizer_, encoder_, {.form = form, .text_tokens = text_tokens}};
  }
  std::string decoded(const std::vector<int64_t>& ids) { return tokenizer_.decode(ids); }

  Tokenizer tokenizer_ = Tokenizer::from_file(TRIREME_TEST_DIR "/golden/embed/model/tokenizer.json");
  int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
};

TEST_F(EmbeddingPromptTest, IsTheReleasedPipelineOverMBeirTexts) {
  std::ifstream file(TRIREME_TEST_DIR "/golden/prompt/mbeir_prompts.jsonl");
  int64_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto json = parse_json(line);
    const auto text = json["text"].get<std::string>();
    const std::string whole = json["instruction"].is_null()
                                  ? format_string(text)
                                  : format_query(json["instruction"].get<std::string>(), text);
    const auto image_tokens = json["image"].get<bool>() ? std::optional<int64_t>(1) : std::nullopt;
    const auto ids = prompt(PromptForm::kLamra, json["limit"].get<int64_t>()).encode(whole, image_tokens, "golden");
    EXPECT_EQ(ids, json["ids"].get<std::vector<int64_t>>()) << line;
  }
  EXPECT_EQ(rows, 60);
}

TEST_F(EmbeddingPromptTest, CutsTheTextAndNeverWhatStandsAroundIt) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += fmt::format("w{} ", i % 7);
  const auto whole = tokenizer_.encode(text);
  const auto frame = prompt(PromptForm::kLamra, std::nullopt).encode("x", std::nullopt, "w").size() - 1;
  for (int64_t limit : {1, 5, 480}) {
    const auto ids = prompt(PromptForm::kLamra, limit).encode(text, std::nullopt, "w");
    EXPECT_LE(std::ssize(ids), limit + static_cast<int64_t>(frame) + 1);
    EXPECT_TRUE(decoded(ids).ends_with("\nSummarize above sentence in one word: <|im_end|>\n<|im_start|>assistant\n"));
    EXPECT_TRUE(decoded(ids).starts_with("<|im_start|>system\n"));
  }
  EXPECT_GT(std::ssize(whole), 480);
  EXPECT_EQ(std::ssize(prompt(PromptForm::kLamra, std::nullopt).encode(text, std::nullopt, "w")),
            std::ssize(tokenizer_.encode(render_chat(embedding_turn(text, false)))));
}

TEST_F(EmbeddingPromptTest, BareIsImageTextAndTheOpenTurn) {
  const auto bare = prompt(PromptForm::kBare, std::nullopt);
  EXPECT_EQ(decoded(bare.encode("pears", 2, "w")),
            "<|vision_start|><|image_pad|><|image_pad|><|vision_end|>pears<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(decoded(bare.encode("pears", std::nullopt, "w")), "pears<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(decoded(bare.encode("", 1, "w")),
            "<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n<|im_start|>assistant\n");
  EXPECT_THAT(message_of<ConfigError>([&] { bare.encode("", std::nullopt, "w"); }), HasSubstr("got neither"));
}

TEST_F(EmbeddingPromptTest, ChatIsAUserTurnOfImageAndText) {
  const auto chat = prompt(PromptForm::kChat, std::nullopt);
  EXPECT_EQ(decoded(chat.encode("pears", 1, "w")),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
            "<|vision_start|><|image_pad|><|vision_end|>pears<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_THAT(message_of<ConfigError>([&] { chat.encode("", std::nullopt, "w"); }), HasSubstr("got neither"));
}

TEST_F(EmbeddingPromptTest, RefusesVisionTokensInTheText) {
  EXPECT_THAT(message_of<DataError>(
                  [&] { prompt(PromptForm::kBare, 480).encode("see <|image_pad|>", std::nullopt, "q.jsonl:3"); }),
              HasSubstr("[q.jsonl:3]"));
}

}  // namespace
}  // namespace trireme
