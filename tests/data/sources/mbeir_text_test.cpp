#include "data/sources/mbeir_text.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include "core/json.h"

namespace trireme {
namespace {

TEST(FormatString, EqualsPythonsOnTheGoldenTexts) {
  std::ifstream golden(TRIREME_TEST_DIR "/golden/sources/format_string.jsonl");
  int64_t lines = 0;
  for (std::string line; std::getline(golden, line); ++lines) {
    const auto pair = parse_json(line);
    EXPECT_EQ(format_string(pair[0].get<std::string>()), pair[1].get<std::string>()) << line;
  }
  EXPECT_GT(lines, 400);
}

TEST(FormatQuery, JoinsInstructionAndText) {
  EXPECT_EQ(format_query("find the image", "a dog"), "Find the image. a dog.");
  EXPECT_EQ(format_query("Find the image.", ""), "Find the image.");
}

}  // namespace
}  // namespace trireme
