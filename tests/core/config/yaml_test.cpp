#include <string>

#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

Resolved<SampleConfig> read(std::string_view yaml) {
  return Resolved<SampleConfig>::from(ConfigSource::parse(yaml, "x.yaml"));
}
std::string refusal(std::string_view yaml) {
  return message_of<ConfigError>([&] { read(yaml); });
}

TEST(ConfigYaml, TakesCommentsDocumentMarksQuotesBlocksAndAByteOrderMark) {
  const auto config = read(
      "\xef\xbb\xbf%YAML 1.2\n---\n# a comment\nname: 'it''s'  # more\r\ntags: [\"\\u00e9\", b]\n"
      "precision: >-\n  bfloat16\noptim:\n...\n");
  EXPECT_EQ(config->name, "it's");
  EXPECT_EQ(config->tags, (std::vector<std::string>{"\xc3\xa9", "b"}));
  EXPECT_EQ(config->precision, "bfloat16");
}

TEST(ConfigYaml, KeepsTextAsItIsWritten) {
  const auto config = read("name: 010\ntags: [true, 1.50, 0x1F, 'null', 12:30:45]\n");
  EXPECT_EQ(config->name, "010");
  EXPECT_EQ(config->tags, (std::vector<std::string>{"true", "1.50", "0x1F", "null", "12:30:45"}));
}

TEST(ConfigYaml, ReadsAliases) {
  const auto config = read("name: &n abc\ntasks: {a: &t {records: r, weight: 2}, b: *t}\ntags: [*n, *n]\n");
  EXPECT_EQ(config->tags, (std::vector<std::string>{"abc", "abc"}));
  EXPECT_EQ(config->tasks.at("b").records, "r");
}

TEST(ConfigYaml, RefusesABillionLaughs) {
  std::string yaml = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (char c = 'b'; c <= 'j'; ++c) {
    const std::string last(1, static_cast<char>(c - 1));
    yaml += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c, last);
  }
  EXPECT_EQ(
      refusal(yaml),
      "[config] x.yaml:4: a config must have at most 20000 values, aliases expanded; got more; shorten it, or keep "
      "data in files of its own.");
}

TEST(ConfigYaml, RefusesAnAliasInsideOfItsAnchor) {
  EXPECT_EQ(refusal("a: &a [*a]\n"),
            "[config] x.yaml:1: an alias must stand after the value of its anchor; got one inside of it; remove it.");
}

TEST(ConfigYaml, RefusesDepth) {
  EXPECT_EQ(refusal(fmt::format("a: {}{}", std::string(40, '['), std::string(40, ']'))),
            "[config] x.yaml:1: a config must have at most 32 levels; got more; flatten it.");
  EXPECT_THAT(refusal(fmt::format("a: {}", std::string(100'000, '['))), testing::HasSubstr("at most 32 levels"));
}

TEST(ConfigYaml, RefusesAnEmptyFile) {
  for (const std::string yaml : {"", "\n\n", "# only words\n", "---\n", "null\n"})
    EXPECT_EQ(refusal(yaml), "[config] x.yaml: a config must have keys; got an empty file; write key: value lines.");
}

TEST(ConfigYaml, RefusesATopLevelThatIsNoMap) {
  EXPECT_EQ(refusal("- a\n- b\n"),
            "[config] x.yaml:1: a config must be key: value lines; got a list of 2; name the key.");
  EXPECT_EQ(refusal("just text\n"),
            "[config] x.yaml:1: a config must be key: value lines; got just text; name the key.");
}

TEST(ConfigYaml, RefusesBrokenYamlByItsLine) {
  EXPECT_EQ(
      refusal("name: a\ntags: [a, b\nseed: 1\n"),
      "[config] x.yaml:3: a config must be well-formed YAML; got: end of sequence flow not found; correct this line.");
  EXPECT_THAT(refusal("name: a\n  seed: 1\n"), testing::StartsWith("[config] x.yaml:2: a config must be well-formed"));
  EXPECT_EQ(refusal("name: 'a\n"),
            "[config] x.yaml:3: a config must be well-formed YAML; got: the end of the file inside of quotes; correct "
            "this line.");
  EXPECT_THAT(refusal("name: *nobody\n"), testing::HasSubstr("x.yaml:1: a config must be well-formed YAML; got: "));
}

TEST(ConfigYaml, RefusesTabsForIndentation) {
  EXPECT_EQ(refusal("name: a\noptim:\n\tpeak_lr: 1\n"),
            "[config] x.yaml:3: lines must be indented by spaces; got a tab; replace it by spaces.");
}

TEST(ConfigYaml, RefusesBytesThatAreNotUtf8) {
  EXPECT_EQ(refusal("name: a\ntags: [caf\xe9]\n"),
            "[config] x.yaml:2: a config must be UTF-8; got \"tags: [caf\\xe9]\"; save the file as UTF-8.");
  for (const std::string& utf16 : {std::string("n\0a\0m\0e\0", 8), std::string("\xff\xfen\0", 4)})
    EXPECT_THAT(refusal(utf16), testing::HasSubstr("a config must be UTF-8 text; got UTF-16 text; save it as UTF-8"));
  EXPECT_THAT(refusal(std::string("name: a\0", 8)), testing::HasSubstr("a config must have no control characters"));
}

TEST(ConfigYaml, RefusesControlCharacters) {
  EXPECT_EQ(refusal("name: a\x04\nseed: x\n"),
            "[config] x.yaml:1: a config must have no control characters; got \"\\x04\"; remove it, or write it as an "
            "escape in double quotes.");
}

TEST(ConfigYaml, RefusesTagsAndSecondDocuments) {
  EXPECT_EQ(
      refusal("name: !!str 3\n"),
      "[config] x.yaml:1: a value must have no tag, its field gives its type; got tag:yaml.org,2002:str; remove it.");
  EXPECT_EQ(refusal("name: a\n---\nname: b\n"),
            "[config] x.yaml:2: a config must be one YAML document; got a second one; remove it.");
}

TEST(ConfigFile, ThatIsMissingIsADataError) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { load_config<SampleConfig>(folder.path() / "none.yaml"); }),
              testing::HasSubstr("none.yaml"));
  EXPECT_THAT(message_of<DataError>([&] { load_config<SampleConfig>(folder.path()); }),
              testing::HasSubstr(folder.path().filename().string()));
}

TEST(ConfigFile, ThatIsHugeIsRefusedUnread) {
  const TempFolder folder;
  const auto file = folder.write("huge.yaml", "name: a\n");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 40);
  EXPECT_THAT(message_of<ConfigError>([&] { load_config<SampleConfig>(file); }),
              testing::HasSubstr("huge.yaml: a config must have at most 1048576 bytes; got 1099511627776; keep data"));
}

TEST(ConfigFile, IsReadAndNamedInProblems) {
  const TempFolder folder;
  const auto file = folder.write("run.yaml", "name: a\nseed: 5\n");
  EXPECT_EQ(load_config<SampleConfig>(file)->seed, 5);
  EXPECT_EQ(message_of<ConfigError>([&] { load_config<SampleConfig>(file, std::vector<std::string>{"seed=x"}); }),
            "[config] command line: seed must be an integer; got x; write digits only, as in 1000.");
}

}  // namespace
}  // namespace trireme::test
