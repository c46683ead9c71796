#pragma once

#include "core/config/choice.h"
#include "core/config/config.h"
#include "launch/config_arguments.h"
#include "trainers/lamra_rank.h"
#include "trainers/lamra_ret.h"

namespace trireme {

/// Calls `run` with the resolved config of the recipe that the file names, so with any of their types. A recipe that is
/// not known is refused by the first one's config. throws ConfigError: whatever is wrong with the config.
template <class F>
auto with_recipe_config(const ConfigArguments& arguments, F&& run) {
  const ConfigSource source = ConfigSource::read(arguments.config, arguments.overrides);
  if (source.scalar("recipe") == choice_name(Recipe::kLamraRank)) return run(Resolved<LamraRankConfig>::from(source));
  return run(Resolved<LamraRetConfig>::from(source));
}

}  // namespace trireme
