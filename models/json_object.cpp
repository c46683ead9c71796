#include "models/json_object.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/error.h"
#include "core/io/json_text.h"
#include "core/io/quote.h"
#include "core/io/text.h"
#include "core/printable.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxBytes = 16u << 20;
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxFields = 10'000;  // of all objects together; ordered_json looks a field up by linear search
constexpr std::size_t kShownBytes = 120;

/// Depth and breadth are checked while parsing, so that a bomb is refused before it becomes a tree.
Json parse(const std::string& text, const std::string& file) {
  int64_t fields = 0;
  const auto check_size = [&](int depth, Json::parse_event_t event, Json&) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (event == Json::parse_event_t::key) ++fields;
    TRIREME_CHECK(!opens || depth < kMaxDepth, DataError, file,
                  "the file must not nest deeper than {} levels; got more; take the checkpoint's own file.", kMaxDepth);
    TRIREME_CHECK(fields <= kMaxFields, DataError, file,
                  "the file must have at most {} fields; got more; take the checkpoint's own file.", kMaxFields);
    return true;
  };
  try {
    try {
      return Json::parse(text, check_size);
    } catch (const Json::exception&) {
      const auto apart = with_odd_values_apart(text);
      if (!apart) throw;
      fields = 0;
      return Json::parse(*apart, check_size);
    }
  } catch (const Json::exception& error) {
    const std::string said = quote_text(error.what(), kShownBytes);
    throw DataError(file, fmt::format("the file must be JSON; got {}; take the checkpoint's own file.",
                                      json_fault(text, said).what));
  }
}

template <class T>
constexpr std::string_view kTypeName;
template <>
constexpr std::string_view kTypeName<bool> = "true or false";
template <>
constexpr std::string_view kTypeName<int64_t> = "an integer";
template <>
constexpr std::string_view kTypeName<double> = "a number";
template <>
constexpr std::string_view kTypeName<std::string> = "a string";
template <>
constexpr std::string_view kTypeName<std::vector<int64_t>> = "a list of integers";
template <>
constexpr std::string_view kTypeName<std::vector<std::string>> = "a list of strings";
template <>
constexpr std::string_view kTypeName<JsonObject> = "an object";

template <class T>
bool is_a(const Json& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
  } else if constexpr (std::is_same_v<T, double>) {
    return value.is_number() && std::isfinite(value.get<double>());
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value.is_string();
  } else {
    return value.is_array() && std::all_of(value.begin(), value.end(), is_a<typename T::value_type>);
  }
}

}  // namespace

JsonObject JsonObject::read(const std::filesystem::path& file) {
  auto value = std::make_shared<Json>(parse(read_utf8_file(file, kMaxBytes), file.string()));
  TRIREME_CHECK(value->is_object(), DataError, file.string(),
                "the file must hold a JSON object; got {}; take the checkpoint's own file.", value->type_name());
  return JsonObject(std::move(value), file.string(), "");
}

const Json* JsonObject::value_at(std::string_view key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

bool JsonObject::has(std::string_view key) const { return value_at(key) != nullptr; }

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_->items()) keys.push_back(key);
  return keys;
}

template <class T>
std::optional<T> JsonObject::find(std::string_view key) const {
  const Json* value = value_at(key);
  if (value == nullptr) return std::nullopt;
  const auto require = [&](bool right_type) {
    TRIREME_CHECK(right_type, DataError, file_, "{} must be {}; got {}; correct the file.", path_of(key), kTypeName<T>,
                  shown(key));
  };
  if constexpr (std::is_same_v<T, JsonObject>) {
    require(value->is_object());
    // The parent's tree stays alive with its child; nothing is copied.
    return JsonObject(std::shared_ptr<const Json>(value_, value), file_, path_of(key) + ".");
  } else {
    require(is_a<T>(*value));
    return value->get<T>();
  }
}

template <class T>
T JsonObject::get(std::string_view key) const {
  std::optional<T> value = find<T>(key);
  TRIREME_CHECK(value.has_value(), DataError, file_, "{} must be given ({}); got nothing; complete the file.",
                path_of(key), kTypeName<T>);
  return *std::move(value);
}

bool JsonObject::is_off(std::string_view key) const {
  const Json* value = value_at(key);
  if (value == nullptr) return true;
  if (value->is_boolean()) return !value->get<bool>();
  if (value->is_number()) return value->get<double>() == 0;
  if (value->is_string()) return value->get_ref<const std::string&>().empty();
  return value->empty();
}

bool JsonObject::is_array(std::string_view key) const {
  const Json* value = value_at(key);
  return value != nullptr && value->is_array();
}

bool JsonObject::is_string(std::string_view key) const {
  const Json* value = value_at(key);
  return value != nullptr && value->is_string();
}

std::string JsonObject::shown(std::string_view key) const {
  const Json* value = value_at(key);
  if (value == nullptr) return "nothing";
  const bool odd = value->is_object() && value->size() == 1 && value->contains(kOddValueKey);
  const std::string text = odd ? printable(value->begin()->get<std::string>())
                               // ASCII: the rest is escaped
                               : value->dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + " ..";
}

std::string JsonObject::path_of(std::string_view key) const {
  const bool plain = std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  return prefix_ + (plain && key.size() <= kShownBytes ? std::string(key) : quote_text(key));
}

template std::optional<bool> JsonObject::find(std::string_view) const;
template std::optional<int64_t> JsonObject::find(std::string_view) const;
template std::optional<double> JsonObject::find(std::string_view) const;
template std::optional<std::string> JsonObject::find(std::string_view) const;
template std::optional<std::vector<int64_t>> JsonObject::find(std::string_view) const;
template std::optional<std::vector<std::string>> JsonObject::find(std::string_view) const;
template std::optional<JsonObject> JsonObject::find(std::string_view) const;
template bool JsonObject::get(std::string_view) const;
template int64_t JsonObject::get(std::string_view) const;
template double JsonObject::get(std::string_view) const;
template std::string JsonObject::get(std::string_view) const;
template std::vector<int64_t> JsonObject::get(std::string_view) const;
template std::vector<std::string> JsonObject::get(std::string_view) const;
template JsonObject JsonObject::get(std::string_view) const;

}  // namespace trireme
