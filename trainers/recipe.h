#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace trireme {

/// What `trireme train` runs.
enum class Recipe { kLamraRet, kLamraRank };
constexpr auto choice_names(Recipe) {
  return std::to_array<std::pair<Recipe, std::string_view>>(
      {{Recipe::kLamraRet, "lamra_ret"}, {Recipe::kLamraRank, "lamra_rank"}});
}

}  // namespace trireme
