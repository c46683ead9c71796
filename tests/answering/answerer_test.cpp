#include "answering/answerer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "core/io/file.h"
#include "data/prompt/chat.h"
#include "models/random_init.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::filesystem::path kGolden = std::filesystem::path(TRIREME_TEST_DIR) / "golden";

Lmm model_for(const Tokenizer& tokenizer, bool head = true) {
  ModelConfig config = read_model_config(kGolden / "embed/model");
  config.decoder.vocab_size = 448;
  config.decoder.tie_word_embeddings = false;
  config.image_token_id = tokenizer.token_to_id("<|image_pad|>").value();
  return random_model(config, {.seed = 3, .linear_std = 0.3, .embedding_std = 1.0}, {.head = head});
}

class AnswererTest : public testing::Test {
 protected:
  Answerer answerer(AnswererOptions options = {}) const { return {model_, tokenizer_, input_, options}; }

  /// The user turn [image]{text}; image: "" for none.
  Prompt prompt(const std::string& image, const std::string& text) const {
    std::vector<PromptPart> turn;
    std::vector<int64_t> image_tokens;
    Prompt made;
    if (!image.empty()) {
      turn.push_back(PromptPart::image());
      made.images = {&images_.by_path.at(image)};
      image_tokens = {made.images.front()->tokens};
    }
    turn.push_back(PromptPart::of_text(text));
    made.tokens = encoder_.encode(turn, image_tokens, "test");
    if (!image.empty()) made.image_begin = {std::ranges::find(made.tokens, pad_) - made.tokens.begin()};
    return made;
  }
  /// Two groups: prompts with one image in common, and some that have nothing in common.
  std::vector<PromptGroup> groups() const {
    return {{prompt("wide.png", "Are there pears?"), prompt("wide.png", "Are there apples in it?"),
             prompt("wide.png", "Are there pears?")},
            {prompt("", "Which is it?")},
            {prompt("gradient.png", "And here?"), prompt("small.png", "And there?")}};
  }

  /// [T, V]: log p of the token behind each of the prompt's and the answer's, by one pass over all of it and the
  /// image's own patches.
  torch::Tensor forward(const Prompt& asked, const std::string& image, const std::vector<int64_t>& answer) const {
    EncodedSequence sequence{asked.tokens, {}};
    sequence.tokens.insert(sequence.tokens.end(), answer.begin(), answer.end());
    if (!image.empty()) {
      const MappedFile file(input_.image_root.folder / image);
      sequence.images.push_back(preprocess_image(decode_image(file.bytes(), "test"), *input_.image_processor, "test"));
    }
    PackedBatch batch = pack(std::span(&sequence, 1), input_.pack);
    std::vector<int64_t> rows;
    for (int64_t row = std::ssize(asked.tokens) - 1; row < std::ssize(sequence.tokens); ++row) rows.push_back(row);
    batch.rows = at::tensor(rows);
    const torch::NoGradGuard no_gradient;
    return at::log_softmax(logits_rows(model_, batch), 1);
  }

  const Tokenizer tokenizer_ = Tokenizer::from_file(kGolden / "prompt/rerank_tokenizer.json");
  const int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  const ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
  const Lmm model_ = model_for(tokenizer_);
  const ImageInput input_{.image_root = kGolden / "embed/images",
                          .image_processor = read_image_processor_config(kGolden / "embed/model"),
                          .pack = {.image_token_id = pad_}};
  const EncodedImages images_ = read_and_encode(
      model_, input_, std::vector<ImageUse>{{"wide.png", "a"}, {"gradient.png", "b"}, {"small.png", "c"}});
  const std::vector<std::string> shown_ = {"wide.png", "wide.png", "wide.png", "", "gradient.png", "small.png"};
};

TEST_F(AnswererTest, ChoicesHaveTheLogProbabilitiesOfTheForward) {
  const std::vector<std::vector<int64_t>> choices = {{5}, {5, 9, 2}, {7, 1}};
  const auto asked = groups();
  for (const AnswererOptions& options : {AnswererOptions{}, AnswererOptions{.share_prefix = false},
                                         AnswererOptions{.batch_tokens = 1}, AnswererOptions{.batch_tokens = 150}}) {
    const torch::Tensor ours = answerer(options).choices(asked, images_, choices).values;
    ASSERT_EQ(ours.sizes(), (std::vector<int64_t>{6, 3}));
    int64_t row = 0;
    for (const PromptGroup& group : asked) {
      for (const Prompt& one : group) {
        for (int64_t c = 0; c < std::ssize(choices); ++c) {
          const auto& choice = choices[static_cast<std::size_t>(c)];
          const torch::Tensor all = forward(one, shown_[static_cast<std::size_t>(row)], choice);
          double expected = 0;
          for (int64_t t = 0; t < std::ssize(choice); ++t)
            expected += all[t][choice[static_cast<std::size_t>(t)]].item<double>();
          EXPECT_NEAR(ours[row][c].item<double>(), expected, 1e-4) << "prompt " << row << ", choice " << c;
        }
        ++row;
      }
    }
  }
}

TEST_F(AnswererTest, ScoresDifferByTheLogOddsOfTheirTokens) {
  const auto asked = groups();
  const std::vector<int64_t> tokens = {5, 7};
  const PromptValues scores = answerer().token_scores(asked, images_, tokens);
  const auto odds = answerer().choices(asked, images_, std::vector<std::vector<int64_t>>{{5}, {7}}).values;
  ASSERT_EQ(scores.values.scalar_type(), torch::kFloat64);
  for (int64_t row = 0; row < odds.size(0); ++row)
    EXPECT_NEAR((scores.values[row][0] - scores.values[row][1]).item<double>(),
                (odds[row][0] - odds[row][1]).item<double>(), 1e-4);
  EXPECT_EQ(scores.counts.prompts, 6);
  EXPECT_EQ(scores.counts.images, 5);
  EXPECT_LT(scores.counts.computed_tokens, scores.counts.prompt_tokens) << "prefixes were shared";
}

TEST_F(AnswererTest, AnAnswersTextHasNoEndTokenAndSpecialOnesIfAskedFor) {
  const std::vector<Prompt> asked = {prompt("wide.png", "Say it."), prompt("", "And that?")};
  const std::vector<uint64_t> seeds = {1, 2};
  GenerateOptions options;
  options.max_new_tokens = 4;
  const int64_t special = tokenizer_.token_to_id("<|vision_start|>").value(), word = tokenizer_.encode("a").front();
  options.allowed_tokens = {special, word};
  for (const Answer& answer : answerer().generate(asked, images_, seeds, options)) {
    EXPECT_FALSE(answer.generation.stopped);
    EXPECT_EQ(answer.generation.tokens.size(), 4u);
    EXPECT_EQ(answer.text, tokenizer_.decode(answer.generation.tokens, true));
  }
  for (const Answer& answer : answerer({.keep_special_tokens = true}).generate(asked, images_, seeds, options))
    EXPECT_EQ(answer.text, tokenizer_.decode(answer.generation.tokens, false));
  options.allowed_tokens = options.stop_tokens = {word};
  for (const Answer& answer : answerer().generate(asked, images_, seeds, options)) {
    EXPECT_TRUE(answer.generation.stopped);
    EXPECT_THAT(answer.text, IsEmpty());
  }
}

TEST_F(AnswererTest, GeneratesTheSameFromEncodedImagesAndFromPatches) {
  const Prompt asked = prompt("wide.png", "What is there?");
  EncodedSequence sequence{asked.tokens, {}};
  const MappedFile file(input_.image_root.folder / "wide.png");
  sequence.images.push_back(preprocess_image(decode_image(file.bytes(), "test"), *input_.image_processor, "test"));
  const std::vector<uint64_t> seeds = {1};
  GenerateOptions options;
  options.max_new_tokens = 6;
  const Answer encoded = answerer().generate(std::span(&asked, 1), images_, seeds, options).front();
  const Answer patches = answerer().generate(pack(std::span(&sequence, 1), input_.pack), seeds, options).front();
  EXPECT_EQ(encoded.generation.tokens, patches.generation.tokens);
  EXPECT_EQ(encoded.text, patches.text);
}

TEST_F(AnswererTest, RefusesWhatCannotBeAnswered) {
  const auto asked = groups();
  const auto refused = [&](const std::vector<std::vector<int64_t>>& choices) {
    return message_of<ConfigError>([&] { answerer().choices(asked, images_, choices); });
  };
  EXPECT_THAT(refused({}), HasSubstr("got none"));
  EXPECT_THAT(refused({{}}), HasSubstr("a token"));
  EXPECT_THAT(refused({{1 << 20}}), HasSubstr("1048576"));
  const Lmm headless = model_for(tokenizer_, false);
  EXPECT_THAT(message_of<ConfigError>([&] { Answerer(headless, tokenizer_, input_); }), HasSubstr("head"));
  const std::vector<ImageUse> gone = {{"gone.png", "record 7"}};
  EXPECT_THAT(message_of<DataError>([&] { answerer().encode(gone); }),
              AllOf(HasSubstr("record 7"), HasSubstr("gone.png")));
}

}  // namespace
}  // namespace trireme
