#pragma once

#include <cstdint>
#include <type_traits>

namespace trireme {

namespace config_detail {

/// Stands for an initialiser of any type; only ever named where nothing is evaluated.
struct AnyInitialiser {
  template <class T>
  operator T() const;
};

template <class T, class... Any>
consteval int64_t count_initialisers() {
  if constexpr (requires { T{Any{}..., AnyInitialiser{}}; }) {
    return count_initialisers<T, Any..., AnyInitialiser>();
  } else {
    return sizeof...(Any);
  }
}

}  // namespace config_detail

/// The number of members of an aggregate: the most initialisers that T{..} takes. Members may be of any type but a C
/// array (std::array counts as one); a base class counts as one. Put behind every config struct
///   static_assert(field_count<OptimConfig>() == 2, "describe() must list every field");
/// so that a new member does not compile until somebody looked at describe(). Whether describe() then really lists
/// that many, each of them once, is checked whenever it is run (FieldList).
template <class T>
consteval int64_t field_count() {
  static_assert(std::is_aggregate_v<T>, "a config struct has no constructors and no private members");
  return config_detail::count_initialisers<T>();
}

}  // namespace trireme
