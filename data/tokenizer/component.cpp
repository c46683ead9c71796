#include "data/tokenizer/component.h"

#include <algorithm>

namespace trireme {
namespace {

/// What stands at a place, in the words of a message.
std::string description(std::optional<simdjson::dom::element> value) {
  if (!value) return "nothing";
  switch (value->type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::STRING:
      return quote_text(std::string_view(*value));
    default:
      return simdjson::minify(*value);
  }
}

}  // namespace

Component::Component(simdjson::dom::object object, std::string file, std::string path)
    : object_(object), file_(std::move(file)), path_(std::move(path)) {
  std::vector<std::string_view> names = keys();
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  TRIREME_CHECK(twice == names.end(), DataError, "tokenizer",
                "{} must name every field once; got {} twice; repair the file.", where(), quote_text(*twice));
}

std::string Component::where(std::string_view key) const {
  std::string path = path_;
  if (!key.empty()) path += fmt::format("{}{}", path.empty() ? "" : ".", key);
  return path.empty() ? file_ : fmt::format("{}: {}", file_, path);
}

void Component::refuse(std::string_view key, std::string_view required) const {
  throw DataError("tokenizer", fmt::format("{} must be {}; got {}; repair the file.", where(key), required,
                                           description(member(key))));
}

std::optional<simdjson::dom::element> Component::member(std::string_view key) const {
  simdjson::dom::element value;
  if (object_.at_key(key).get(value) || value.is_null()) return std::nullopt;
  return value;
}

std::vector<std::string_view> Component::keys() const {
  std::vector<std::string_view> names;
  for (const auto& field : object_) names.push_back(field.key);
  return names;
}

std::string_view Component::string(std::string_view key) const {
  const auto value = optional_string(key);
  if (!value) refuse(key, "a string");
  return *value;
}

std::optional<std::string_view> Component::optional_string(std::string_view key) const {
  const auto value = member(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse(key, "a string");
  return std::string_view(*value);
}

bool Component::boolean(std::string_view key) const {
  const auto value = member(key);
  if (!value || !value->is_bool()) refuse(key, "true or false");
  return bool(*value);
}

bool Component::boolean(std::string_view key, bool fallback) const { return member(key) ? boolean(key) : fallback; }

int64_t Component::integer(std::string_view key, int64_t low, int64_t high) const {
  const auto value = member(key);
  int64_t number = 0;
  if (!value || value->get(number) || number < low || number > high)
    refuse(key, fmt::format("a whole number from {} to {}", low, high));
  return number;
}

std::optional<double> Component::optional_number(std::string_view key) const {
  const auto value = member(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) refuse(key, "a number");
  return double(*value);
}

Component Component::object(std::string_view key) const {
  auto value = optional_object(key);
  if (!value) refuse(key, "an object");
  return *std::move(value);
}

std::optional<Component> Component::optional_object(std::string_view key) const {
  const auto value = member(key);
  if (!value) return std::nullopt;
  if (!value->is_object()) refuse(key, "an object");
  return Component(*value, file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

std::vector<Component> Component::objects(std::string_view key) const {
  std::vector<Component> all;
  for (const simdjson::dom::element value : array(key)) {
    const std::string path = fmt::format("{}{}{}[{}]", path_, path_.empty() ? "" : ".", key, all.size());
    TRIREME_CHECK(value.is_object(), DataError, "tokenizer", "{}: {} must be an object; got {}; repair the file.",
                  file_, path, description(value));
    all.emplace_back(value, file_, path);
  }
  return all;
}

simdjson::dom::array Component::array(std::string_view key) const {
  const auto value = member(key);
  if (!value || !value->is_array()) refuse(key, "an array");
  return *value;
}

Pattern Component::pattern(std::string_view key) const {
  const Component choice = object(key);
  if (const auto text = choice.optional_string("String")) return Pattern::literal(*text);
  if (const auto source = choice.optional_string("Regex")) return Pattern::regex(*source, choice.where("Regex"));
  refuse(key, "{\"String\": text} or {\"Regex\": pattern}");
}

}  // namespace trireme
