#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/ranges.h>
#include <simdjson.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "data/tokenizer/pattern.h"
#include "data/tokenizer/utf8.h"

namespace trireme {

/// One object of a tokenizer.json and the way to it. The readers check type and presence; every message names the file
/// and the field: `[tokenizer] F: pre_tokenizer.invert must be true or false; got nothing; ..`.
class Component {
 public:
  /// throws DataError: a key that stands twice.
  Component(simdjson::dom::object object, std::string file, std::string path);

  /// "FILE: PATH", or "FILE: PATH.KEY".
  std::string where(std::string_view key = "") const;

  std::optional<simdjson::dom::element> member(std::string_view key) const;  ///< nothing for null, too
  std::vector<std::string_view> keys() const;

  std::string_view string(std::string_view key) const;
  std::optional<std::string_view> optional_string(std::string_view key) const;
  bool boolean(std::string_view key) const;
  bool boolean(std::string_view key, bool fallback) const;
  int64_t integer(std::string_view key, int64_t low, int64_t high) const;
  std::optional<double> optional_number(std::string_view key) const;
  Component object(std::string_view key) const;
  std::optional<Component> optional_object(std::string_view key) const;
  std::vector<Component> objects(std::string_view key) const;
  simdjson::dom::array array(std::string_view key) const;
  /// {"String": text} or {"Regex": pattern}
  Pattern pattern(std::string_view key) const;

  /// throws DataError: `key` must be `required`; got what stands there.
  [[noreturn]] void refuse(std::string_view key, std::string_view required) const;

 private:
  simdjson::dom::object object_;
  std::string file_, path_;
};

/// A component that is built in: its "type" and what makes it.
template <class Kind>
struct BuiltIn {
  std::string_view type;
  std::unique_ptr<const Kind> (*make)(const Component&);
};

/// Makes the component by its type; throws DataError with the list of the types built in when there is no such.
template <class Kind, std::size_t N>
std::unique_ptr<const Kind> make_component(const Component& component, const std::array<BuiltIn<Kind>, N>& built_in) {
  const std::string_view type = component.string("type");
  std::vector<std::string_view> types;
  for (const BuiltIn<Kind>& one : built_in) {
    if (one.type == type) return one.make(component);
    types.push_back(one.type);
  }
  throw DataError("tokenizer",
                  fmt::format("{} must be one of the types built in: {}; got {}; convert the tokenizer, or "
                              "ask for the type.",
                              component.where("type"), fmt::join(types, ", "), quote_text(type)));
}

}  // namespace trireme
