#pragma once

#include <cstdint>

#include "core/config/field_count.h"

namespace trireme {

/// field_count() of a config whose keys are its own members and those of its bases, all listed by its describe(). Put
/// behind the struct:
///   template <>
///   consteval int64_t field_count<DataConfig>() {
///     return own_and_base_fields<DataConfig, InputConfig>();
///   }
template <class T, class... Bases>
consteval int64_t own_and_base_fields() {
  return config_detail::count_initialisers<T>() - static_cast<int64_t>(sizeof...(Bases)) +
         (config_detail::count_initialisers<Bases>() + ... + int64_t{0});
}

}  // namespace trireme
