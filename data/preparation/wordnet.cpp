#include "data/preparation/wordnet.h"

#include <charconv>
#include <unordered_map>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

// A line of data.noun (wndb(5WN)): offset, file, type, words (hex count, then word and sense each), pointers (decimal
// count, then symbol, offset, part of speech, words each), .. | definition; "example"; ..
struct Synset {
  std::string_view offset;
  std::string definition;
  std::vector<std::string_view> hypernyms;  ///< offsets in the same file
};

std::string definition_of(std::string_view gloss) {
  gloss = trimmed(gloss);
  gloss = gloss.substr(0, gloss.find("; \""));
  return std::string(trimmed(gloss));
}

std::size_t number(std::string_view text, int base, const TextLine& line) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  TRIREME_CHECK(error == std::errc() && end == text.data() + text.size(), DataError, line.where(),
                "a count must be a number; got {}; reinstall the package.", quote_text(text));
  return value;
}

Synset parse(const TextLine& line) {
  constexpr std::size_t kWordCount = 3, kFieldsPerWord = 2, kFieldsPerPointer = 4;
  const std::size_t bar = line.text.find(" | ");
  const std::vector<std::string_view> fields = split_text(line.text.substr(0, bar), ' ');
  TRIREME_CHECK(bar != std::string_view::npos && fields.size() > kWordCount, DataError, line.where(),
                "a line must be a synset and its gloss; got {}; reinstall the package.", quote_text(line.text));
  const std::size_t pointer_count = kWordCount + 1 + number(fields[kWordCount], 16, line) * kFieldsPerWord;
  TRIREME_CHECK(pointer_count < fields.size(), DataError, line.where(),
                "a synset must have as many words as it says; got {}; reinstall the package.", quote_text(line.text));
  const std::size_t pointers = number(fields[pointer_count], 10, line);
  TRIREME_CHECK(pointers <= (fields.size() - pointer_count - 1) / kFieldsPerPointer, DataError, line.where(),
                "a synset must have as many pointers as it says; got {}; reinstall the package.",
                quote_text(line.text));
  Synset synset{fields[0], definition_of(line.text.substr(bar + 3)), {}};
  for (std::size_t i = 0; i < pointers; ++i) {
    const std::size_t at = pointer_count + 1 + i * kFieldsPerPointer;
    if (fields[at] == "@") synset.hypernyms.push_back(fields[at + 1]);
  }
  return synset;
}

void append_pairs(const std::filesystem::path& file, std::vector<TextPair>& pairs) {
  const std::string text = read_text_file(file);
  std::vector<Synset> synsets;
  std::unordered_map<std::string_view, std::size_t> by_offset;
  for (const TextLine& line : lines_of(text, file)) {
    if (line.text.starts_with("  ") || line.text.empty()) continue;  // the licence, at the head
    synsets.push_back(parse(line));
    by_offset.emplace(synsets.back().offset, synsets.size() - 1);
  }
  for (const Synset& synset : synsets) {
    for (std::string_view offset : synset.hypernyms) {
      const auto found = by_offset.find(offset);
      TRIREME_CHECK(found != by_offset.end(), DataError, file.string(),
                    "a hypernym must be a synset of the file; got offset {}; reinstall the package.",
                    quote_text(offset));
      pairs.push_back({synset.definition, synsets[found->second].definition});
    }
  }
}

}  // namespace

std::vector<TextPair> read_hypernym_pairs(const std::filesystem::path& folder) {
  std::vector<TextPair> pairs;
  for (const char* name : {"data.noun", "data.verb"}) append_pairs(folder / name, pairs);
  return pairs;
}

}  // namespace trireme
