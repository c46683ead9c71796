#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/fuzz/mutate.h"

namespace trireme {
namespace {

using namespace std::string_literals;

std::string read(const std::string& name) {
  std::ifstream file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/tokenizer" / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::vector<std::string> kPieces{"\"type\":\"Sequence\"",
                                       "\"type\":\"NFKC\"",
                                       "\"type\":\"Split\"",
                                       "\"type\":\"ByteLevel\"",
                                       "\"type\":\"Replace\"",
                                       "{\"Regex\":\"\\\\s+\"}",
                                       "{\"String\":\"\"}",
                                       "\"invert\":true",
                                       "\"byte_fallback\":true",
                                       "\"ignore_merges\":true",
                                       "\"unk_token\":\"a\"",
                                       "\"merges\":[\"a b\"]",
                                       "\"vocab\":{\"a\":0}",
                                       "\"normalized\":true",
                                       "\"lstrip\":true",
                                       "\"behavior\":\"Contiguous\"",
                                       "\\\\p{L}",
                                       "(?i:",
                                       "(?<!",
                                       "[^",
                                       "{1,3}",
                                       "\\\\b",
                                       "null",
                                       "[[[[[[[[",
                                       "\\ud83d\\ude00",
                                       "\\u0000",
                                       "-1",
                                       "4294967296"};

/// Files of every component, with a text that has something for each.
TEST(TokenizerFuzz, FilesEncodeOrAreRefused) {
  fuzz::Corpus corpus{{}, kPieces};
  std::ifstream cases(std::filesystem::path(TRIREME_TEST_DIR) / "golden/tokenizer/components.jsonl");
  for (std::string line; std::getline(cases, line);) {
    const std::string_view start = "{\"file\":", end = ",\"texts\":";
    const std::size_t begin = line.find(start) + start.size();
    corpus.seeds.push_back(line.substr(begin, line.find(end) - begin));
  }
  ASSERT_GT(corpus.seeds.size(), 50u);
  const std::string text = "It's  ab1234 \xE6\xBC\xA2 e\xCC\x81\xCC\xA3\n\n<a>\xF0\x9F\x98\x80 word\0!"s;
  fuzz::survives_mutation("tokenizer_file", corpus, [&](const std::string& input) {
    const Tokenizer tokenizer = Tokenizer::from_json(input);
    try {
      tokenizer.decode(tokenizer.encode(text));
    } catch (const DataError&) {
      // An unknown character without a token for it; the seeds have that too.
    }
  });
}

TEST(TokenizerFuzz, TextsEncodeOrAreRefused) {
  const Tokenizer qwen2 = Tokenizer::from_json(read("qwen2.json")), gpt2 = Tokenizer::from_json(read("gpt2.json"));
  fuzz::Corpus corpus{{"It's 1234 \xE6\xBC\xA2\xE5\xAD\x97 e\xCC\x81\xCC\xA3 <|im_start|>user\n<mask> word  "
                       "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD"},
                      {"<|im_end|>", "'ll", "\xCC\x81\xCC\xA3", "\xE1\x84\x80\xE1\x85\xA1", "    \n\n", "\xED\xA0\x80",
                       "\xE2\x80\x8D"}};
  fuzz::survives_mutation("tokenizer_text", corpus, [&](const std::string& input) {
    qwen2.decode(qwen2.encode(input));
    gpt2.decode(gpt2.encode(input));
  });
}

}  // namespace
}  // namespace trireme
