#include "models/generation/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/config/field_list.h"
#include "core/error.h"

namespace trireme {

void SamplingConfig::describe(FieldList& v) {
  v.field("temperature", temperature, "Scores are divided by it before a token is drawn; 0 takes the highest score.")
      .at_least(0);
  v.field("top_k", top_k, "Draw from so many of the likeliest tokens; 0 = from all.").at_least(0);
  v.field("top_p", top_p, "Draw from the likeliest tokens that together reach this probability; 1 = from all.")
      .between(0, 1);
}
static_assert(field_count<SamplingConfig>() == 3, "describe() must list every field");
namespace {

struct Candidate {
  int64_t token;
  double weight;  ///< probability up to a factor
};

/// e^((logit - largest) / temperature) of every token that can be drawn, in order of ids.
std::vector<Candidate> weighed(std::span<const float> logits, double temperature) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - largest) / temperature);
    if (weight > 0) candidates.push_back({static_cast<int64_t>(i), weight});
  }
  return candidates;
}

double total_weight(const std::vector<Candidate>& candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  return total;
}

bool is_likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

void keep_top_k(std::vector<Candidate>& candidates, int64_t k) {
  if (k == 0 || std::ssize(candidates) <= k) return;
  std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), is_likelier);
  candidates.resize(static_cast<std::size_t>(k));
}

void keep_top_p(std::vector<Candidate>& candidates, double p) {
  if (p >= 1) return;
  const double total = total_weight(candidates);
  // Tokens this unlikely are too few together to be needed: all of them do not make up 1 - p.
  const double least = total * (1 - p) / static_cast<double>(candidates.size());
  const auto likeliest = std::ranges::min_element(candidates, is_likelier);
  const Candidate first = *likeliest;
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < least && c.token != first.token; });
  std::ranges::sort(candidates, is_likelier);
  double reached = 0;
  std::size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || reached < p * total)) reached += candidates[kept++].weight;
  candidates.resize(kept);
}

}  // namespace

int64_t pick_token(std::span<const float> logits, const SamplingConfig& config, double uniform) {
  TRIREME_ASSERT(!logits.empty(), "{} logits", logits.size());
  if (config.temperature == 0) return std::max_element(logits.begin(), logits.end()) - logits.begin();
  auto candidates = weighed(logits, config.temperature);
  keep_top_k(candidates, config.top_k);
  keep_top_p(candidates, config.top_p);
  double left = uniform * total_weight(candidates);
  for (const Candidate& candidate : candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  return candidates.back().token;
}

}  // namespace trireme
