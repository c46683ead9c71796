#pragma once

#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace trireme {

/// An enum that can be a field of a config. Its names, in the order in which help and errors list them, come from a
/// function beside the enum, found by argument-dependent lookup; it needs no header of the config system:
///   enum class RopeMode { kMrope, kOned };
///   constexpr auto choice_names(RopeMode) {
///     return std::to_array<std::pair<RopeMode, std::string_view>>({{RopeMode::kMrope, "mrope"},
///                                                                  {RopeMode::kOned, "oned"}});
///   }
template <class E>
concept Choice = std::is_enum_v<E> && requires(E value) {
  choice_names(value).begin()->second;
};

/// The name of a value: "mrope".
template <Choice E>
std::string_view choice_name(E value) {
  for (const auto& [candidate, name] : choice_names(E{}))
    if (candidate == value) return name;
  TRIREME_ASSERT(false, "choice_names() lists no name for enumerator {}", static_cast<long long>(value));
}

/// All names, in order.
template <Choice E>
std::vector<std::string_view> all_choice_names() {
  std::vector<std::string_view> names;
  for (const auto& [value, name] : choice_names(E{})) names.push_back(name);
  return names;
}

}  // namespace trireme
