#include "core/io/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

using ::testing::HasSubstr;

TEST(OddJsonValues, AreSetApart) {
  const auto apart = [](std::string_view value) { return with_odd_values_apart(value).value_or("as it was"); };
  EXPECT_EQ(apart("[NaN]"), R"([{"\u0000":"NaN"}])");
  EXPECT_EQ(apart(R"({"a": -Infinity, "b": "NaN"})"), R"({"a": {"\u0000":"-Infinity"}, "b": "NaN"})");
  EXPECT_EQ(apart("123456789012345678901"), R"({"\u0000":"123456789012345678901"})");
  EXPECT_EQ(apart("-9223372036854775809"), R"({"\u0000":"-9223372036854775809"})");
  EXPECT_EQ(apart("[1e999,1]"), R"([{"\u0000":"1e999"},1])");
  EXPECT_EQ(apart(R"({"a": "\ud83d!"})"), R"({"a": {"\u0000":"\"\\ud83d!\""}})");
  EXPECT_EQ(apart(R"({"\ud83d": 1})"), R"({"\ufffd": 1})");
}

TEST(OddJsonValues, ComeBackAsTheyWere) {
  const std::string json =
      R"({"a": [NaN, 123456789012345678901], "b": "\ud83d \"x", "c": {"d": -Infinity, "\u0001": 1}})";
  const std::string apart = with_odd_values_apart(json).value();
  EXPECT_EQ(with_odd_values_back(apart), json);
  const std::string laid_out = R"({ "a" : {
    "\u0000": "NaN"
  } })";
  EXPECT_EQ(with_odd_values_back(laid_out), R"({ "a" : NaN })");
}

TEST(OddJsonValues, AreNoneInWhatStrictParsersTake) {
  for (const char* json : {R"({"a": [1, -2.5e-3, 18446744073709551615, -9223372036854775808, 0.1]})",
                           R"(["\ud83d\ude00", "\\ud83d", "Infinity \" NaN"])", R"("NaN)", "1e-999", "true", ""})
    EXPECT_EQ(with_odd_values_apart(json), std::nullopt) << json;
  for (const char* invalid : {"+1", "01", ".5", "1.", "nan", "- 1", "1e", "Infinit"})
    EXPECT_EQ(with_odd_values_apart(invalid), std::nullopt) << invalid;
}

TEST(JsonFault, SaysWhatKindOfTextItIs) {
  const auto what = [](std::string_view text) { return json_fault(text, "parser's words").what; };
  EXPECT_THAT(what(R"({'id': 'a', 'txt': None})"), HasSubstr("a Python literal"));
  EXPECT_THAT(what(R"({"id": "a", "good": True})"), HasSubstr("a Python literal"));
  EXPECT_THAT(what("id,txt"), HasSubstr("text that does not begin as JSON does"));
  EXPECT_THAT(what("{\"id\": \"caf\xe9\"}"), HasSubstr("byte 0xe9 at 12"));
  EXPECT_EQ(what(R"({"id": "a" "None"})"), "parser's words") << "what stands in a string is no Python";
  for (const char* line : {"[", "[{\"id\": \"a\"},", "{\"id\": \"a\"},", "{", "  },", "]", "\"id\": 1,"})
    EXPECT_TRUE(json_fault(line, "").of_several_lines) << line;
  EXPECT_FALSE(json_fault(R"({"id": 01})", "").of_several_lines);
}

}  // namespace
}  // namespace trireme
