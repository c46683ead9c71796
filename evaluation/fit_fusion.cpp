#include "evaluation/fit_fusion.h"

#include <map>

#include "core/config/choice.h"
#include "core/error.h"
#include "evaluation/eval_lists.h"
#include "retrieval/rerank/fit_alpha.h"
#include "retrieval/rerank/reranked_run.h"

namespace trireme {
namespace {

/// One search, ready to be fused again and again.
struct FitSearch {
  Run run;
  Judgements judgements;
  torch::Tensor rank;

  double value(const Metric& metric, double alpha) const {
    const IdAt id = [&](int64_t query, int64_t place) -> std::string_view {
      return run.docs_of(query)[static_cast<std::size_t>(place)];
    };
    const Run lists = reordered(run, fuse(run.scores, rank, id, {FusionForm::kAlpha, alpha}));
    const MetricOptions options{.metrics = {metric}, .bootstrap_samples = 0, .seed = 0};
    return evaluate_run("fit", lists, judgements, options).values.front().mean;
  }
};

struct FitRow {
  std::string id;
  bool in_mean = true;
  std::vector<FitSearch> searches;

  /// The mean over the row's tasks.
  double value(const Metric& metric, double alpha) const {
    double sum = 0;
    for (const FitSearch& search : searches) sum += search.value(metric, alpha);
    return sum / static_cast<double>(searches.size());
  }
  int64_t queries() const {
    int64_t count = 0;
    for (const FitSearch& search : searches) count += search.run.queries();
    return count;
  }
};

/// The rows of the benchmark that searches are averaged into, in its order.
std::vector<FitRow> rows_of(const EvalSet& set, const std::vector<RerankedSearch>& searches, RerankModes mode) {
  std::vector<FitRow> rows;
  for (const TableRow& row : set.benchmark().rows) {
    FitRow of{row.id, row.in_mean, {}};
    for (const RerankedSearch& reranked : searches) {
      const EvalSearch& search = *reranked.search;
      if (search.scope != PoolScope::kLocal || set.benchmark().tasks[search.task].task.row != row.id) continue;
      of.searches.push_back(
          {run_of(set, search, reranked.found), judgements_of(set, search), rank_score(reranked.scores, mode)});
    }
    if (!of.searches.empty()) rows.push_back(std::move(of));
  }
  return rows;
}

/// The metric of every row at the alphas that were asked for.
class ValueGrid {
 public:
  ValueGrid(const std::vector<FitRow>& rows, const Metric& metric) : rows_(rows), metric_(metric) {}

  double of_row(std::size_t row, double alpha) { return at(alpha)[row]; }
  /// Over the rows that count in the mean; over all where none does.
  double mean(double alpha) {
    const bool any = std::any_of(rows_.begin(), rows_.end(), [](const FitRow& row) { return row.in_mean; });
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (any && !rows_[i].in_mean) continue;
      sum += of_row(i, alpha);
      ++count;
    }
    return sum / count;
  }

 private:
  const std::vector<double>& at(double alpha) {
    const auto [found, is_new] = values_.try_emplace(alpha);
    if (is_new)
      for (const FitRow& row : rows_) found->second.push_back(row.value(metric_, alpha));
    return found->second;
  }

  const std::vector<FitRow>& rows_;
  Metric metric_;
  std::map<double, std::vector<double>> values_;
};

}  // namespace

FusionFile fit_fusion(const EvalSet& set, const std::vector<RerankedSearch>& searches,
                      const std::vector<RerankModes>& modes, const FusionFitConfig& config) {
  const Metric metric = metric_of_name(config.metric);
  FusionFile file;
  file.metric = config.metric;
  file.fitted_on = fmt::format("{}, {}", set.benchmark().name, config.split);
  for (const RerankModes mode : modes) {
    const std::string name(choice_name(mode));
    const std::vector<FitRow> rows = rows_of(set, searches, mode);
    TRIREME_ASSERT(!rows.empty(), "no searches in the tasks' own pools to fit {} on", name);
    ValueGrid grid(rows, metric);
    FusionConfig& weights = file.modes[name];
    const auto keep = [&](const std::string& row, const AlphaFit& fit, int64_t queries) {
      file.fitted.push_back({name, row, fit.alpha, fit.value, fit.retriever_value, queries});
      return fit.alpha;
    };
    int64_t queries = 0;
    for (const FitRow& row : rows) queries += row.queries();
    weights.value = keep("all", fit_alpha(config.steps, [&](double alpha) { return grid.mean(alpha); }), queries);
    for (std::size_t i = 0; config.by_row && i < rows.size(); ++i) {
      const AlphaFit fit = fit_alpha(config.steps, [&](double alpha) { return grid.of_row(i, alpha); });
      weights.by_row[rows[i].id] = keep(rows[i].id, fit, rows[i].queries());
    }
  }
  return file;
}

}  // namespace trireme
