#include "retrieval/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/rng.h"

namespace trireme {
namespace {

/// The point below which a share `at` of the sorted values lies, linear between neighbours.
double quantile(const std::vector<double>& sorted, double at) {
  const double position = at * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

BootstrapInterval interval_of_replicates(double mean, std::vector<double> replicates) {
  constexpr double kTail = 0.025;
  if (replicates.empty()) return {mean, mean, {}};
  std::vector<double> sorted = replicates;
  std::sort(sorted.begin(), sorted.end());
  return {quantile(sorted, kTail), quantile(sorted, 1 - kTail), std::move(replicates)};
}

std::vector<BootstrapInterval> bootstrap_means(const std::vector<const std::vector<double>*>& columns, int64_t samples,
                                               uint64_t seed, std::string_view name) {
  const std::size_t width = columns.size();
  TRIREME_ASSERT(width > 0 && !columns[0]->empty(), "{} columns", width);
  const std::size_t rows = columns[0]->size();
  // Row by row, so that one draw touches one line of the cache.
  std::vector<double> table(rows * width), means(width, 0.0);
  for (std::size_t c = 0; c < width; ++c) {
    TRIREME_ASSERT(columns[c]->size() == rows, "column {} has {} rows of {}", c, columns[c]->size(), rows);
    for (std::size_t row = 0; row < rows; ++row) means[c] += table[row * width + c] = (*columns[c])[row];
    means[c] /= static_cast<double>(rows);
  }
  std::vector<std::vector<double>> replicates(width, std::vector<double>(static_cast<std::size_t>(samples)));
  RandomStream random = random_stream(seed, "metrics.bootstrap." + std::string(name));
  std::vector<double> sums(width);
  for (std::size_t sample = 0; sample < static_cast<std::size_t>(samples); ++sample) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t draw = 0; draw < rows; ++draw) {
      const double* const row = table.data() + random.uniform_below(rows) * width;
      for (std::size_t c = 0; c < width; ++c) sums[c] += row[c];
    }
    for (std::size_t c = 0; c < width; ++c) replicates[c][sample] = sums[c] / static_cast<double>(rows);
  }
  std::vector<BootstrapInterval> intervals;
  for (std::size_t c = 0; c < width; ++c)
    intervals.push_back(interval_of_replicates(means[c], std::move(replicates[c])));
  return intervals;
}

}  // namespace trireme
