#include "core/io/fingerprint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/json.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

std::string_view key_of(FingerprintPart part) {
  for (const auto& [each, name] : choice_names(part))
    if (each == part) return name;
  TRIREME_ASSERT(false, "part {}", static_cast<int>(part));
}

std::string in_words(FingerprintPart part) {
  std::string words(key_of(part));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

/// The first digits of a hash, else the value.
std::string shown_value(std::string_view value) {
  constexpr std::size_t kHashDigits = 64, kShownDigits = 12;
  if (value.empty()) return "unknown";
  return std::string(value.size() == kHashDigits ? value.substr(0, kShownDigits) : value);
}

/// `text_of(part)` for each, with commas between.
template <class Text>
std::string listed(std::span<const FingerprintPart> parts, const Text& text_of) {
  std::string list;
  for (const FingerprintPart part : parts) list += (list.empty() ? "" : ", ") + text_of(part);
  return list;
}

}  // namespace

void Fingerprint::set_hash_of(FingerprintPart part, std::string_view text) {
  set(part, sha256_hex(std::as_bytes(std::span(text))));
}

void Fingerprint::add(const Fingerprint& other) {
  for (const auto& [part, value] : other.parts_) parts_[part] = value;
}

std::string_view Fingerprint::get(FingerprintPart part) const {
  const auto found = parts_.find(part);
  return found == parts_.end() ? std::string_view() : found->second;
}

std::string Fingerprint::json() const {
  Json json = Json::object();
  for (const auto& [part, value] : parts_) json[std::string(key_of(part))] = value;
  return dump_json(json);
}

Fingerprint Fingerprint::from_json(std::string_view text, std::string_view where) {
  const Json json = try_parse_ordered_json(text);
  TRIREME_CHECK(json.is_object(), DataError, where,
                "the fingerprint must be a JSON object of texts; got {}; make the file again.",
                quote_text(text.substr(0, 40)));
  Fingerprint fingerprint;
  const auto names = choice_names(FingerprintPart{});
  for (const auto& [key, value] : json.items()) {
    const auto known =
        std::find_if(names.begin(), names.end(), [&, &name = key](const auto& entry) { return entry.second == name; });
    TRIREME_CHECK(known != names.end() && value.is_string(), DataError, where,
                  "the fingerprint must have texts under {}; got {}: {}; make the file again.",
                  names_of(all_fingerprint_parts()), quote_text(key), quote_text(dump_json(value).substr(0, 40)));
    fingerprint.set(known->first, value.get<std::string>());
  }
  return fingerprint;
}

std::map<std::string, std::string> Fingerprint::by_name() const {
  std::map<std::string, std::string> values;
  for (const auto& [part, value] : parts_) values.emplace(key_of(part), value);
  return values;
}

Fingerprint Fingerprint::from_names(const std::map<std::string, std::string>& values) {
  Fingerprint fingerprint;
  for (const auto& [part, name] : choice_names(FingerprintPart{}))
    if (const auto found = values.find(std::string(name)); found != values.end()) fingerprint.set(part, found->second);
  return fingerprint;
}

std::string Fingerprint::sha256() const {
  const std::string text = json();
  return sha256_hex(std::as_bytes(std::span(text)));
}

Fingerprint combined(std::span<const Fingerprint> fingerprints) {
  Fingerprint all;
  for (const FingerprintPart part : all_fingerprint_parts()) {
    std::vector<std::string> values;
    for (const Fingerprint& each : fingerprints)
      if (const std::string_view value = each.get(part); !value.empty()) values.emplace_back(value);
    if (values.empty()) continue;
    if (std::all_of(values.begin(), values.end(), [&](const std::string& value) { return value == values.front(); })) {
      all.set(part, values.front());
    } else {
      all.set_hash_of(part, fmt::format("{}", fmt::join(values, "\n")));
    }
  }
  return all;
}

std::vector<FingerprintPart> differing_parts(const Fingerprint& a, const Fingerprint& b,
                                             std::span<const FingerprintPart> among) {
  std::vector<FingerprintPart> parts;
  for (const FingerprintPart part : among) {
    const std::string_view of_a = a.get(part), of_b = b.get(part);
    if (!of_a.empty() && !of_b.empty() && of_a != of_b) parts.push_back(part);
  }
  return parts;
}

std::vector<FingerprintPart> all_fingerprint_parts() {
  std::vector<FingerprintPart> parts;
  for (const auto& [part, name] : choice_names(FingerprintPart{})) parts.push_back(part);
  return parts;
}

std::string names_of(std::span<const FingerprintPart> parts) { return listed(parts, in_words); }

std::string difference_of(const Fingerprint& then, const Fingerprint& now, std::span<const FingerprintPart> parts) {
  const std::string names = names_of(parts);
  return fmt::format("{} {} ({} then and {} now)", names,
                     parts.size() > 1 || names.ends_with('s') ? "differ" : "differs", values_of(then, parts),
                     values_of(now, parts));
}

std::string values_of(const Fingerprint& fingerprint, std::span<const FingerprintPart> parts) {
  return listed(parts, [&](FingerprintPart part) { return in_words(part) + " " + shown_value(fingerprint.get(part)); });
}

}  // namespace trireme
