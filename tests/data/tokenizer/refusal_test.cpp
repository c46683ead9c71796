/// What a tokenizer.json or a text is refused for, and that the message names it.

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/data/tokenizer/small_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using nlohmann::json;
using test::added_token;
using test::message_of;
using test::small_file;
using test::split;
using testing::HasSubstr;

std::string refusal_of_text(const std::string& text) {
  return message_of<DataError>([&] { Tokenizer::from_json(text); });
}

TEST(TokenizerRefusal, ASmallFileIsTaken) { EXPECT_EQ(Tokenizer::from_json(dump_json(small_file())).vocab_size(), 6); }

TEST(TokenizerRefusal, NamesTheMissingFile) {
  const test::TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { Tokenizer::from_file(folder.path() / "tokenizer.json"); }),
              HasSubstr("tokenizer.json"));
}

TEST(TokenizerRefusal, NamesTheFileThatIsNoJson) {
  const std::string whole = dump_json(small_file());
  for (const std::string& text : {std::string(), std::string("{"), whole.substr(0, whole.size() / 2), whole + "}",
                                  std::string("{\"version\": \"\\ud800\"}"), std::string("{\"version\": \"\xff\"}")}) {
    const test::TempFolder folder;
    const auto path = folder.write("tokenizer.json", text);
    EXPECT_THAT(message_of<DataError>([&] { Tokenizer::from_file(path); }), HasSubstr(path.string())) << text;
  }
}

TEST(TokenizerRefusal, WantsAnObject) {
  EXPECT_THAT(refusal_of_text("[1, 2]"), HasSubstr("must hold one JSON object; got [1,2]"));
}

TEST(TokenizerRefusal, CapsTheNesting) {
  std::string bomb = "{\"normalizer\":";
  bomb.append(100000, '[').append(100000, ']').append("}");
  EXPECT_THAT(refusal_of_text(bomb), HasSubstr("at most 64 levels"));
}

TEST(TokenizerRefusal, NamesAFieldThatStandsTwice) {
  EXPECT_THAT(refusal_of_text(R"({"version": "1.0", "version": "1.0"})"), HasSubstr("\"version\" twice"));
}

struct Change {
  const char* what;
  std::function<void(json&)> change;
  std::vector<std::string> named;  ///< all of them stand in the message
};

class RefusedFile : public testing::TestWithParam<Change> {};

TEST_P(RefusedFile, IsNamed) {
  json file = small_file();
  GetParam().change(file);
  const std::string message = refusal_of_text(dump_json(file));
  for (const std::string& named : GetParam().named) EXPECT_THAT(message, HasSubstr(named));
}

const Change kSections[] = {
    {"UnknownSection", [](json& f) { f["chat"] = 1; }, {"no sections but version, truncation", "\"chat\""}},
    {"NewerVersion", [](json& f) { f["version"] = "2.0"; }, {"tokenizer.json: version", "\"1.0\"", "\"2.0\""}},
    {"NoModel", [](json& f) { f.erase("model"); }, {"tokenizer.json: model must be an object; got nothing"}},
    {"ModelIsANumber", [](json& f) { f["model"] = 3; }, {"model must be an object; got 3"}},
    {"Model", [](json& f) { f["model"]["type"] = "Unigram"; }, {"model.type", "BPE", "got \"Unigram\""}},
    {"Normalizer",
     [](json& f) {
       f["normalizer"] = {{"type", "Precompiled"}};
     },
     {"normalizer.type", "NFC, NFD, NFKC, NFKD, Lowercase", "got \"Precompiled\""}},
    {"NormalizerInASequence",
     [](json& f) {
       f["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}};
     },
     {"normalizer.normalizers[1].type", "got \"Nmt\""}},
    {"NormalizerWithoutAType", [](json& f) { f["normalizer"] = json::object(); }, {"normalizer.type must be a string"}},
    {"NormalizerField",
     [](json& f) {
       f["normalizer"] = {{"type", "Strip"}, {"strip_left", 1}};
     },
     {"normalizer.strip_left must be true or false; got 1"}},
    {"PreTokenizer",
     [](json& f) {
       f["pre_tokenizer"] = {{"type", "Metaspace"}};
     },
     {"pre_tokenizer.type", "Split, ByteLevel", "got \"Metaspace\""}},
    {"Behavior",
     [](json& f) { f["pre_tokenizer"] = split("a", "isolated"); },
     {"pre_tokenizer.behavior", "Removed, Isolated", "got \"isolated\""}},
    {"PatternOfAnotherKind",
     [](json& f) {
       f["pre_tokenizer"] = split("a"), f["pre_tokenizer"]["pattern"] = {{"Glob", "*"}};
     },
     {"pre_tokenizer.pattern", "got an object"}},
    {"Decoder",
     [](json& f) {
       f["decoder"] = {{"type", "CTC"}};
     },
     {"decoder.type", "ByteLevel", "got \"CTC\""}},
    {"DecoderStrip",
     [](json& f) {
       f["decoder"] = {{"type", "Strip"}, {"content", "ab"}, {"start", 1}, {"stop", 0}};
     },
     {"decoder.content must be one character; got \"ab\""}},
    {"PostProcessor",
     [](json& f) {
       f["post_processor"] = {{"type", "Rewrite"}};
     },
     {"post_processor.type", "TemplateProcessing", "got \"Rewrite\""}},
};

const Change kModels[] = {
    {"NoVocabulary", [](json& f) { f["model"].erase("vocab"); }, {"model.vocab", "got nothing"}},
    {"NoMerges", [](json& f) { f["model"].erase("merges"); }, {"model.merges must be an array; got nothing"}},
    {"NegativeId", [](json& f) { f["model"]["vocab"]["a"] = -1; }, {"model.vocab", "\"a\"", "got -1"}},
    {"HugeId", [](json& f) { f["model"]["vocab"]["a"] = 1ull << 31; }, {"model.vocab", "\"a\"", "got 2147483648"}},
    {"HugerId", [](json& f) { f["model"]["vocab"]["a"] = ~0ull; }, {"\"a\"", "got 18446744073709551615"}},
    {"FractionalId", [](json& f) { f["model"]["vocab"]["a"] = 1.5; }, {"\"a\"", "got 1.5"}},
    {"TextAsId", [](json& f) { f["model"]["vocab"]["a"] = "0"; }, {"\"a\"", "got \"0\""}},
    {"IdTwice", [](json& f) { f["model"]["vocab"]["b"] = 0; }, {"got id 0 for \"a\" and \"b\""}},
    {"MergeOfAnUnknownToken", [](json& f) { f["model"]["merges"][1] = "ab x"; }, {"model.merges[1]", "got \"x\""}},
    {"MergeIntoAnUnknownToken", [](json& f) { f["model"]["merges"][1] = "b c"; }, {"model.merges[1]", "got \"bc\""}},
    {"MergeOfThree", [](json& f) { f["model"]["merges"][0] = "a b c"; }, {"model.merges[0]", "a b c"}},
    {"MergeOfOne", [](json& f) { f["model"]["merges"][0] = json::array({"a"}); }, {"model.merges[0]"}},
    {"MergesOfTwoForms",
     [](json& f) {
       f["model"]["merges"][1] = {"ab", "c"};
     },
     {"model.merges[1]", "one form"}},
    {"MergeWithoutThePrefix",
     [](json& f) { f["model"]["continuing_subword_prefix"] = "##"; },
     {"model.merges[0]", "prefix \"##\"", "got \"b\""}},
    {"Dropout", [](json& f) { f["model"]["dropout"] = 0.1; }, {"model.dropout must be null or 0", "got 0.1"}},
    {"FieldOfAnotherType", [](json& f) { f["model"]["fuse_unk"] = "yes"; }, {"model.fuse_unk", "got \"yes\""}},
};

const Change kAddedTokens[] = {
    {"NoContent",
     [](json& f) {
       f["added_tokens"] = {{{"id", 6}}};
     },
     {"added_tokens[0].content", "got nothing"}},
    {"EmptyContent", [](json& f) { f["added_tokens"] = {added_token(6, "")}; }, {"added_tokens[0].content", "got 0"}},
    {"LongContent", [](json& f) { f["added_tokens"] = {added_token(6, std::string(2000, 'x'))}; }, {"got 2000"}},
    {"NotAnObject", [](json& f) { f["added_tokens"] = {"<x>"}; }, {"added_tokens[0] must be an object; got \"<x>\""}},
    {"ContentTwice",
     [](json& f) {
       f["added_tokens"] = {added_token(6, "<x>"), added_token(7, "<x>")};
     },
     {"added_tokens[1].content", "got \"<x>\" again"}},
    {"IdOtherThanThePackages",
     [](json& f) { f["added_tokens"] = {added_token(9, "<x>")}; },
     {"added_tokens[0].id of \"<x>\" must be 6", "got 9"}},
    {"IdOtherThanTheVocabularys",
     [](json& f) { f["added_tokens"] = {added_token(6, "ab")}; },
     {"added_tokens[0].id of \"ab\" must be 3", "got 6"}},
    {"IdOfAnotherToken",
     [](json& f) { f["model"]["vocab"]["abc"] = 6, f["added_tokens"] = {added_token(6, "<x>")}; },
     {"added_tokens[0].id must belong to no other token; got 6"}},
    {"NegativeAddedId",
     [](json& f) { f["added_tokens"] = {added_token(-1, "<x>")}; },
     {"added_tokens[0].id", "got -1"}},
    {"EqualOnceNormalized",
     [](json& f) {
       f["normalizer"] = {{"type", "Lowercase"}};
       f["added_tokens"] = {added_token(6, "<x>"), added_token(7, "<X>")};
       for (json& token : f["added_tokens"]) token["normalized"] = true;
     },
     {"added_tokens[1].content", "got \"<x>\" again"}},
};

const auto kNameOf = [](const testing::TestParamInfo<Change>& one) { return std::string(one.param.what); };
INSTANTIATE_TEST_SUITE_P(Section, RefusedFile, testing::ValuesIn(kSections), kNameOf);
INSTANTIATE_TEST_SUITE_P(Model, RefusedFile, testing::ValuesIn(kModels), kNameOf);
INSTANTIATE_TEST_SUITE_P(AddedToken, RefusedFile, testing::ValuesIn(kAddedTokens), kNameOf);

TEST(TokenizerRefusal, NamesATokenThatStandsTwice) {
  const std::string text = R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "a": 2}, "merges": []}})";
  EXPECT_THAT(refusal_of_text(text), HasSubstr("model.vocab must name every token once; got \"a\" twice"));
}

TEST(TokenizerRefusal, SaysWhatInAPatternIsNotBuiltIn) {
  const std::pair<const char*, const char*> patterns[] = {
      {"[a[b]]", "a class inside a class"},
      {"[a&&b]", "an intersection"},
      {"[]", "an empty class"},
      {"[a", "a class without an end"},
      {"[z-a]", "a range that ends before it begins"},
      {"[a-\\d]", "a range without an end"},
      {"[\\d-z]", "a property as the end of a range"},
      {"[a-c-e]", "`-` inside a class"},
      {"(a)\\1", "the escape \\1"},
      {"\\h", "the escape \\h"},
      {"\\", "the end of the pattern"},
      {"\\p{Han}", "the property \"Han\""},
      {"\\p{L", "the property \"L\""},
      {"\\pL", "without a name in braces"},
      {"\\x{110000}", "no code point"},
      {"\\xZ1", "hexadecimal"},
      {"(?i)a", "a group \"(?i)\""},
      {"(?<name>a)", "a group \"(?<n\""},
      {"(?#comment)", "a group \"(?#c\""},
      {"(a", "a group without an end"},
      {"a)", "`)` without a group"},
      {"*a", "a quantifier of nothing"},
      {"^*", "a quantifier of nothing"},
      {"(?=a)+", "a quantifier of nothing"},
      {"a**", "a quantifier of a quantifier"},
      {"a{2,1}", "ends before it begins"},
      {"a{1,2000}", "a repeat above 1000"},
      {"a{1,2}+", "behind an interval"},
      {"a{2}?", "behind an interval"},
      {"a{x}", "begins no interval"},
      {"a]", "outside of a class"},
      {"(?i:ss)", "a ligature"},
      {"(?i:\xC3\xA9)", "U+00E9 where case is ignored"},
      {"(?i:\\p{Lu})", "a property where case is ignored"},
      {"(?i:[^a])", "a complement where case is ignored"},
      {"(?<=a+)b", "not fixed length"},
  };
  for (const auto& [pattern, named] : patterns) {
    json file = small_file();
    file["pre_tokenizer"] = split(pattern);
    const std::string message = refusal_of_text(dump_json(file));
    EXPECT_THAT(message, HasSubstr("tokenizer.json: pre_tokenizer.pattern.Regex")) << pattern;
    EXPECT_THAT(message, HasSubstr(named)) << pattern;
  }
}

TEST(TokenizerRefusal, CapsThePattern) {
  json file = small_file();
  file["pre_tokenizer"] = split(std::string(5000, 'a'));
  EXPECT_THAT(refusal_of_text(dump_json(file)), HasSubstr("a pattern of 5000 bytes"));
  file["pre_tokenizer"] = split("(?:(?:(?:a{1000}){1000}){1000}){1000}");
  EXPECT_THAT(refusal_of_text(dump_json(file)), HasSubstr("must be one that PCRE2 compiles"));
}

TEST(TokenizerRefusal, NamesTheByteWhereATextIsNotUtf8) {
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(small_file()));
  for (const std::string bad : {"\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    const std::string message = message_of<DataError>([&] { tokenizer.encode("ab" + bad); });
    EXPECT_THAT(message, HasSubstr("must be valid UTF-8")) << bad;
    EXPECT_THAT(message, HasSubstr("at byte 2")) << bad;
  }
}

TEST(TokenizerRefusal, NamesTheUnknownTokenThatIsMissing) {
  json file = small_file();
  file["model"]["unk_token"] = "<unk>";
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(file));
  EXPECT_EQ(tokenizer.encode("abc"), (std::vector<int64_t>{4}));
  EXPECT_THAT(message_of<DataError>([&] { tokenizer.encode("abz"); }), HasSubstr("\"<unk>\""));
}

TEST(TokenizerRefusal, NamesTheNegativeId) {
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(small_file()));
  EXPECT_THAT(message_of<DataError>([&] { tokenizer.decode(std::vector<int64_t>{0, -100}); }), HasSubstr("got -100"));
}

TEST(TokenizerRefusal, APatternThatBacktracksWithoutEndIsStopped) {
  json file = small_file();
  file["pre_tokenizer"] = split("(?:a|aa)+$|(?:a+)+b");
  const Tokenizer tokenizer = Tokenizer::from_json(dump_json(file));
  const std::string text = fmt::format("{:a>200}c", "");
  const std::string message = message_of<DataError>([&] { tokenizer.encode(text); });
  EXPECT_THAT(message, HasSubstr("tokenizer.json: pre_tokenizer.pattern.Regex"));
  EXPECT_THAT(message, HasSubstr("bounded time"));
}

}  // namespace
}  // namespace trireme
