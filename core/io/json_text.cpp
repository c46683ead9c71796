#include "core/io/json_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "core/io/text.h"
#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.'; }

/// The end of the string that begins at `begin`: after its closing quote, or at the end of the text.
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  for (std::size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

std::size_t end_of_word(std::string_view text, std::size_t begin) {
  while (begin < text.size() && is_word(text[begin])) ++begin;
  return begin;
}

/// -?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?
bool is_json_number(std::string_view word) {
  const auto digits = [&] {
    std::size_t count = 0;
    while (count < word.size() && word[count] >= '0' && word[count] <= '9') ++count;
    word.remove_prefix(count);
    return count;
  };
  if (word.starts_with('-')) word.remove_prefix(1);
  const bool zero = word.starts_with('0');
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (word.starts_with('.')) {
    word.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (word.starts_with('e') || word.starts_with('E')) {
    word.remove_prefix(1);
    if (word.starts_with('-') || word.starts_with('+')) word.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return word.empty();
}

template <class T>
bool fits(std::string_view word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size();
}

/// A value that Python reads and strict parsers do not.
bool is_odd_word(std::string_view word) {
  if (word == "NaN" || word == "Infinity" || word == "-Infinity") return true;
  if (!is_json_number(word)) return false;
  if (word.find_first_of(".eE") == std::string_view::npos) return !fits<int64_t>(word) && !fits<uint64_t>(word);
  return std::isinf(std::strtod(std::string(word).c_str(), nullptr));
}

std::optional<uint32_t> escape_at(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\\u" || at + 6 > text.size()) return std::nullopt;
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(text.data() + at + 2, text.data() + at + 6, code, 16);
  if (error != std::errc() || end != text.data() + at + 6) return std::nullopt;
  return code;
}

/// The string with halves of surrogate pairs as U+FFFD; nullopt when it has none.
std::optional<std::string> without_halves(std::string_view string) {
  std::string out;
  bool found = false;
  for (std::size_t i = 0; i < string.size();) {
    if (string[i] != '\\') {
      out += string[i++];
      continue;
    }
    const auto code = escape_at(string, i);
    if (!code) {  // an escape of two characters
      out += string.substr(i, 2);
      i += 2;
      continue;
    }
    const bool high = *code >= 0xd800 && *code < 0xdc00, low = *code >= 0xdc00 && *code < 0xe000;
    const auto next = high ? escape_at(string, i + 6) : std::nullopt;
    const bool pair = next && *next >= 0xdc00 && *next < 0xe000;
    const std::size_t bytes = pair ? 12 : 6;
    if ((high || low) && !pair) {
      out += "\\ufffd";
      found = true;
    } else {
      out += string.substr(i, bytes);
    }
    i += bytes;
  }
  if (!found) return std::nullopt;
  return out;
}

std::string apart(std::string_view value) {
  std::string out = "{\"\\u0000\":\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"}";
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Whether one of Python's words for values stands outside of strings, in single quotes too.
bool has_python_word(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      i = end_of_string(text, i);
    } else if (is_word(text[i])) {
      const std::size_t end = end_of_word(text, i);
      const std::string_view word = text.substr(i, end - i);
      if (word == "None" || word == "True" || word == "False" || word == "nan" || word == "inf") return true;
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

bool starts_python_literal(std::string_view text) {
  const std::size_t inside = text.find_first_not_of(" \t", 1);
  return (text[0] == '{' || text[0] == '[') && inside != std::string_view::npos && text[inside] == '\'';
}

}  // namespace

std::optional<std::string> with_odd_values_apart(std::string_view json) {
  std::string out;
  bool found = false;
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] == '"') {
      const std::size_t end = end_of_string(json, i);
      const std::string_view string = json.substr(i, end - i);
      const auto whole = without_halves(string);
      const std::size_t after = json.find_first_not_of(kBlanks, end);
      const bool key = after != std::string_view::npos && json[after] == ':';
      out += !whole ? std::string(string) : key ? *whole : apart(string);
      found = found || whole;
      i = end;
    } else if (is_word(json[i])) {
      const std::size_t end = end_of_word(json, i);
      const std::string_view word = json.substr(i, end - i);
      const bool odd = is_odd_word(word);
      out += odd ? apart(word) : std::string(word);
      found = found || odd;
      i = end;
    } else {
      out += json[i++];
    }
  }
  if (!found) return std::nullopt;
  return out;
}

std::string with_odd_values_back(std::string_view json) {
  constexpr std::string_view kKey = "\"\\u0000\"";
  std::string out;
  const auto after_blanks = [&](std::size_t at) { return std::min(json.find_first_not_of(kBlanks, at), json.size()); };
  for (std::size_t i = 0; i < json.size();) {
    if (json[i] == '"') {
      const std::size_t end = end_of_string(json, i);
      out += json.substr(i, end - i);
      i = end;
      continue;
    }
    const std::size_t key = after_blanks(i + 1);
    if (json[i] != '{' || json.substr(key, kKey.size()) != kKey) {
      out += json[i++];
      continue;
    }
    const std::size_t value = after_blanks(after_blanks(key + kKey.size()) + 1);  // after the colon
    const std::size_t end = end_of_string(json, value);
    for (std::size_t c = value + 1; c + 1 < end; ++c) out += json[c] == '\\' ? json[++c] : json[c];
    i = after_blanks(end) + 1;  // after the closing brace
  }
  return out;
}

JsonFault json_fault(std::string_view text, std::string_view parser_said) {
  if (!is_valid_utf8(text)) return {first_bad_byte(text)};
  if (text.find('\0') != std::string_view::npos) return {"zero bytes, as no text has"};
  const std::string_view json = trimmed(text);
  if (json.empty()) return {"nothing but blanks"};
  const char first = json.front(), last = json.back();
  if ((first == '{' || first == '[') && last == ',')
    return {"a value and a comma, as an array over several lines has it", true};
  if (json.find_first_not_of("]},") == std::string_view::npos)
    return {"the end of a value that began on another line", true};
  if (starts_python_literal(json) || has_python_word(json))
    return {"a Python literal, which is no JSON (json.dumps writes JSON)"};
  if (first == '[' && last != ']') return {"an array without its end", true};
  if (first == '{' && last != '}') return {"an object without its end", true};
  if (first == '"') return {"a field without its object", true};
  if (first != '{' && first != '[') return {"text that does not begin as JSON does"};
  return {std::string(parser_said)};
}

}  // namespace trireme
