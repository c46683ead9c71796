#include "data/prompt/rerank_prompt.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using nlohmann::json;
using test::message_of;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

Tokenizer golden_tokenizer() { return Tokenizer::from_file(TRIREME_TEST_DIR "/golden/prompt/rerank_tokenizer.json"); }

RerankItem item_of(const json& item) {
  RerankItem out{.text = item["text"], .image_tokens = {}};
  if (!item["image_tokens"].is_null()) out.image_tokens = item["image_tokens"].get<int64_t>();
  return out;
}

class RerankPromptTest : public ::testing::Test {
 protected:
  RerankPrompt prompt(RerankSpacing spacing, std::optional<int64_t> text_tokens) {
    return {tokenizer_, encoder_, {.spacing = spacing, .text_tokens = text_tokens}};
  }

  Tokenizer tokenizer_ = golden_tokenizer();
  int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
};

TEST_F(RerankPromptTest, IsTheTrainingSequenceThatTransformersRenders) {
  std::ifstream file(TRIREME_TEST_DIR "/golden/prompt/rerank_prompts.jsonl");
  int64_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const json row = parse_json(line);
    const auto spacing = row["spacing"] == "master" ? RerankSpacing::kMaster : RerankSpacing::kSingleSpace;
    const RerankPrompt prompts =
        prompt(spacing, row["limit"].is_null() ? std::nullopt : std::optional(row["limit"].get<int64_t>()));
    const RerankItem query = item_of(row["query"]);
    std::vector<RerankItem> candidates;
    for (const json& candidate : row["candidates"]) candidates.push_back(item_of(candidate));
    const bool pointwise = row["mode"] == "pointwise";
    const RerankTokens open =
        pointwise ? prompts.pointwise(query, candidates[0], "golden") : prompts.listwise(query, candidates, "golden");
    const RerankTokens whole = answered(open, pointwise ? prompts.answers().pointwise(row["answer"].get<bool>())
                                                        : prompts.answers().listwise(row["answer"].get<int64_t>()));
    EXPECT_EQ(whole.tokens, row["ids"].get<std::vector<int64_t>>()) << line;
    EXPECT_EQ(whole.turn_begin, row["first_label"].get<int64_t>()) << line;
    EXPECT_EQ(whole.answer_begin, std::ssize(open.tokens));
    const auto images = std::count_if(candidates.begin(), candidates.end(), [](auto& c) { return c.image_tokens; }) +
                        (query.image_tokens ? 1 : 0);
    EXPECT_EQ(std::ssize(whole.image_begin), images);
    for (const int64_t begin : whole.image_begin) {
      EXPECT_EQ(whole.tokens[static_cast<std::size_t>(begin)], pad_);
      EXPECT_NE(whole.tokens[static_cast<std::size_t>(begin - 1)], pad_);
    }
  }
  EXPECT_EQ(rows, 40);
}

TEST_F(RerankPromptTest, LabelsTheAssistantsTurnToItsEnd) {
  const RerankPrompt prompts = prompt(RerankSpacing::kMaster, 256);
  const RerankItem item{.text = "a dog.", .image_tokens = {}};
  const RerankTokens yes = answered(prompts.pointwise(item, item, "w"), prompts.answers().pointwise(true));
  const std::span labels = std::span(yes.tokens).subspan(static_cast<std::size_t>(yes.turn_begin));
  EXPECT_EQ(tokenizer_.decode(labels), "<|im_start|>assistant\nYes<|im_end|>\n");
  // "assistant" is one token in the published vocabulary, four in this one: 6 labels there.
  EXPECT_EQ(std::ssize(labels), std::ssize(prompts.answers().open_turn()) + 3);
  EXPECT_THAT(
      prompts.answers().pointwise(false),
      ElementsAre(tokenizer_.token_to_id("No"), tokenizer_.token_to_id("<|im_end|>"), tokenizer_.encode("\n")[0]));
}

TEST_F(RerankPromptTest, HasTheReleasedBlanksInTheMiddleOfSentences) {
  const RerankItem item{.text = "x", .image_tokens = {}};
  const auto text_of = [](const std::vector<PromptPart>& turn) { return turn[0].text; };
  EXPECT_THAT(text_of(pointwise_turn(item, item, RerankSpacing::kMaster)),
              HasSubstr(fmt::format("candidate{:24}meets", "")));
  EXPECT_THAT(text_of(listwise_turn(item, std::span(&item, 1), RerankSpacing::kMaster)),
              HasSubstr(fmt::format("others.{:25}Evaluate", "")));
  EXPECT_THAT(text_of(pointwise_turn(item, item, RerankSpacing::kSingleSpace)), HasSubstr("candidate meets"));
  EXPECT_THAT(text_of(listwise_turn(item, std::span(&item, 1), RerankSpacing::kSingleSpace)),
              HasSubstr("others. Evaluate"));
}

TEST_F(RerankPromptTest, SaysWhereEachImageBegins) {
  const RerankPrompt prompts = prompt(RerankSpacing::kSingleSpace, std::nullopt);
  const std::vector<RerankItem> candidates = {
      {.text = "", .image_tokens = 4}, {.text = "a dog.", .image_tokens = {}}, {.text = "", .image_tokens = 2}};
  const RerankTokens out = prompts.listwise({.text = "find it.", .image_tokens = 3}, candidates, "w");
  ASSERT_EQ(out.image_begin.size(), 3u);
  std::size_t i = 0;
  for (const int64_t count : {3, 4, 2}) {
    const auto begin = out.tokens.begin() + out.image_begin[i++];
    EXPECT_EQ(std::count(begin, begin + count, pad_), count);
    EXPECT_NE(begin[-1], pad_);
    EXPECT_NE(begin[count], pad_);
  }
}

TEST_F(RerankPromptTest, AnswersAreTokensOfTheirOwnInTheirPlace) {
  const RerankAnswers answers(tokenizer_);
  for (int64_t number = 1; number <= RerankAnswers::kMaxListLength; ++number) {
    EXPECT_EQ(answers.digit(number), tokenizer_.token_to_id(fmt::to_string(number)));
    std::vector<int64_t> ids(answers.open_turn().begin(), answers.open_turn().end());
    const std::vector<int64_t> answer = answers.listwise(number);
    ids.insert(ids.end(), answer.begin(), answer.end());
    EXPECT_THAT(
        ids, ElementsAreArray(tokenizer_.encode(fmt::format("<|im_start|>assistant\nAns: ({})<|im_end|>\n", number))));
    EXPECT_EQ(answer[answers.before_digit().size()], answers.digit(number));
  }
  EXPECT_THAT(message_of<InternalError>([&] { answers.digit(10); }), HasSubstr("candidate 10"));
}

TEST_F(RerankPromptTest, RefusesATokenizerThatSplitsAnAnswer) {
  const Tokenizer other = Tokenizer::from_file(TRIREME_TEST_DIR "/golden/embed/model/tokenizer.json");
  const std::string message = message_of<DataError>([&] { RerankAnswers{other}; });
  EXPECT_THAT(message, HasSubstr("[tokenizer]"));
  EXPECT_THAT(message, HasSubstr("\"Yes\" must be one token"));
}

TEST_F(RerankPromptTest, RefusesATokenizerThatJoinsANumberWithWhatIsAroundIt) {
  std::ifstream file(TRIREME_TEST_DIR "/golden/prompt/rerank_tokenizer.json");
  json settings = json::parse(file);
  settings["added_tokens"].push_back({{"id", settings["added_tokens"].size() + settings["model"]["vocab"].size()},
                                      {"content", "7)"},
                                      {"single_word", false},
                                      {"lstrip", false},
                                      {"rstrip", false},
                                      {"normalized", false},
                                      {"special", false}});
  const Tokenizer joins = Tokenizer::from_json(dump_json(settings));
  EXPECT_THAT(message_of<DataError>([&] { RerankAnswers{joins}; }), HasSubstr("\"7\" must be one token"));
}

TEST_F(RerankPromptTest, RefusesAnEmptyItemAndReservedTokens) {
  const RerankPrompt prompts = prompt(RerankSpacing::kMaster, 256);
  const RerankItem item{.text = "a dog.", .image_tokens = {}};
  EXPECT_THAT(message_of<ConfigError>([&] { prompts.pointwise(item, {}, "w"); }), HasSubstr("got neither"));
  const RerankItem bad{.text = "see <|image_pad|>", .image_tokens = {}};
  EXPECT_THAT(message_of<DataError>([&] { prompts.listwise(item, std::span(&bad, 1), "q.jsonl:3"); }),
              HasSubstr("[q.jsonl:3]"));
}

TEST(PictogramsTokenizer, HasTheAnswersAsSingleTokens) {
  const Tokenizer tokenizer = Tokenizer::from_file(TRIREME_TEST_DIR "/../experiments/pictograms/base/tokenizer.json");
  const RerankAnswers answers(tokenizer);
  EXPECT_EQ(answers.open_turn().size() + answers.pointwise(true).size(), 6u);
}

}  // namespace
}  // namespace trireme
