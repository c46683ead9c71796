#include "retrieval/mining/balance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace trireme {

std::size_t DocumentShares::number_of(const std::string& id) {
  const auto [found, is_new] = numbers_.try_emplace(id, numbers_.size());
  if (is_new) {
    positive_.push_back(0);
    negative_.push_back(0);
  }
  return found->second;
}

void DocumentShares::add(const MinedQuery& query) {
  ++queries_;
  for (const ScoredPositive& positive : query.positives)
    positive_[number_of(positive.id)] += 1.0 / static_cast<double>(query.positives.size());
  const auto negatives = std::ranges::count(query.documents, false, &MinedDocument::positive);
  for (const MinedDocument& document : query.documents)
    if (!document.positive) negative_[number_of(document.id)] += 1.0 / static_cast<double>(negatives);
}

DocumentPrior DocumentShares::prior() const {
  double pairs = 0, right = 0, nats = 0;
  for (std::size_t d = 0; d < positive_.size(); ++d) {
    const double yes = positive_[d], no = negative_[d], both = yes + no;
    pairs += both;
    right += std::max(yes, no);
    for (const double part : {yes, no})
      if (part > 0) nats -= part * std::log(part / both);
  }
  return pairs > 0 ? DocumentPrior{right / pairs, nats / pairs} : DocumentPrior{};
}

void ListTable::add(const MinedQuery& query) {
  shares_.add(query);
  for (const MinedDocument& document : query.documents)
    if (!document.positive) negatives_.push_back(static_cast<uint32_t>(shares_.number_of(document.id)));
  begin_.push_back(negatives_.size());
}

BalancedDraw::BalancedDraw(const ListTable& table) : table_(table), weight_(table.shares_.positive_.size()) {
  const std::vector<double>& positive_shares = table.shares_.positive_;
  std::ranges::transform(positive_shares, weight_.begin(), [](double positive) { return positive > 0 ? 1.0 : 0.0; });
  std::vector<double> drawn(weight_.size());
  for (int round = 0; round < kRounds; ++round) {
    std::ranges::fill(drawn, 0.0);
    for (std::size_t q = 0; q + 1 < table.begin_.size(); ++q) {
      double sum = 0;
      for (std::size_t i = table.begin_[q]; i < table.begin_[q + 1]; ++i) sum += weight_[table.negatives_[i]];
      if (sum == 0) continue;
      for (std::size_t i = table.begin_[q]; i < table.begin_[q + 1]; ++i) {
        const std::size_t d = table.negatives_[i];
        drawn[d] += weight_[d] / sum;
      }
    }
    // A bounded step: what few lists hold would else jump to and fro.
    constexpr double kLargestStep = 5;
    for (std::size_t d = 0; d < weight_.size(); ++d)
      if (drawn[d] > 0) weight_[d] *= std::clamp(positive_shares[d] / drawn[d], 1 / kLargestStep, kLargestStep);
    const double largest = weight_.empty() ? 0 : std::ranges::max(weight_);
    if (largest > 0)
      for (double& weight : weight_) weight /= largest;
  }
}

MinedQuery BalancedDraw::draw(const MinedQuery& query, int64_t keep, RandomStream stream) const {
  // The largest of log w + Gumbel noise are a draw without replacement in proportion to w.
  std::vector<std::pair<double, std::size_t>> keys;
  for (std::size_t i = 0; i < query.documents.size(); ++i) {
    if (query.documents[i].positive) continue;
    const double noise = -std::log(-std::log(std::max(stream.uniform(), std::numeric_limits<double>::min())));
    const double weight = weight_[table_.shares_.numbers_.at(query.documents[i].id)];
    if (weight > 0) keys.emplace_back(std::log(weight) + noise, i);
  }
  std::ranges::sort(keys, std::greater<>{});
  if (std::ssize(keys) > keep) keys.resize(static_cast<std::size_t>(keep));
  std::vector<bool> drawn(query.documents.size(), false);
  for (const auto& [key, i] : keys) drawn[i] = true;
  MinedQuery out{.id = query.id, .documents = {}, .positives = query.positives};
  for (std::size_t i = 0; i < query.documents.size(); ++i)
    if (query.documents[i].positive || drawn[i]) out.documents.push_back(query.documents[i]);
  return out;
}

}  // namespace trireme
