#include "data/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <limits>

#include "data/tokenizer/byte_level.h"
#include "data/tokenizer/unicode.h"

namespace trireme {
namespace {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// What becomes of a delimiter. "a--b" cut at "-": Removed a, b; Isolated a, -, -, b; Contiguous a, --, b;
/// MergedWithPrevious a-, -, b; MergedWithNext a, -, -b.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior read_behavior(const Component& component) {
  static constexpr std::array<std::pair<std::string_view, Behavior>, 5> kNames{
      {{"Removed", Behavior::kRemoved},
       {"Isolated", Behavior::kIsolated},
       {"MergedWithPrevious", Behavior::kMergedWithPrevious},
       {"MergedWithNext", Behavior::kMergedWithNext},
       {"Contiguous", Behavior::kContiguous}}};
  const std::string_view text = component.string("behavior");
  for (const auto& [name, behavior] : kNames)
    if (name == text) return behavior;
  component.refuse("behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

struct Piece {
  Span span;
  bool is_delimiter;
};

/// The matches and what lies between them, covering [0, size).
std::vector<Piece> pieces_of(const std::vector<Span>& matches, uint32_t size, bool invert) {
  std::vector<Piece> pieces;
  uint32_t end = 0;
  for (const Span& match : matches) {
    if (end != match.begin) pieces.push_back({{end, match.begin}, invert});
    pieces.push_back({match, !invert});
    end = match.end;
  }
  if (end != size) pieces.push_back({{end, size}, invert});
  return pieces;
}

/// Joins each piece to the one before it where `joins(piece, whether the one before was a delimiter)` says so.
template <class Joins>
std::vector<Span> joined(const std::vector<Piece>& pieces, Joins joins) {
  std::vector<Span> spans;
  bool was_delimiter = false;
  for (const Piece& piece : pieces) {
    if (joins(piece.is_delimiter, was_delimiter) && !spans.empty()) {
      spans.back() = {std::min(spans.back().begin, piece.span.begin), std::max(spans.back().end, piece.span.end)};
    } else {
      spans.push_back(piece.span);
    }
    was_delimiter = piece.is_delimiter;
  }
  return spans;
}

std::vector<Span> apply(Behavior behavior, std::vector<Piece> pieces) {
  const auto first_of_run = [](bool is_delimiter, bool was_delimiter) { return is_delimiter && !was_delimiter; };
  switch (behavior) {
    case Behavior::kRemoved:
      std::erase_if(pieces, [](const Piece& piece) { return piece.is_delimiter; });
      break;
    case Behavior::kIsolated:
      break;
    case Behavior::kContiguous:
      return joined(pieces, [](bool is_delimiter, bool was_delimiter) { return is_delimiter == was_delimiter; });
    case Behavior::kMergedWithPrevious:
      return joined(pieces, first_of_run);
    case Behavior::kMergedWithNext: {
      std::reverse(pieces.begin(), pieces.end());
      std::vector<Span> spans = joined(pieces, first_of_run);
      std::reverse(spans.begin(), spans.end());
      return spans;
    }
  }
  return joined(pieces, [](bool, bool) { return false; });
}

/// Cuts every word at the delimiters that `find(word)` returns.
template <class Find>
Words cut(Words words, Behavior behavior, bool invert, Find find) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    const auto [begin, end] = words.spans[i];
    for (const Span& span : apply(behavior, pieces_of(find(words[i]), end - begin, invert)))
      if (span.begin != span.end) spans.push_back({begin + span.begin, begin + span.end});
  }
  words.spans = std::move(spans);
  return words;
}

/// The code points of a word for which `is_wanted` holds, each a match of its own.
template <class IsWanted>
std::vector<Span> find_code_points(std::string_view word, IsWanted is_wanted) {
  std::vector<Span> found;
  for (std::size_t i = 0; i < word.size();) {
    const auto [c, size] = utf8::at(word, i);
    if (is_wanted(c)) found.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(i + size)});
    i += size;
  }
  return found;
}

class Split : public PreTokenizer {
 public:
  explicit Split(const Component& component)
      : pattern_(component.pattern("pattern")),
        behavior_(read_behavior(component)),
        invert_(component.boolean("invert")) {}

  Words split(Words words) const override {
    return cut(std::move(words), behavior_, invert_, [&](std::string_view word) { return pattern_.find_all(word); });
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const Component& component) : add_prefix_space_(component.boolean("add_prefix_space")) {
    component.boolean("trim_offsets");  // says what offsets are, and nothing about ids
    if (component.boolean("use_regex", true)) pattern_ = Pattern::regex(kGpt2Pattern, component.where());
  }

  Words split(Words words) const override {
    if (add_prefix_space_) {
      words = rewrite(words, [](std::string& text, std::string_view word) {
        if (!word.starts_with(' ')) text += ' ';
        text += word;
      });
    }
    if (pattern_) {
      words = cut(std::move(words), Behavior::kIsolated, false,
                  [&](std::string_view word) { return pattern_->find_all(word); });
    }
    return rewrite(words, byte_level::append);
  }

 private:
  /// append(text, word): writes what the word becomes behind the text.
  template <class Append>
  static Words rewrite(const Words& words, Append append) {
    Words out;
    out.text.reserve(words.text.size() * 2);
    out.spans.reserve(words.spans.size());
    for (std::size_t i = 0; i < words.spans.size(); ++i) {
      const std::size_t begin = out.text.size();
      append(out.text, words[i]);
      out.spans.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(out.text.size())});
    }
    return out;
  }

  bool add_prefix_space_;
  std::optional<Pattern> pattern_;
};

class WhitespaceSplit : public PreTokenizer {
 public:
  explicit WhitespaceSplit(const Component&) {}
  Words split(Words words) const override {
    return cut(std::move(words), Behavior::kRemoved, false,
               [](std::string_view word) { return find_code_points(word, unicode::is_white_space); });
  }
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(const Component& component) {
    for (const Component& step : component.objects("pretokenizers")) steps_.push_back(make_pre_tokenizer(step));
  }
  Words split(Words words) const override {
    for (const auto& step : steps_) words = step->split(std::move(words));
    return words;
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> steps_;
};

template <class T>
std::unique_ptr<const PreTokenizer> make(const Component& component) {
  return std::make_unique<T>(component);
}

constexpr std::array<BuiltIn<PreTokenizer>, 4> kBuiltIn{{{"Split", make<Split>},
                                                         {"ByteLevel", make<ByteLevel>},
                                                         {"WhitespaceSplit", make<WhitespaceSplit>},
                                                         {"Sequence", make<Sequence>}}};

}  // namespace

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Component& component) {
  return make_component(component, kBuiltIn);
}

}  // namespace trireme
