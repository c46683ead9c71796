#include "trainers/recipes/recipes.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {

// The table: a recipe's file gives its row by this function.
RecipeEntry lamra_ret();
RecipeEntry lamra_rank();

std::span<const RecipeEntry> recipes() {
  static const std::array kRecipes = {lamra_ret(), lamra_rank()};
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
