#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/config/codec.h"

/// Looking into optionals, lists and maps, as the rules of fields do.
namespace trireme::config_detail {

/// double for double, optional<double>, vector<double>, map<string, vector<double>>.
template <class T>
struct Leaf {
  using Type = T;
};
template <class T>
struct Leaf<std::optional<T>> : Leaf<T> {};
template <class T>
struct Leaf<std::vector<T>> : Leaf<T> {};
template <class T>
struct Leaf<std::map<std::string, T>> : Leaf<T> {};
template <class T>
using LeafType = typename Leaf<T>::Type;

/// Calls visit(value, place) for every leaf.
template <class T, class Visit>
void visit_leaves(const T& value, const ConfigPlace& place, const Visit& visit) {
  visit(value, place);
}
template <class T, class Visit>
void visit_leaves(const std::optional<T>& value, const ConfigPlace& place, const Visit& visit);
template <class T, class Visit>
void visit_leaves(const std::map<std::string, T>& values, const ConfigPlace& place, const Visit& visit);
template <class T, class Visit>
void visit_leaves(const std::vector<T>& values, const ConfigPlace& place, const Visit& visit) {
  for (std::size_t i = 0; i < values.size(); ++i) visit_leaves(values[i], place.item(i), visit);
}
template <class T, class Visit>
void visit_leaves(const std::optional<T>& value, const ConfigPlace& place, const Visit& visit) {
  if (value) visit_leaves(*value, place, visit);
}
template <class T, class Visit>
void visit_leaves(const std::map<std::string, T>& values, const ConfigPlace& place, const Visit& visit) {
  for (const auto& [key, value] : values) visit_leaves(value, place.key(key), visit);
}

/// Text, path, list or map.
template <class T>
concept Container = requires(const T& value) {
  value.empty();
};
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
concept CanBeAbsent = Container<T> || kIsOptional<T>;
template <class T>
concept HasContents = Container<T> ||(kIsOptional<T>&& Container<typename T::value_type>);

template <CanBeAbsent T>
bool is_absent(const T& value) {
  if constexpr (Container<T>) {
    return value.empty();
  } else if constexpr (HasContents<T>) {
    return !value || value->empty();
  } else {
    return !value;
  }
}

template <HasContents T>
bool is_set_but_empty(const T& value) {
  if constexpr (Container<T>) {
    return value.empty();
  } else {
    return value && value->empty();
  }
}

}  // namespace trireme::config_detail
