/// What holds for every text, and for texts that are hard on an implementation.

#include "data/tokenizer/tokenizer.h"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/json.h"
#include "core/utf8.h"
#include "data/tokenizer/unicode.h"
#include "data/tokenizer/utf8.h"
#include "tests/data/tokenizer/small_file.h"

namespace trireme {
namespace {

using nlohmann::json;
using test::added_token;
using test::small_file;
using test::split;

using Ids = std::vector<int64_t>;

Tokenizer golden(const std::string& name) {
  return Tokenizer::from_file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/tokenizer" / (name + ".json"));
}

/// Texts of all of Unicode, with the first planes and ASCII more often than the rest.
rc::Gen<std::string> any_text() {
  const auto below = [](uint32_t end) { return rc::gen::inRange<uint32_t>(0, end); };
  const auto code_point = rc::gen::suchThat(
      rc::gen::oneOf(below(0x80), below(0x80), below(0x250), below(0x1000), below(0x10000), below(0x110000)),
      [](uint32_t c) { return c < 0xD800 || c > 0xDFFF; });
  return rc::gen::map(rc::gen::container<std::vector<uint32_t>>(code_point), [](const std::vector<uint32_t>& points) {
    std::string text;
    for (const uint32_t c : points) utf8::append(text, static_cast<char32_t>(c));
    return text;
  });
}

RC_GTEST_PROP(Qwen2Style, DecodesToTheComposedText, ()) {
  static const Tokenizer kTokenizer = golden("qwen2");
  const std::string text = *any_text();
  RC_ASSERT(kTokenizer.decode(kTokenizer.encode(text)) == unicode::normalize(text, unicode::NormalForm::kNfc));
}

RC_GTEST_PROP(Gpt2Style, DecodesToTheSameBytes, ()) {
  static const Tokenizer kTokenizer = golden("gpt2");
  const std::string text = *any_text();
  RC_ASSERT(kTokenizer.decode(kTokenizer.encode(text)) == text);
}

RC_GTEST_PROP(NormalForms, StayAsTheyAre, ()) {
  const std::string text = *any_text();
  for (const auto form :
       {unicode::NormalForm::kNfc, unicode::NormalForm::kNfd, unicode::NormalForm::kNfkc, unicode::NormalForm::kNfkd}) {
    const std::string once = unicode::normalize(text, form);
    RC_ASSERT(is_valid_utf8(once));
    RC_ASSERT(unicode::normalize(once, form) == once);
  }
}

RC_GTEST_PROP(CodePointSet, ComplementHoldsWhatTheSetDoesNot, ()) {
  const auto ends = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 0x110000));
  unicode::CodePointSet set;
  for (std::size_t i = 0; i + 1 < ends.size(); i += 2)
    set = set | unicode::CodePointSet(std::min(ends[i], ends[i + 1]), std::max(ends[i], ends[i + 1]));
  const unicode::CodePointSet rest = ~set;
  for (const uint32_t c : ends) RC_ASSERT(set.contains(c) != rest.contains(c));
  RC_ASSERT((set | rest).ranges().size() == 1u);
  RC_ASSERT((~rest).ranges().size() == set.ranges().size());
}

TEST(Utf8, ReplacesEachMaximalBrokenPart) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(utf8::lossy("a\xF0\x9F\x98z"), "a" + replacement + "z");
  EXPECT_EQ(utf8::lossy("\xED\xA0\x80"), replacement + replacement + replacement);
  EXPECT_EQ(utf8::lossy("\xC0\xAF\xF5"), replacement + replacement + replacement);
  EXPECT_EQ(utf8::lossy("\xE2\x82\xE2\x82\xAC"), replacement + "\xE2\x82\xAC");
}

TEST(Tokenizer, TellsTokensAndIdsApart) {
  json file = small_file();
  file["added_tokens"] = {added_token(3, "ab"), added_token(6, "<x>")};
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(file));
  EXPECT_EQ(tokenizer.vocab_size(), 7);
  EXPECT_EQ(tokenizer.token_to_id("<x>"), 6);
  EXPECT_EQ(tokenizer.token_to_id("abc"), 4);
  EXPECT_EQ(tokenizer.token_to_id("none"), std::nullopt);
  EXPECT_EQ(tokenizer.id_to_token(6), "<x>");
  EXPECT_EQ(tokenizer.id_to_token(4), "abc");
  EXPECT_EQ(tokenizer.id_to_token(7), std::nullopt);
  EXPECT_EQ(tokenizer.encode("abc<x>"), (Ids{3, 2, 6})) << "an added token cuts the text before the model sees it";
  EXPECT_EQ(tokenizer.decode(Ids{6, 4, 99}), "<x> abc") << "without a decoder tokens are joined by spaces";
  EXPECT_EQ(tokenizer.decode(Ids{6, 4, 99}, true), "abc");
}

TEST(Tokenizer, TakesSparseIds) {
  json file = small_file();
  file["model"]["vocab"]["abc"] = 2147483647;
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(file));
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{2147483647}));
  EXPECT_EQ(tokenizer.decode(Ids{2147483647}), "abc");
}

TEST(Tokenizer, AddsNoTokenAroundAText) {
  json file = small_file();
  file["added_tokens"] = {added_token(6, "<s>")};
  file["post_processor"] = parse_json(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}})");
  file["truncation"] = parse_json(R"({"max_length": 1, "strategy": "LongestFirst", "stride": 0})");
  EXPECT_EQ(Tokenizer::from_json(dump_json(file)).encode("abab"), (Ids{3, 3}));
}

TEST(Tokenizer, ReadsAModelWithoutAType) {
  json file = small_file();
  file["model"].erase("type");
  EXPECT_EQ(Tokenizer::from_json(dump_json(file)).encode("abc"), (Ids{4}));
}

TEST(Tokenizer, KeepsControlCharactersApart) {
  const Tokenizer tokenizer = golden("qwen2");
  std::string text;
  for (char c = 0; c < 0x20; ++c) text += {'x', c};
  text += "\x7f";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_NE(tokenizer.encode(std::string("a\0b", 3)), tokenizer.encode("a"));
}

/// The result of a merge queue on one word is that of the plain rule: always the leftmost pair of the lowest rank.
TEST(Tokenizer, MergesALongWordAsTheRuleSays) {
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(small_file()));
  std::string word;
  Ids expected;
  for (int i = 0; i < 200000; ++i) {
    word += "abca";
    expected.insert(expected.end(), {4, 0});
  }
  EXPECT_EQ(tokenizer.encode(word), expected);
}

/// These would run for hours if the cost of a text grew with the square of its length.
TEST(Tokenizer, EndsSoonOnTextsWithoutWordBorders) {
  const Tokenizer tokenizer = golden("qwen2");
  const std::size_t size = 400000;
  std::string marks = "a", letters;
  while (marks.size() < size) marks += "\xCC\x81\xCC\xA3";  // acute, dot below: every pair is to be put in order
  for (std::size_t i = 0; i < size; ++i) letters += static_cast<char>('a' + i * 7919 % 26);
  for (const std::string& text : {std::string(size, 'a'), letters, std::string(size, ' ') + "x",
                                  std::string(size, '\n'), std::string(size, '7'), std::string(size, '!'), marks})
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), unicode::normalize(text, unicode::NormalForm::kNfc));
}

/// A group that repeats needs memory for each of its rounds; ten thousand rounds are more than PCRE2 has at first.
TEST(Tokenizer, GivesADeepPatternTheMemoryItNeeds) {
  json file = small_file();
  file["pre_tokenizer"] = split("(?:a|bc?)*c");
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(file));
  std::string text;
  for (int i = 0; i < 10000; ++i) text += "ab";
  EXPECT_EQ(tokenizer.encode(text + "c").size(), 10000u);
}

TEST(Tokenizer, EncodesTheSameInEveryThread) {
  const Tokenizer tokenizer = golden("qwen2");
  const std::string text = "It's 1234 \xE6\xBC\xA2\xE5\xAD\x97 e\xCC\x81 <|im_start|>user\n";
  const Ids expected = tokenizer.encode(text);
  std::vector<Ids> results(8);
  std::vector<std::thread> threads;
  for (Ids& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) result = tokenizer.encode(text);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace trireme
