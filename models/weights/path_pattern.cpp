#define PCRE2_CODE_UNIT_WIDTH 8
#include "models/weights/path_pattern.h"

#include <array>

#include <pcre2.h>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

std::string error_text(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct PathPattern::Code {
  std::string pattern, where, field;
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_data, Free> match_data;

  bool match(std::string_view path, uint32_t options) const {
    const int result = pcre2_match(code.get(), units(path), path.size(), 0, options, match_data.get(), nullptr);
    TRIREME_CHECK(result >= 0 || result == PCRE2_ERROR_NOMATCH, DataError, where,
                  "{} must match in bounded time; got {} for {} on {}; simplify it.", field, error_text(result),
                  quote_text(pattern), quote_text(path));
    return result >= 0;
  }
};

PathPattern::PathPattern(std::string pattern, std::string where, std::string field) : code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->pattern = std::move(pattern);
  code_->where = std::move(where);
  code_->field = std::move(field);
  code_->code.reset(pcre2_compile(units(code_->pattern), code_->pattern.size(),
                                  PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                  nullptr));
  TRIREME_CHECK(code_->code != nullptr, DataError, code_->where,
                "{} must be a regular expression; got {}: {} at character {}; correct it.", code_->field,
                quote_text(code_->pattern), error_text(error), offset);
  code_->match_data.reset(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
}

PathPattern PathPattern::of_path_end(std::string_view pattern, std::string where, std::string field) {
  return PathPattern(fmt::format("(.*\\.)?({})", pattern), std::move(where), std::move(field));
}

PathPattern::~PathPattern() = default;
PathPattern::PathPattern(PathPattern&&) noexcept = default;
PathPattern& PathPattern::operator=(PathPattern&&) noexcept = default;

bool PathPattern::matches(std::string_view path) const {
  return code_->match(path, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

std::optional<std::string> PathPattern::group_at_start(std::string_view path, const char* group) const {
  if (!code_->match(path, PCRE2_ANCHORED)) return std::nullopt;
  const int number = pcre2_substring_number_from_name(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(group));
  if (number < 0) return std::nullopt;
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(code_->match_data.get());
  const PCRE2_SIZE begin = ends[2 * number], end = ends[2 * number + 1];
  if (begin == PCRE2_UNSET) return std::nullopt;
  return std::string(path.substr(begin, end - begin));
}

}  // namespace trireme
