#include "trainers/step_totals.h"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>

#include "core/error.h"

namespace trireme {
namespace {

/// Behind those of the curves, in the order in which add() has them.
enum Value : std::size_t { kNorm, kSkipped, kTokens, kImages, kDataWait };

std::vector<std::string> value_names(const std::vector<Curve>& curves) {
  std::vector<std::string> names;
  for (const Curve& curve : curves) {
    names.emplace_back(curve.name);
    if (curve.is_ratio) names.back() += ".part";
    if (curve.is_ratio) names.push_back(std::string(curve.name) + ".whole");
  }
  for (const char* name : {"gradient_norm", "skipped", "tokens", "images", "data_wait_s"}) names.emplace_back(name);
  return names;
}

}  // namespace

StepTotals::StepTotals(Communicator& communicator, c10::Device device, std::vector<Curve> curves)
    : ranks_(static_cast<double>(communicator.size())),
      curves_(std::move(curves)),
      sums_(communicator, device, value_names(curves_)) {}

void StepTotals::add(const std::vector<Measurement>& measured, const GradientNorm& norm, const BatchFacts& facts) {
  TRIREME_ASSERT(measured.size() == curves_.size(), "{} values for {} curves", measured.size(), curves_.size());
  std::vector<torch::Tensor> parts;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    TRIREME_ASSERT(measured[i].whole.defined() == curves_[i].is_ratio, "{} as another kind of value", curves_[i].name);
    parts.push_back(measured[i].part);
    if (curves_[i].is_ratio) parts.push_back(measured[i].whole);
  }
  parts.push_back(norm.norm / ranks_);  // every rank's alike: each brings its share of it
  for (const double value : {static_cast<double>(facts.skipped.size()), static_cast<double>(facts.tokens),
                             static_cast<double>(facts.images), facts.waited_s / ranks_}) {
    parts.push_back(sums_.share(value));
  }
  sums_.add(parts);
  unread_steps_.push_back(facts.step);
}

StepTotals::Means StepTotals::take() {
  const auto updates = static_cast<double>(std::max<int64_t>(sums_.steps(), 1));
  const std::vector<double> sums = sums_.take();
  Means means;
  std::size_t at = 0;
  for (const Curve& curve : curves_) {
    const double part = sums[at++];
    const double whole = curve.is_ratio ? sums[at++] : updates;
    means.curves.emplace_back("train/" + std::string(curve.name), whole > 0 ? part / whole : 0);
  }
  means.loss = means.curves.front().second;
  const auto mean = [&](Value value) { return sums[at + value] / updates; };
  means.gradient_norm = mean(kNorm);
  means.skipped = sums[at + kSkipped];
  means.tokens = mean(kTokens);
  means.images = mean(kImages);
  means.data_wait_s = mean(kDataWait);
  return means;
}

std::vector<StepHealth> StepTotals::read_updates() {
  std::vector<StepHealth> steps;
  const std::vector<int64_t> numbers = std::exchange(unread_steps_, {});
  std::size_t candidate_cosine = 0, at = 0;
  for (const Curve& curve : curves_) {
    if (curve.name == "candidate_cosine") candidate_cosine = at;
    at += curve.is_ratio ? 2 : 1;
  }
  for (const std::vector<double>& values : sums_.read_steps()) {
    steps.push_back({.step = numbers[steps.size()],
                     .loss = values.front(),
                     .gradient_norm = values[at + kNorm],
                     .candidate_cosine = candidate_cosine > 0 ? values[candidate_cosine] : 0});
  }
  return steps;
}

}  // namespace trireme
