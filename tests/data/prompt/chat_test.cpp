#include "data/prompt/chat.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::HasSubstr;

TEST(RenderChat, IsTheChatMlFrameOfTheHubsTemplate) {
  const std::vector<PromptPart> turn = {PromptPart::image(), PromptPart::of_text("what is it?")};
  EXPECT_EQ(render_chat(turn),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>what is it?<|im_end|>\n"
            "<|im_start|>assistant\n");
}

TEST(EmbeddingTurn, UsesLamRasTemplateOfEachModality) {
  EXPECT_EQ(embedding_turn("A dog.", false)[0].text, "A dog.\nSummarize above sentence in one word: ");
  const auto image = embedding_turn("", true);
  ASSERT_EQ(image.size(), 2u);
  EXPECT_EQ(image[0].kind, PromptPart::Kind::kImage);
  EXPECT_EQ(image[1].text, "\nSummarize above image in one word: ");
  EXPECT_EQ(embedding_turn("A dog.", true)[1].text, "A dog.\nSummarize above image and sentence in one word: ");
  EXPECT_THAT(message_of<ConfigError>([] { embedding_turn("", false); }), HasSubstr("got neither"));
}

class ChatEncoderTest : public ::testing::Test {
 protected:
  static Tokenizer load() {
    return Tokenizer::from_file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/embed/model/tokenizer.json");
  }
  Tokenizer tokenizer_ = load();
  int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
};

TEST_F(ChatEncoderTest, ExpandsEachImagePadToItsOwnCount) {
  const std::vector<PromptPart> turn = {PromptPart::image(), PromptPart::of_text(" and "), PromptPart::image()};
  const std::vector<int64_t> counts = {3, 5};
  const auto ids = encoder_.encode(turn, counts, "here");
  const auto first = std::find(ids.begin(), ids.end(), pad_);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), pad_), 8);
  EXPECT_EQ(std::count(first, first + 3, pad_), 3);
  EXPECT_NE(first[3], pad_);
  EXPECT_EQ(ids.back(), tokenizer_.encode("\n").at(0));
}

TEST_F(ChatEncoderTest, RefusesVisionTokensInsideUserText) {
  for (const char* token : {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"}) {
    const std::vector<PromptPart> turn = {PromptPart::of_text(std::string("see ") + token)};
    const auto message = message_of<DataError>([&] { encoder_.encode(turn, {}, "r.jsonl:4"); });
    EXPECT_THAT(message, HasSubstr("[r.jsonl:4]"));
    EXPECT_THAT(message, HasSubstr(token));
  }
}

TEST_F(ChatEncoderTest, RefusesAConfigOfAnotherTokenizer) {
  const auto message =
      message_of<DataError>([&] { ChatEncoder(tokenizer_, pad_ + 1, std::string(kQwenSystemPrompt)); });
  EXPECT_THAT(message, HasSubstr("image_token_id"));
}

}  // namespace
}  // namespace trireme
