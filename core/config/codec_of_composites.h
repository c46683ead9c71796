#pragma once

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/config/choice.h"
#include "core/config/codec.h"

namespace trireme {

class FieldList;

/// A struct with a describe() list.
template <class T>
concept Section = std::is_aggregate_v<T> && requires(T& section, FieldList& list) {
  section.describe(list);
};

template <Choice E>
struct Codec<E> {
  static std::string type() { return choice_type(all_choice_names<E>()); }
  static std::optional<E> read(const YamlNode& node, const ConfigPlace& place, E) {
    const std::optional<std::size_t> index = read_choice(node, place, all_choice_names<E>());
    return index ? std::optional<E>(choice_names(E{})[*index].first) : std::nullopt;
  }
  static YamlNode write(E value, DumpScope) { return YamlNode::string(std::string(choice_name(value))); }
  static void check(E, const ConfigPlace&) {}
};

template <class T>
struct Codec<std::optional<T>> {
  static std::string type() { return Codec<T>::type(); }
  static std::optional<std::optional<T>> read(const YamlNode& node, const ConfigPlace& place,
                                              std::optional<T> current) {
    if (node.kind == YamlNode::Kind::kNull) return std::optional<T>();
    std::optional<T> value = Codec<T>::read(node, place, std::move(current).value_or(T{}));
    return value ? std::optional<std::optional<T>>(std::move(value)) : std::nullopt;
  }
  static YamlNode write(const std::optional<T>& value, DumpScope scope) {
    return value ? Codec<T>::write(*value, scope) : YamlNode{};
  }
  static void check(const std::optional<T>& value, const ConfigPlace& place) {
    if (value) Codec<T>::check(*value, place);
  }
};

template <class T>
struct Codec<std::vector<T>> {
  static std::string type() { return list_type(Codec<T>::type()); }
  /// A refused element is in the report, and its default in the list: the others keep their numbers.
  static std::optional<std::vector<T>> read(const YamlNode& node, const ConfigPlace& place, const std::vector<T>&) {
    if (!expect_list(node, place)) return std::nullopt;
    std::vector<T> values;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const ConfigPlace at = place.item(i);
      at.report.set_line(at.path, node.items[i].line);
      values.push_back(Codec<T>::read(node.items[i], at, T{}).value_or(T{}));
    }
    return values;
  }
  static YamlNode write(const std::vector<T>& values, DumpScope scope) {
    YamlNode node = YamlNode::list();
    for (const T& value : values) node.items.push_back(Codec<T>::write(value, scope));
    return node;
  }
  static void check(const std::vector<T>& values, const ConfigPlace& place) {
    for (std::size_t i = 0; i < values.size(); ++i) Codec<T>::check(values[i], place.item(i));
  }
};

template <class T>
struct Codec<std::map<std::string, T>> {
  static std::string type() { return map_type(Codec<T>::type()); }
  static std::optional<std::map<std::string, T>> read(const YamlNode& node, const ConfigPlace& place,
                                                      const std::map<std::string, T>&) {
    if (!expect_map(node, place)) return std::nullopt;
    std::map<std::string, T> values;
    for (const auto& [key, item] : node.entries) {
      const ConfigPlace at = place.key(key);
      at.report.set_line(at.path, item.line);
      values.emplace(key, Codec<T>::read(item, at, T{}).value_or(T{}));
    }
    return values;
  }
  static YamlNode write(const std::map<std::string, T>& values, DumpScope scope) {
    YamlNode node = YamlNode::map();
    for (const auto& [key, value] : values) node.entries.emplace_back(key, Codec<T>::write(value, scope));
    return node;
  }
  static void check(const std::map<std::string, T>& values, const ConfigPlace& place) {
    for (const auto& [key, value] : values) {
      check_map_key(key, place);
      Codec<T>::check(value, place.key(key));
    }
  }
};

}  // namespace trireme
