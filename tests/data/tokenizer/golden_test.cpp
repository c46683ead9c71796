/// What the `tokenizers` package makes of texts and ids: the files of tests/golden/tokenizer/make.py.

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/json.h"
#include "data/tokenizer/tokenizer.h"

namespace trireme {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRIREME_TEST_DIR) / "golden/tokenizer";

std::vector<nlohmann::json> read_lines(const std::string& name) {
  std::ifstream file(kFolder / name);
  std::vector<nlohmann::json> records;
  for (std::string line; std::getline(file, line);) records.push_back(parse_json(line));
  return records;
}

class GoldenStyle : public testing::TestWithParam<const char*> {
 protected:
  const Tokenizer tokenizer_ = Tokenizer::from_file(kFolder / (std::string(GetParam()) + ".json"));
  const std::vector<nlohmann::json> records_ = read_lines(std::string(GetParam()) + ".jsonl");
};

TEST_P(GoldenStyle, EncodesAsThePackageDoes) {
  int texts = 0;
  for (const nlohmann::json& record : records_) {
    if (!record.contains("text")) continue;
    const auto text = record["text"].get<std::string>();
    EXPECT_EQ(tokenizer_.encode(text), record["ids"].get<std::vector<int64_t>>()) << record["text"];
    ++texts;
  }
  EXPECT_GT(texts, 300);
}

TEST_P(GoldenStyle, DecodesAsThePackageDoes) {
  int lists = 0;
  for (const nlohmann::json& record : records_) {
    if (!record.contains("decoded")) continue;
    const auto ids = record["ids"].get<std::vector<int64_t>>();
    EXPECT_EQ(tokenizer_.decode(ids), record["decoded"].get<std::string>()) << record["ids"];
    EXPECT_EQ(tokenizer_.decode(ids, true), record["decoded_without_special"].get<std::string>()) << record["ids"];
    ++lists;
  }
  EXPECT_GT(lists, 30);
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, GoldenStyle, testing::Values("qwen2", "gpt2"),
                         [](const auto& style) { return std::string(style.param); });

/// Random files that hold every component and option that is built in.
TEST(GoldenComponents, EncodeAndDecodeAsInThePackage) {
  const std::vector<nlohmann::json> cases = read_lines("components.jsonl");
  EXPECT_GE(cases.size(), 100u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "line " << i + 1);
    const Tokenizer tokenizer = Tokenizer::from_json(dump_json(cases[i]["file"]));
    const nlohmann::json &texts = cases[i]["texts"], &id_lists = cases[i]["id_lists"];
    for (std::size_t k = 0; k < texts.size(); ++k)
      EXPECT_EQ(tokenizer.encode(texts[k].get<std::string>()), cases[i]["ids"][k].get<std::vector<int64_t>>())
          << texts[k];
    for (std::size_t k = 0; k < id_lists.size(); ++k)
      EXPECT_EQ(tokenizer.decode(id_lists[k].get<std::vector<int64_t>>()), cases[i]["decoded"][k].get<std::string>())
          << id_lists[k];
  }
}

}  // namespace
}  // namespace trireme
