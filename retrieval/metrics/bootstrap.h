#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace trireme {

/// A percentile interval and the means it was read from, sorted no further: replicate i of one task and of another are
/// independent, so intervals of averages come from averaged replicates.
struct BootstrapInterval {
  double low = 0, high = 0;
  std::vector<double> replicates;
};

/// 2.5 % and 97.5 % points of the replicates (linear between neighbours); without replicates, `mean` twice.
BootstrapInterval interval_of_replicates(double mean, std::vector<double> replicates);

/// Means of `samples` resamplings of the rows with replacement (Efron, "Bootstrap methods: another look at the
/// jackknife", 1979), the same resampling for every column, and the interval of each column.
/// columns  each of the same length n >= 1.   name  of the task: every task draws its own resamplings.
/// cost     samples * n draws, once for all columns.
std::vector<BootstrapInterval> bootstrap_means(const std::vector<const std::vector<double>*>& columns, int64_t samples,
                                               uint64_t seed, std::string_view name);

}  // namespace trireme
