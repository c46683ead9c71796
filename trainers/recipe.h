#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/distributed/reducer.h"
#include "trainers/measured.h"
#include "trainers/run_validation.h"
#include "trainers/trained_tensors.h"
#include "trainers/training_job.h"

namespace trireme {

/// What train() (train.h), the benchmarks (bench.h) and the table (recipes/recipes.cpp) need of a recipe: a struct with
/// these members, nothing to inherit.
///   Config         what its file holds; a member `run` is the RunConfig.
///   kName, kUnit   "lamra_ret"; what a step is counted in: "pairs".
///   curves()       what gradient() measures, in its order; the first is the loss.
///   R(config, job) opens and checks everything that can be refused before a weight is read. Collective.
///   open(step)     the BatchStream from that step on; what its next() returns has facts_of().
///   load()         reads or draws the weights. Collective.
///   gradient(..)   forward, backward, reduce: the reducer then holds the gradient of the global batch. Collective.
/// And where it has them:
///   updates_per_step()             > 1: gradient(batch, update, reducer) is called so often for a batch (the inner
///                                  updates of reinforcement learning on one set of samples)
///   validation()                   evaluation between steps, of what load() has loaded
///   values_now()                   further values of a line: (name, value)
template <class R>
concept Recipe = requires(R& recipe, const R& constant, const typename R::Config& config, TrainingJob& job) {
  { R::kName } -> std::convertible_to<std::string_view>;
  { R::kUnit } -> std::convertible_to<std::string_view>;
  { R::curves() } -> std::convertible_to<std::vector<Curve>>;
  {R(config, job)};
  { constant.steps_per_epoch() } -> std::convertible_to<int64_t>;
  { constant.units_per_step() } -> std::convertible_to<int64_t>;
  { facts_of(constant.open(int64_t{0}).next()) } -> std::same_as<BatchFacts>;
  { recipe.load() } -> std::same_as<TrainedTensors>;
};

template <class R>
int64_t updates_per_step(const R& recipe) {
  if constexpr (requires { recipe.updates_per_step(); }) return recipe.updates_per_step();
  return 1;
}

template <class R, class Batch>
std::vector<Measurement> gradient_of(R& recipe, const Batch& batch, int64_t update, GradientReducer& reducer) {
  if constexpr (requires { recipe.gradient(batch, update, reducer); }) {
    return recipe.gradient(batch, update, reducer);
  } else {
    return recipe.gradient(batch, reducer);
  }
}

template <class R>
RunValidation validation_of(R& recipe) {
  if constexpr (requires { recipe.validation(); }) return recipe.validation();
  return {};
}

template <class R>
NamedValues values_now(const R& recipe) {
  if constexpr (requires { recipe.values_now(); }) return recipe.values_now();
  return {};
}

}  // namespace trireme
