#include "trainers/recipes/recipes.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {

// TRIREME_RECIPES is the table: RECIPE(lamra_ret) RECIPE(lamra_rank) .., from trainers/CMakeLists.txt. A recipe's file
// gives its row by a function of its name.
#define RECIPE(name) RecipeEntry name();
TRIREME_RECIPES
#undef RECIPE

std::span<const RecipeEntry> recipes() {
#define RECIPE(name) name(),
  static const std::array kRecipes = {TRIREME_RECIPES};
#undef RECIPE
  return kRecipes;
}

const RecipeEntry& recipe_of(const ConfigSource& config) {
  const std::optional<std::string> name = config.scalar("recipe");
  const auto found =
      std::ranges::find_if(recipes(), [&](const RecipeEntry& entry) { return entry.name == name.value_or(""); });
  if (found != recipes().end()) return *found;
  std::vector<std::string_view> names;
  for (const RecipeEntry& entry : recipes()) names.push_back(entry.name);
  throw ConfigError("recipe", fmt::format("must be one of {}; got {}; choose one of them.", fmt::join(names, ", "),
                                          name ? quote_text(*name) : "nothing"));
}

}  // namespace trireme
