#include "data/tokenizer/pattern.h"

#include <optional>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "data/tokenizer/regex_dialect.h"
#include "data/tokenizer/utf8.h"

namespace trireme {
namespace {

constexpr uint32_t kMaxBacktracks = 10'000'000;
constexpr std::size_t kFirstJitStackBytes = 32 << 10, kMaxJitStackBytes = 64 << 20;
constexpr std::size_t kMaxReplacedBytes = 1 << 30;

struct FreePcre {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
template <class T>
using Owned = std::unique_ptr<T, FreePcre>;

std::string error_text(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

/// One search through one text: the working memory of PCRE2, which threads must not share.
class Search {
 public:
  Search(const pcre2_code& code, std::string_view subject, std::string_view where)
      : code_(code),
        subject_(subject),
        where_(where),
        data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    TRIREME_ASSERT(data_ && context_, "no memory for a match of {} bytes", subject.size());
    pcre2_set_match_limit(context_.get(), kMaxBacktracks);
  }

  std::optional<Span> from(std::size_t start) {
    int result = match(start);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !stack_) {
      stack_.reset(pcre2_jit_stack_create(kFirstJitStackBytes, kMaxJitStackBytes, nullptr));
      pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
      result = match(start);
    }
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    TRIREME_CHECK(
        result > 0, DataError, where_,
        "the pattern must match in bounded time and memory; got {} at character {} of {}; simplify the pattern "
        "or cut the text.",
        error_text(result), start, subject_.size());
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
    return Span{static_cast<uint32_t>(bounds[0]), static_cast<uint32_t>(bounds[1])};
  }

 private:
  int match(std::size_t start) {
    return pcre2_match(&code_, reinterpret_cast<PCRE2_SPTR>(subject_.data()), subject_.size(), start, 0, data_.get(),
                       context_.get());
  }

  const pcre2_code& code_;
  std::string_view subject_, where_;
  Owned<pcre2_match_data> data_;
  Owned<pcre2_match_context> context_;
  Owned<pcre2_jit_stack> stack_;
};

class RegexFinder : public Pattern::Finder {
 public:
  RegexFinder(std::string_view source, std::string_view where) : where_(where), regex_(translate_regex(source, where)) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex_.pcre.data()), regex_.pcre.size(), PCRE2_DOTALL,
                              &error, &offset, nullptr));
    TRIREME_CHECK(code_ != nullptr, DataError, where,
                  "the pattern must be one that PCRE2 compiles; got {} for {}; rewrite it.", error_text(error),
                  quote_text(source));
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // where the system forbids it, matching is slower and the same
  }

  std::vector<Span> find_all(std::string_view text) const override {
    if (utf8::is_ascii(text)) return find_in(text);
    std::vector<Span> matches = find_in(regex_.classes.classes_of(text));
    // From characters to bytes: both run from left to right.
    uint32_t character = 0, byte = 0;
    const auto byte_of = [&](uint32_t wanted) {
      for (; character < wanted; ++character) byte += static_cast<uint32_t>(utf8::at(text, byte).size);
      return byte;
    };
    for (Span& match : matches) {
      match.begin = byte_of(match.begin);
      match.end = byte_of(match.end);
    }
    return matches;
  }

 private:
  std::vector<Span> find_in(std::string_view subject) const {
    std::vector<Span> matches;
    Search search(*code_, subject, where_);
    for (std::size_t start = 0; start <= subject.size();) {
      const std::optional<Span> match = search.from(start);
      if (!match) break;
      if (match->begin == match->end && !matches.empty() && matches.back().end == match->end) {
        ++start;
        continue;
      }
      matches.push_back(*match);
      start = match->end;
    }
    return matches;
  }

  std::string where_;
  ByteRegex regex_;
  Owned<pcre2_code> code_;
};

class LiteralFinder : public Pattern::Finder {
 public:
  explicit LiteralFinder(std::string_view text) : text_(text) {}

  std::vector<Span> find_all(std::string_view text) const override {
    std::vector<Span> matches;
    for (std::size_t at = text.find(text_); at != std::string_view::npos; at = text.find(text_, at + text_.size()))
      matches.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + text_.size())});
    return matches;
  }

 private:
  std::string text_;
};

}  // namespace

Pattern Pattern::regex(std::string_view source, std::string_view where) {
  return Pattern(std::make_unique<RegexFinder>(source, where));
}

Pattern Pattern::literal(std::string_view text) {
  if (text.empty()) return regex("", "tokenizer");
  return Pattern(std::make_unique<LiteralFinder>(text));
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  return text.empty() ? std::vector<Span>{} : finder_->find_all(text);
}

std::string Pattern::replace_all(std::string_view text, std::string_view content) const {
  const std::vector<Span> matches = find_all(text);
  TRIREME_CHECK(matches.size() * content.size() <= kMaxReplacedBytes, DataError, "tokenizer",
                "a Replace may write at most {} bytes; got {} times {}; cut the text.", kMaxReplacedBytes,
                matches.size(), content.size());
  std::string out;
  out.reserve(text.size() + matches.size() * content.size());
  std::size_t done = 0;
  for (const Span& match : matches) {
    out.append(text, done, match.begin - done).append(content);
    done = match.end;
  }
  return out.append(text, done);
}

}  // namespace trireme
