#include "retrieval/search/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retrieval/search/kernels.h"

namespace trireme {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kSpare = 64;

/// The largest float32 that is surely not above `value`.
float rounded_down(double value) { return std::nextafter(static_cast<float>(value), -kInfinity); }

}  // namespace

Candidates::Candidates(int64_t k, const std::vector<int64_t>& excluded)
    : k_(static_cast<std::size_t>(k)), excluded_(excluded), threshold_(-kInfinity) {
  entries_.reserve(2 * k_ + kSpare);
}

void Candidates::enter_block(const BlockScorer& scorer) {
  // k rows have an exact score of at least the last one's, so a row proposed below it by more than the error is out;
  // one that ties with it stays in, for the ids to decide.
  if (entries_.size() == k_) threshold_ = rounded_down(static_cast<double>(entries_.back().score) - scorer.error);
}

void Candidates::push(int64_t row, float proposed, const BlockScorer& scorer) {
  if (!excluded_.empty() && std::binary_search(excluded_.begin(), excluded_.end(), row)) return;
  entries_.push_back({proposed, static_cast<int32_t>(row), false});
  if (entries_.size() < 2 * k_ + kSpare) return;
  drop_hopeless(scorer.error);
  if (entries_.size() > 2 * k_ + kSpare - kSpare / 2) settle(scorer);
}

void Candidates::drop_hopeless(double error) {
  if (entries_.size() <= k_) return;
  const auto kth = entries_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
  std::nth_element(entries_.begin(), kth, entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.score > b.score; });
  // k rows have exact scores of at least kth - error; what is proposed below that by more than the error is out.
  threshold_ = std::max(threshold_, rounded_down(static_cast<double>(kth->score) - 2 * error));
  std::erase_if(entries_, [&](const Entry& entry) { return entry.score < threshold_; });
}

void Candidates::settle(const BlockScorer& scorer) {
  drop_hopeless(scorer.error);
  for (Entry& entry : entries_) {
    if (entry.exact) continue;
    const float* const vector = scorer.block + (entry.row - scorer.first_row) * scorer.dim;
    entry.score = static_cast<float>(exact_dot(scorer.query, vector, scorer.dim));
    entry.exact = true;
  }
  std::sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
    return a.score != b.score ? a.score > b.score : scorer.ids.place(a.row) < scorer.ids.place(b.row);
  });
  if (entries_.size() > k_) entries_.resize(k_);
  enter_block(scorer);
}

}  // namespace trireme
