#include "retrieval/rerank/scorer.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/tensor.h>

#include "core/io/file.h"
#include "models/nn/cpu_attention.h"
#include "models/random_init.h"
#include "retrieval/rerank/list_windows.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::filesystem::path kGolden = std::filesystem::path(TRIREME_TEST_DIR) / "golden";

ModelConfig config_for(const Tokenizer& tokenizer) {
  ModelConfig config = read_model_config(kGolden / "embed/model");
  config.decoder.vocab_size = 448;
  config.decoder.tie_word_embeddings = false;
  config.image_token_id = tokenizer.token_to_id("<|image_pad|>").value();
  return config;
}

/// A Qwen2-VL with random weights, large enough that everything moves the scores.
Lmm model_for(const Tokenizer& tokenizer, c10::ScalarType dtype = torch::kFloat32) {
  Lmm model = random_model(config_for(tokenizer), {.seed = 3, .linear_std = 0.3, .embedding_std = 1.0},
                           {.dtype = dtype, .head = true});
  model.head.weight.mul_(6);
  return model;
}

class RerankScorerTest : public testing::Test {
 protected:
  RerankScorer scorer(const Lmm& model, RerankScorerConfig config = {}, RopeMode rope_mode = RopeMode::kMrope) const {
    return {Answerer(model, tokenizer_, input(rope_mode), config.answerer_options()), prompt_, config};
  }
  ImageInput input(RopeMode rope_mode = RopeMode::kMrope) const {
    return {.image_root = kGolden / "embed/images",
            .image_processor = read_image_processor_config(kGolden / "embed/model"),
            .alpha = AlphaMode::kWhite,
            .pack = {.rope_mode = rope_mode, .image_token_id = pad_}};
  }

  /// Three queries, with pictures and without, and 7, 2 and 0 candidates.
  std::vector<RerankQuery> queries() const {
    return {
        {{"q0", "Find a red apple like this one?", "wide.png"},
         {{"c0", "a red apple on the table", ""},
          {"c1", "", "gradient.png"},
          {"c2", "two green pears", "wide.png"},
          {"c3", "pears and apples", ""},
          {"c4", "pears and apple pie", ""},
          {"c5", "", "small.png"},
          {"c6", "une pomme rouge", "gradient.png"}}},
        {{"q1", "Which picture shows pears?", ""}, {{"c2", "two green pears", "wide.png"}, {"c1", "", "gradient.png"}}},
        {{"q2", "Nothing was found", ""}, {}}};
  }

  /// softmax over the scores of `tokens` behind a prompt, by a forward pass over it alone with its own pictures.
  std::vector<double> reference(const Lmm& model, const RerankQuery& query, std::vector<int64_t> numbers, bool listwise,
                                RopeMode rope_mode = RopeMode::kMrope) const {
    const ImageInput in = input(rope_mode);
    EncodedSequence sequence;
    const auto item = [&](const Record& record) -> RerankItem {
      if (record.image.empty()) return {record.text, std::nullopt};
      const MappedFile file(in.image_root.folder / record.image);
      sequence.images.push_back(preprocess_image(decode_image(file.bytes(), "test"), *in.image_processor, "test"));
      return {record.text, sequence.images.back().grid_h * sequence.images.back().grid_w / 4};
    };
    const RerankItem asked = item(query.query);
    std::vector<RerankItem> items;
    for (const int64_t i : numbers) items.push_back(item(query.candidates[static_cast<std::size_t>(i)]));
    const RerankAnswers& answers = prompt_.answers();
    std::vector<int64_t> tokens = {answers.yes(), answers.no()};
    if (listwise) {
      sequence.tokens = prompt_.listwise(asked, items, "test").tokens;
      sequence.tokens.insert(sequence.tokens.end(), answers.before_digit().begin(), answers.before_digit().end());
      tokens.assign(answers.digits().begin(), answers.digits().begin() + std::ssize(items));
    } else {
      sequence.tokens = prompt_.pointwise(asked, items.front(), "test").tokens;
    }
    const torch::NoGradGuard no_gradient;
    const auto logits = logits_rows(model, pack(std::span(&sequence, 1), in.pack));
    const auto probabilities = logits[0].index_select(0, at::tensor(tokens)).to(torch::kFloat64).softmax(0);
    const double* values = probabilities.const_data_ptr<double>();
    return {values, values + probabilities.numel()};
  }

  const Tokenizer tokenizer_ = Tokenizer::from_file(kGolden / "prompt/rerank_tokenizer.json");
  const int64_t pad_ = tokenizer_.token_to_id("<|image_pad|>").value();
  const ChatEncoder encoder_{tokenizer_, pad_, std::string(kQwenSystemPrompt)};
  const RerankPrompt prompt_{tokenizer_, encoder_, {}};
  const Lmm model_ = model_for(tokenizer_);
};

/// tolerance: 1e-5 in float32. In bfloat16 a processor without AVX-512 takes another kernel for other numbers of
/// rows, so a logit may round the other way: half a bfloat16 step of a logit below 4 is 0.008, of a probability 0.004.
void expect_same_scores(const std::vector<double>& ours, const std::vector<double>& expected, bool bits,
                        double tolerance = 1e-5) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_NEAR(ours[i], expected[i], tolerance) << i;
    if (bits) {
      EXPECT_EQ(ours[i], expected[i]) << i;
    }
  }
}

TEST_F(RerankScorerTest, PointwiseIsYesAgainstNoBehindEachPrompt) {
  for (const RopeMode rope_mode : {RopeMode::kMrope, RopeMode::kOned}) {
    const auto all = queries();
    const RerankResult result = scorer(model_, {}, rope_mode).score(all, RerankModes::kPointwise);
    ASSERT_THAT(result.scores, SizeIs(3));
    for (std::size_t q = 0; q < all.size(); ++q) {
      std::vector<double> expected;
      for (int64_t i = 0; i < std::ssize(all[q].candidates); ++i)
        expected.push_back(reference(model_, all[q], {i}, false, rope_mode)[0]);
      expect_same_scores(result.scores[q].pointwise, expected, false);
      EXPECT_TRUE(result.scores[q].listwise.empty());
    }
    const auto [least, most] = std::ranges::minmax(result.scores[0].pointwise);
    EXPECT_GT(most - least, 0.01) << "scores that are all alike compare nothing";
  }
}

TEST_F(RerankScorerTest, SharingThePrefixChangesNoScore) {
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    const Lmm model = model_for(tokenizer_, dtype);
    const auto all = queries();
    const auto alone = scorer(model, {.share_prefix = false}).score(all, RerankModes::kBoth);
    for (const int64_t batch_tokens : {8192, 300, 1}) {
      const auto shared =
          scorer(model, {.share_prefix = true, .batch_tokens = batch_tokens}).score(all, RerankModes::kBoth);
      const double tolerance = dtype == torch::kFloat32 || cpu::has_attention() ? 1e-5 : 4e-3;
      for (std::size_t q = 0; q < all.size(); ++q) {
        expect_same_scores(shared.scores[q].pointwise, alone.scores[q].pointwise, cpu::has_attention(), tolerance);
        expect_same_scores(shared.scores[q].listwise, alone.scores[q].listwise, cpu::has_attention(), tolerance);
      }
      EXPECT_LT(shared.counts.computed_tokens, alone.counts.computed_tokens);
    }
  }
}

TEST_F(RerankScorerTest, CountsWhatSharingSaves) {
  const auto all = queries();
  const PromptCounts shared = scorer(model_).score(all, RerankModes::kPointwise).counts;
  const PromptCounts alone = scorer(model_, {.share_prefix = false}).score(all, RerankModes::kPointwise).counts;
  EXPECT_EQ(alone.computed_tokens, alone.prompt_tokens);
  EXPECT_EQ(alone.saved_share(), 0);
  EXPECT_EQ(shared.prompt_tokens, alone.prompt_tokens);
  EXPECT_EQ(shared.prompts, 9);
  // Of n prompts that share p tokens, (n - 1) p are saved.
  EXPECT_GT(shared.saved_share(), 0.5);
  EXPECT_EQ(shared.prefix_tokens, alone.prefix_tokens);
  EXPECT_EQ(shared.images, 7 + 4 + 2);
  EXPECT_EQ(shared.encoded_images, 3) << "each picture once";
}

TEST_F(RerankScorerTest, ACandidatesScoreIsItsOwn) {
  const auto all = queries();
  const auto scores = scorer(model_).score(all, RerankModes::kPointwise).scores[0].pointwise;
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  for (int times = 0; times < 5; ++times) {
    std::ranges::next_permutation(order);
    std::ranges::rotate(order, order.begin() + 3);
    RerankQuery other{all[0].query, {}};
    std::vector<double> expected;
    for (const std::size_t i : std::span(order).first(order.size() - static_cast<std::size_t>(times))) {
      other.candidates.push_back(all[0].candidates[i]);
      expected.push_back(scores[i]);
    }
    const auto result = scorer(model_).score(std::span(&other, 1), RerankModes::kPointwise);
    expect_same_scores(result.scores[0].pointwise, expected, cpu::has_attention());
  }
}

TEST_F(RerankScorerTest, ListwiseIsASoftmaxOverTheNumbersOfTheList) {
  auto all = queries();
  all[0].candidates.resize(5);
  const RerankResult result = scorer(model_).score(all, RerankModes::kListwise);
  expect_same_scores(result.scores[0].listwise, reference(model_, all[0], {0, 1, 2, 3, 4}, true), false);
  expect_same_scores(result.scores[1].listwise, reference(model_, all[1], {0, 1}, true), false);
  for (const RerankScores& scores : std::span(result.scores).first(2)) {
    EXPECT_NEAR(std::accumulate(scores.listwise.begin(), scores.listwise.end(), 0.0), 1, 1e-12);
    EXPECT_TRUE(std::ranges::is_sorted(scores.listwise_order, std::greater{},
                                       [&](int64_t i) { return scores.listwise[static_cast<std::size_t>(i)]; }));
  }
  EXPECT_TRUE(result.scores[0].pointwise.empty());
  EXPECT_TRUE(result.scores[2].listwise_order.empty());
}

TEST_F(RerankScorerTest, LongListsAreRankedWindowByWindowFromTheEnd) {
  const auto all = queries();
  const RerankScorer by_three = scorer(model_, {.window = 3, .window_step = 2});
  const RerankScores ours = by_three.score(std::span(&all[0], 1), RerankModes::kListwise).scores[0];
  std::vector<int64_t> order(all[0].candidates.size());
  std::iota(order.begin(), order.end(), 0);
  for (const std::size_t begin : {4U, 2U, 0U}) {
    RerankQuery window{all[0].query, {}};
    const std::vector<int64_t> old(order.begin() + begin, order.begin() + begin + 3);
    for (const int64_t i : old) window.candidates.push_back(all[0].candidates[static_cast<std::size_t>(i)]);
    const auto ranked = by_three.score(std::span(&window, 1), RerankModes::kListwise).scores[0].listwise_order;
    for (std::size_t i = 0; i < 3; ++i) order[begin + i] = old[static_cast<std::size_t>(ranked[i])];
  }
  EXPECT_EQ(ours.listwise_order, order);
  for (std::size_t place = 0; place < order.size(); ++place)
    EXPECT_DOUBLE_EQ(ours.listwise[static_cast<std::size_t>(order[place])], 1 - static_cast<double>(place) / 7);
}

/// A model whose next token follows from the last alone: what was embedded goes straight to the head, and the head's
/// row for the wanted successor is that embedding.
Lmm model_that_answers(const Tokenizer& tokenizer, const std::vector<int64_t>& open_turn,
                       const std::vector<int64_t>& answer) {
  Lmm model = model_for(tokenizer);
  for (Qwen2Layer& layer : model.decoder.layers) {
    layer.o.weight.zero_();
    layer.down.weight.zero_();
  }
  model.head.weight.zero_();
  int64_t last = open_turn.back();
  for (const int64_t token : answer) {
    model.head.weight[token] = model.decoder.embed_tokens[last];
    last = token;
  }
  return model;
}

TEST_F(RerankScorerTest, AReleasedAnswerMovesItsCandidateToTheTop) {
  const RerankAnswers& answers = prompt_.answers();
  const std::vector<int64_t> open(answers.open_turn().begin(), answers.open_turn().end());
  auto all = queries();
  all[0].candidates.resize(4);
  const Lmm third = model_that_answers(tokenizer_, open, answers.listwise(3));
  const RerankScorerConfig released{.listwise_answer = ListwiseAnswer::kReleased};
  const auto scores = scorer(third, released).score(all, RerankModes::kListwise).scores;
  EXPECT_THAT(scores[0].listwise_order, ElementsAre(2, 0, 1, 3));
  EXPECT_THAT(scores[0].listwise, ElementsAre(0.75, 0.5, 1, 0.25));
  EXPECT_EQ(scores[0].unread_answers, 0);
  // The second list has two candidates: (3) names none of them, and the list stays.
  EXPECT_THAT(scores[1].listwise_order, ElementsAre(0, 1));
  EXPECT_EQ(scores[1].unread_answers, 1);
  // The numbers' scores have an answer for both.
  EXPECT_THAT(scorer(third).score(all, RerankModes::kListwise).scores[0].listwise_order, ElementsAre(2, 0, 1, 3));

  const auto random = scorer(model_, released).score(all, RerankModes::kListwise).scores;
  EXPECT_THAT(random[0].listwise_order, ElementsAre(0, 1, 2, 3)) << "an answer that is none leaves the list alone";
  EXPECT_EQ(random[0].unread_answers, 1);
}

TEST_F(RerankScorerTest, RefusesWhatCannotBeScored) {
  const auto refused = [&](const Record& candidate) {
    RerankQuery query = queries()[0];
    query.candidates.push_back(candidate);
    return message_of<DataError>([&] { scorer(model_).score(std::span(&query, 1), RerankModes::kBoth); });
  };
  EXPECT_THAT(refused({"empty", "", ""}), AllOf(HasSubstr("query q0, candidate empty"), HasSubstr("neither")));
  EXPECT_THAT(refused({"gone", "", "gone.png"}), AllOf(HasSubstr("candidate gone"), HasSubstr("gone.png")));
  EXPECT_THAT(refused({"pad", "<|image_pad|>", ""}), AllOf(HasSubstr("candidate pad"), HasSubstr("<|image_pad|>")));

  const RerankQuery pictured = queries()[0];
  ImageInput text_only = input();
  text_only.image_processor.reset();
  const RerankScorer reads_text(Answerer(model_, tokenizer_, text_only), prompt_, {});
  EXPECT_THAT(message_of<DataError>([&] { reads_text.score(std::span(&pictured, 1), RerankModes::kBoth); }),
              HasSubstr("text-only"));

  EXPECT_THAT(message_of<ConfigError>([&] { scorer(model_, {.window = 3, .window_step = 4}); }),
              AllOf(HasSubstr("window_step"), HasSubstr("4 and 3")));
  const Lmm headless = random_model(config_for(tokenizer_), {}, {});
  EXPECT_THAT(message_of<ConfigError>([&] { scorer(headless); }), HasSubstr("head"));
  Lmm broken = model_for(tokenizer_);
  broken.decoder.norm.fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<DataError>([&] { scorer(broken).score(queries(), RerankModes::kPointwise); }),
              AllOf(HasSubstr("q0"), HasSubstr("finite")));
}

TEST(ListWindows, GoFromTheEndToTheTop) {
  EXPECT_THAT(window_begins(7, 3, 2), ElementsAre(4, 2, 0));
  EXPECT_THAT(window_begins(8, 3, 2), ElementsAre(5, 3, 1, 0)) << "the top is always in a window";
  EXPECT_THAT(window_begins(5, 5, 2), ElementsAre(0));
  EXPECT_THAT(window_begins(2, 5, 2), ElementsAre(0));
  EXPECT_THAT(window_begins(0, 5, 2), SizeIs(0));
}

}  // namespace
}  // namespace trireme
