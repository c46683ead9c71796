#include "core/json.h"

#include <nlohmann/json.hpp>

namespace trireme {
namespace {

template <class Json>
std::string dumped(const Json& value, int indent, BrokenUtf8 broken) {
  using Handler = typename Json::error_handler_t;
  return value.dump(indent, ' ', false, broken == BrokenUtf8::kRefused ? Handler::strict : Handler::replace);
}

}  // namespace

nlohmann::json parse_json(std::string_view text) { return nlohmann::json::parse(text); }
nlohmann::ordered_json parse_ordered_json(std::string_view text) { return nlohmann::ordered_json::parse(text); }
nlohmann::json try_parse_json(std::string_view text) { return nlohmann::json::parse(text, nullptr, false); }
nlohmann::ordered_json try_parse_ordered_json(std::string_view text) {
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

std::string dump_json(const nlohmann::json& value, int indent, BrokenUtf8 broken) {
  return dumped(value, indent, broken);
}
std::string dump_json(const nlohmann::ordered_json& value, int indent, BrokenUtf8 broken) {
  return dumped(value, indent, broken);
}

}  // namespace trireme
