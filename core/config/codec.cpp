#include "core/config/codec.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "core/config/nearest.h"
#include "core/utf8.h"

namespace trireme {
namespace {

bool is_plain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

/// Reads all of `text` or nothing; a leading plus is allowed, as in YAML.
template <class Number>
std::errc read_number(std::string_view text, Number& number) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return end == text.data() + text.size() ? error : std::errc::invalid_argument;
}

/// The double of a number that is spelt in digits: from_chars would also take "inf", "nan" and "infinity".
std::errc read_decimal(std::string_view text, double& number) {
  if (text.find_first_not_of("+-.0123456789eE") != std::string_view::npos) return std::errc::invalid_argument;
  return read_number(text, number);
}

std::optional<double> read_non_finite(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == ".inf" || text == "+.inf") return kInfinity;
  if (text == "-.inf") return -kInfinity;
  if (text == ".nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0';
}

std::string quotes_remedy(const YamlNode& node, std::string_view otherwise) {
  return std::string(node.quoted ? "remove the quotes" : otherwise);
}

void check_utf8(std::string_view text, const ConfigPlace& place) {
  if (!is_valid_utf8(text)) place.refuse("UTF-8", fmt::format("\"{}\"", shown(text)), "rename it");
}

/// "integers", "(mrope | oned)", "(list of integers)"
std::string plural(const std::string& type) {
  const bool one_word = type.find(' ') == std::string::npos;
  return one_word ? fmt::format("{}s", type) : fmt::format("({})", type);
}

}  // namespace

ConfigPlace ConfigPlace::key(std::string_view name) const {
  return {path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), report};
}

ConfigPlace ConfigPlace::item(std::size_t index) const { return {fmt::format("{}[{}]", path, index), report}; }

std::string double_text(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

std::string value_shown(int64_t value) { return fmt::format("{}", value); }
std::string value_shown(double value) { return fmt::format("{}", value); }
std::string value_shown(const std::string& value) { return fmt::format("\"{}\"", shown(value)); }

std::optional<bool> Codec<bool>::read(const YamlNode& node, const ConfigPlace& place, bool) {
  if (is_plain(node) && node.text == "true") return true;
  if (is_plain(node) && node.text == "false") return false;
  place.refuse("true or false", node.description(), quotes_remedy(node, "write true or false, in small letters"));
  return std::nullopt;
}

std::optional<int64_t> Codec<int64_t>::read(const YamlNode& node, const ConfigPlace& place, int64_t) {
  int64_t value = 0;
  const std::errc error = is_plain(node) ? read_number(node.text, value) : std::errc::invalid_argument;
  if (error == std::errc::result_out_of_range) {
    place.refuse("an integer of 64 bits", node.description(), "choose one between -2^63 and 2^63 - 1");
  } else if (error != std::errc()) {
    place.refuse("an integer", node.description(), quotes_remedy(node, "write digits only, as in 1000"));
  } else if (has_leading_zero(node.text)) {
    place.refuse("an integer without leading zeros, which some readers take for octal", node.description(),
                 fmt::format("write {}", value));
  } else {
    return value;
  }
  return std::nullopt;
}

std::optional<double> Codec<double>::read(const YamlNode& node, const ConfigPlace& place, double) {
  double value = 0;
  const std::errc error = is_plain(node) ? read_decimal(node.text, value) : std::errc::invalid_argument;
  if (error == std::errc()) return value;
  if (is_plain(node))
    if (const std::optional<double> special = read_non_finite(node.text)) return special;
  if (error == std::errc::result_out_of_range) {
    place.refuse("a number that a double can hold", node.description(), "choose one between 1e-307 and 1e308");
  } else {
    place.refuse("a number", node.description(), quotes_remedy(node, "write it as in 0.05 or 1e-4"));
  }
  return std::nullopt;
}

std::optional<std::string> Codec<std::string>::read(const YamlNode& node, const ConfigPlace& place, std::string) {
  if (node.kind == YamlNode::Kind::kScalar) return node.text;
  place.refuse("text", node.description(),
               node.kind == YamlNode::Kind::kNull ? "write some, or \"\" for empty text" : "write one value");
  return std::nullopt;
}

void Codec<std::string>::check(const std::string& value, const ConfigPlace& place) { check_utf8(value, place); }

std::optional<std::filesystem::path> Codec<std::filesystem::path>::read(const YamlNode& node, const ConfigPlace& place,
                                                                        std::filesystem::path) {
  if (node.kind == YamlNode::Kind::kScalar) return std::filesystem::path(node.text);
  place.refuse("a path", node.description(), "write one path");
  return std::nullopt;
}

void Codec<std::filesystem::path>::check(const std::filesystem::path& value, const ConfigPlace& place) {
  check_utf8(value.native(), place);
  if (value.native().find('\0') != std::string::npos)
    place.refuse("a path, without zero bytes", fmt::format("\"{}\"", shown(value.native())), "remove them");
}

std::string list_type(const std::string& element) { return fmt::format("list of {}", plural(element)); }

std::string map_type(const std::string& element) { return fmt::format("map of names to {}", plural(element)); }

std::string choice_type(std::span<const std::string_view> names) { return fmt::format("{}", fmt::join(names, " | ")); }

std::optional<std::size_t> read_choice(const YamlNode& node, const ConfigPlace& place,
                                       std::span<const std::string_view> names) {
  if (node.kind == YamlNode::Kind::kScalar)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (node.text == names[i]) return i;
  const std::vector<std::string> candidates(names.begin(), names.end());
  const std::optional<std::string> near =
      node.kind == YamlNode::Kind::kScalar ? nearest(node.text, candidates) : std::nullopt;
  place.refuse(fmt::format("one of {}", fmt::join(names, ", ")), node.description(),
               near ? fmt::format("did you mean {}?", *near) : "choose one of them");
  return std::nullopt;
}

bool expect_list(const YamlNode& node, const ConfigPlace& place) {
  if (node.kind == YamlNode::Kind::kList) return true;
  place.refuse("a list", node.description(),
               node.kind == YamlNode::Kind::kScalar ? fmt::format("write [{}]", node.description()) : "write [a, b]");
  return false;
}

bool expect_map(const YamlNode& node, const ConfigPlace& place) {
  if (node.kind == YamlNode::Kind::kMap) return true;
  place.refuse("a map of keys to values", node.description(), "write {key: value}, or keys on lines of their own");
  return false;
}

void check_map_key(std::string_view key, const ConfigPlace& place) {
  constexpr std::size_t kLongestKeyBytes = 200;
  const bool writable = !key.empty() && key.size() <= kLongestKeyBytes && is_valid_utf8(key);
  if (!writable)
    place.refuse(fmt::format("under keys of 1 to {} bytes of UTF-8", kLongestKeyBytes),
                 fmt::format("\"{}\"", shown(key)), "rename it");
}

}  // namespace trireme
