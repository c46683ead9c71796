#include "evaluation/validation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/core/Tensor.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "core/config/field_list.h"
#include "core/error.h"

namespace trireme {

void ValidationConfig::describe(FieldList& v) {
  v.field("every_steps", every_steps, "Steps between two evaluations; the last step is evaluated too.").at_least(1);
  v.field("best_metric", best_metric,
          "The best checkpoint is kept by its mean over rows: one of validation.metrics.names, or headline, each "
          "task's own.");
  v.field("patience", patience, "The run ends after so many evaluations in a row that were not the best; null = never.")
      .at_least(1);
  v.field("max_queries", max_queries, "Of each task, evenly spaced; null = all.").at_least(1);
  v.field("max_candidates", max_candidates,
          "Of each pool, evenly spaced beside those that are relevant: faster, and easier than the whole pool; null "
          "= all.")
      .at_least(1);
  v.field("prompt", prompt, "What stands around text and picture; default: data.prompt.");
  v.field("batch_tokens", batch_tokens, "A batch ends before it exceeds so many tokens; bounds memory.")
      .at_least(1)
      .no_effect_on_values();
  v.field("benchmark", benchmark, "What is evaluated.");
  v.field("queries", queries, "How queries are asked, and what they search.");
  v.field("metrics", metrics, "What is computed from the ranked lists.");
}
static_assert(field_count<ValidationConfig>() == 10, "describe() must list every field");
namespace {

constexpr std::string_view kHeadline = "headline";

EvalSet open(const ValidationConfig& config) {
  Benchmark benchmark = read_benchmark(config.benchmark);
  resolve_metrics(config.metrics, benchmark);
  return EvalSet(std::move(benchmark), config.queries, {config.max_queries, config.max_candidates});
}

const std::optional<PoolResult>& pool_of(const ResultRow& row) { return row.local ? row.local : row.global; }

bool all_tasks_have(const EvalSet& set, PoolScope scope) {
  const auto count = std::ranges::count(set.searches(), scope, &EvalSearch::scope);
  return count == std::ssize(set.benchmark().tasks);
}

/// The first row of [N, D] float32 with a NaN or infinity.
std::optional<int64_t> first_not_finite(const torch::Tensor& rows) {
  if (rows.numel() == 0) return std::nullopt;
  const torch::Tensor largest =
      at::linalg_vector_norm(rows, std::numeric_limits<double>::infinity(), at::IntArrayRef{1});
  for (int64_t row = 0; row < largest.numel(); ++row) {
    if (!std::isfinite(largest.const_data_ptr<float>()[row])) return row;
  }
  return std::nullopt;
}

}  // namespace

std::string metric_key(std::string_view metric) {
  std::string key(metric);
  if (const auto at = key.find('@'); at != std::string::npos) key.replace(at, 1, "_at_");
  return key;
}

Validation::Validation(const ValidationConfig& config)
    : metrics_(config.metrics), best_metric_(config.best_metric), set_(open(config)) {
  const std::vector<std::string>& names = metrics_.names;
  TRIREME_CHECK(best_metric_ == kHeadline || std::ranges::find(names, best_metric_) != names.end(), ConfigError,
                "validation",
                "best_metric must be headline or one of validation.metrics.names, {}; got {}; name one of them.",
                fmt::join(names, ", "), best_metric_);
  TRIREME_CHECK(
      all_tasks_have(set_, PoolScope::kLocal) || all_tasks_have(set_, PoolScope::kGlobal), ConfigError, "validation",
      "validation.queries.pools must have a pool that all tasks have; got none; add local, or keep fewer tasks.");
  TRIREME_CHECK(std::ranges::any_of(set_.benchmark().rows, &TableRow::in_mean), ConfigError, "validation",
                "one of the rows must count in the mean; got none; keep other tasks or sets.");
}

ValidationScores Validation::run(const Embedder& embedder, Communicator& communicator,
                                 const std::function<void(const std::string& where)>& not_finite) const {
  SetVectors vectors;
  for (const auto& file : set_.files()) {
    vectors.emplace_back();
    if (file->part_of) continue;
    torch::Tensor rows = embed_in_memory(embedder, {file->records, set_.benchmark().image_root}, communicator).rows;
    if (const auto row = first_not_finite(rows)) {
      not_finite(file->records.where(*row));
      TRIREME_ASSERT(false, "an evaluation went on with row {}, which is not finite", *row);
    }
    vectors.back() = std::make_unique<TensorSource>(std::move(rows));
  }
  const ResultTable table = evaluate(set_, metrics_, vectors, communicator);
  TRIREME_ASSERT(table.mean && pool_of(*table.mean), "no mean over {} rows", table.rows.size());
  const ResultRow& mean = *table.mean;
  ValidationScores scores;
  for (const auto& [name, estimate] : pool_of(mean)->metrics) {
    scores.values.emplace_back("val/" + metric_key(name), estimate.value);
  }
  for (const ResultRow& row : table.rows) {
    if (const auto& pool = pool_of(row)) {
      scores.values.emplace_back("val_rows/" + row.id, pool->find(row.headline)->value);
    }
  }
  const std::string best = best_metric_ == kHeadline ? mean.headline : best_metric_;
  scores.best_key = "val/" + metric_key(best);
  scores.best_value = pool_of(mean)->find(best)->value;
  return scores;
}

}  // namespace trireme
