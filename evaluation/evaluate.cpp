#include "evaluation/evaluate.h"

#include <ATen/ops/cat.h>

#include "core/config/field_list.h"
#include "core/error.h"
#include "evaluation/eval_lists.h"

namespace trireme {

void EvalMetricConfig::describe(FieldList& v) {
  v.field("names", names, "recall@k, mrr, ndcg@k, map.").non_empty();
  v.field("depth", depth, "Results kept per query, fewer where the pool has no more for it: what mrr and map see.")
      .at_least(1);
  v.field("bootstrap_samples", bootstrap_samples, "Resamplings for the 95 % intervals; 0 = no intervals.").at_least(0);
  v.field("seed", seed, "Of the resamplings.").at_least(0);
}
static_assert(field_count<EvalMetricConfig>() == 4, "describe() must list every field");
namespace {

/// Some rows of another source, in their order.
class RowsOf : public VectorSource {
 public:
  RowsOf(const VectorSource& whole, const std::vector<int64_t>& rows) : whole_(whole), rows_(rows) {}
  int64_t rows() const override { return std::ssize(rows_); }
  int64_t dim() const override { return whole_.dim(); }
  /// Neighbours in the whole are read together.
  torch::Tensor read(int64_t first_row, int64_t count) const override {
    std::vector<torch::Tensor> parts;
    for (int64_t row = first_row; row < first_row + count;) {
      const int64_t begin = rows_[static_cast<std::size_t>(row)];
      int64_t length = 1;
      while (row + length < first_row + count && rows_[static_cast<std::size_t>(row + length)] == begin + length)
        ++length;
      parts.push_back(whole_.read(begin, length));
      row += length;
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
  }

 private:
  const VectorSource& whole_;
  const std::vector<int64_t>& rows_;
};

/// A metric's value over a search or a mean, under the name in the config.
using NamedValues = std::vector<std::pair<std::string, MetricValue>>;

MetricTable table_of(const NamedValues& values) {
  MetricTable table;
  for (const auto& [name, value] : values) {
    Estimate estimate{value.mean, {}, {}};
    if (!value.interval.replicates.empty()) {
      estimate.low = value.interval.low;
      estimate.high = value.interval.high;
    }
    table.emplace_back(name, estimate);
  }
  return table;
}

const MetricValue* find_value(const NamedValues& values, std::string_view name) {
  const auto found = std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == name; });
  return found == values.end() ? nullptr : &found->second;
}

/// A line of the table with the values behind it, which means over lines are taken of.
struct ScoredRow {
  ResultRow row;
  std::optional<NamedValues> local{}, global{};

  std::optional<NamedValues>& values(PoolScope scope) { return scope == PoolScope::kLocal ? local : global; }
  const std::optional<NamedValues>& values(PoolScope scope) const {
    return scope == PoolScope::kLocal ? local : global;
  }
  void set(PoolScope scope, int64_t candidates, NamedValues scored) {
    (scope == PoolScope::kLocal ? row.local : row.global) = PoolResult{candidates, table_of(scored)};
    values(scope) = std::move(scored);
  }
};

/// The headline of a mean: that of all its lines, or "headline" where they differ.
std::string common_headline(const std::vector<const ScoredRow*>& lines) {
  const std::string& first = lines.front()->row.headline;
  const bool equal =
      std::all_of(lines.begin(), lines.end(), [&](const ScoredRow* line) { return line->row.headline == first; });
  return equal ? first : "headline";
}

NamedValues mean_values(const std::vector<const ScoredRow*>& lines, PoolScope scope, const std::string& headline) {
  std::vector<std::string> names;
  for (const auto& [name, value] : *lines.front()->values(scope)) {
    if (name != "headline") names.push_back(name);
  }
  if (headline == "headline") names.emplace_back("headline");
  NamedValues means;
  for (const std::string& name : names) {
    std::vector<const MetricValue*> of;
    for (const ScoredRow* line : lines)
      of.push_back(find_value(*line->values(scope), name == "headline" ? line->row.headline : name));
    Average average = trireme::average(of);
    means.emplace_back(name, MetricValue{of.front()->metric, average.mean, std::move(average.interval), {}});
  }
  return means;
}

/// Fills the row with the mean over `lines`; a pool that not all of them have is left out.
ScoredRow mean_of(ResultRow row, const std::vector<const ScoredRow*>& lines) {
  ScoredRow mean{std::move(row)};
  mean.row.headline = common_headline(lines);
  for (const ScoredRow* line : lines) mean.row.queries += line->row.queries;
  for (const PoolScope scope : {PoolScope::kLocal, PoolScope::kGlobal}) {
    if (!std::all_of(lines.begin(), lines.end(),
                     [&](const ScoredRow* line) { return line->values(scope).has_value(); }))
      continue;
    const auto& only = scope == PoolScope::kLocal ? lines.front()->row.local : lines.front()->row.global;
    mean.set(scope, lines.size() == 1 ? only->candidates : 0, mean_values(lines, scope, mean.row.headline));
  }
  return mean;
}

ResultTable table_of(const Benchmark& benchmark, const std::vector<ScoredRow>& tasks) {
  ResultTable table;
  for (const ScoredRow& task : tasks) table.tasks.push_back(task.row);
  std::vector<ScoredRow> rows;
  for (const TableRow& row : benchmark.rows) {
    std::vector<const ScoredRow*> lines;
    for (const ScoredRow& task : tasks) {
      if (task.row.row == row.id) lines.push_back(&task);
    }
    ResultRow shown{.id = row.id,
                    .label = row.label,
                    .row = "",
                    .set = lines.front()->row.set,
                    .task_id = lines.front()->row.task_id,
                    .queries = 0,
                    .in_mean = row.in_mean,
                    .headline = ""};
    rows.push_back(mean_of(std::move(shown), lines));
  }
  std::vector<const ScoredRow*> counted;
  for (const ScoredRow& row : rows) {
    table.rows.push_back(row.row);
    if (row.row.in_mean) counted.push_back(&row);
  }
  if (!counted.empty()) {
    table.mean = mean_of({.id = "mean",
                          .label = "mean",
                          .row = "",
                          .set = "main",
                          .task_id = -1,
                          .queries = 0,
                          .in_mean = true,
                          .headline = ""},
                         counted)
                     .row;
  }
  return table;
}

/// A line for each task, to be filled search by search.
std::vector<ScoredRow> empty_rows(const Benchmark& benchmark) {
  std::vector<ScoredRow> rows;
  for (const BenchmarkTask& of : benchmark.tasks) {
    rows.push_back({{.id = of.task.id,
                     .label = of.task.label,
                     .row = of.task.row,
                     .set = of.task.set,
                     .task_id = of.task.task_id,
                     .queries = 0,
                     .in_mean = true,
                     .headline = of.headline}});
  }
  return rows;
}

/// The vectors of every file of the set, those that are part of another one read from there.
class FileVectors {
 public:
  FileVectors(const EvalSet& set, const SetVectors& vectors) {
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      const EvalFile& file = *set.files()[i];
      if (const auto& part = file.part_of) parts_.push_back(std::make_unique<RowsOf>(*vectors[part->file], part->rows));
      of_.push_back(file.part_of ? parts_.back().get() : vectors[i].get());
      TRIREME_ASSERT(of_[i]->rows() == file.records.size(), "{} vectors of {} with {} records", of_[i]->rows(),
                     file.path.string(), file.records.size());
    }
  }
  const VectorSource& operator[](std::size_t file) const { return *of_[file]; }

 private:
  std::vector<std::unique_ptr<RowsOf>> parts_;
  std::vector<const VectorSource*> of_;
};

Neighbours find(const EvalSet& set, const EvalSearch& search, const FileVectors& vectors, int64_t depth,
                Communicator& communicator) {
  const EvalFile &queries = *set.files()[search.queries], &pool = *set.files()[search.pool];
  TRIREME_CHECK(
      search.most_excluded < pool.records.size(), DataError, pool.path.string(),
      "a pool must hold more than a query excludes; got {} candidates and {} excluded; correct the benchmark.",
      pool.records.size(), search.most_excluded);
  return trireme::search(vectors[search.queries].read(0, queries.records.size()), vectors[search.pool], pool.ids,
                         std::min(depth, pool.records.size()), {}, communicator, search.excluded);
}

TaskMetrics score(const EvalSet& set, const EvalSearch& search, const Neighbours& lists,
                  const std::vector<Metric>& metrics, const EvalMetricConfig& config) {
  const MetricOptions options{
      .metrics = metrics, .bootstrap_samples = config.bootstrap_samples, .seed = static_cast<uint64_t>(config.seed)};
  const EvalTask& task = set.benchmark().tasks[search.task].task;
  return evaluate_run(task.id, run_of(set, search, lists), judgements_of(set, search), options);
}

}  // namespace

std::vector<Metric> resolve_metrics(const EvalMetricConfig& config, const Benchmark& benchmark) {
  std::vector<Metric> metrics;
  for (const std::string& name : config.names) {
    metrics.push_back(metric_of_name(name));
    TRIREME_CHECK(metrics.back().cutoff <= config.depth, ConfigError, "metrics",
                  "depth must be at least the cutoff of {}; got {}; raise it.", name, config.depth);
  }
  for (const BenchmarkTask& task : benchmark.tasks) {
    TRIREME_CHECK(std::find(config.names.begin(), config.names.end(), task.headline) != config.names.end(), ConfigError,
                  "metrics", "names must hold {}, by which {} is averaged; got {}; add it.", task.headline,
                  task.task.id, fmt::join(config.names, ", "));
  }
  return metrics;
}

ResultTable evaluate(const EvalSet& set, const EvalMetricConfig& config, const SetVectors& vectors,
                     Communicator& communicator, const SearchDone& done) {
  return evaluate_columns(
             set, config, vectors, {}, communicator,
             [&](const EvalSearch& search, std::size_t, const Neighbours& lists, const TaskMetrics& scored) {
               if (done) done(search, lists, scored);
             })
      .front();
}

std::vector<ResultTable> evaluate_columns(const EvalSet& set, const EvalMetricConfig& config, const SetVectors& vectors,
                                          const ReorderLists& reorder, Communicator& communicator,
                                          const ColumnDone& done) {
  const std::vector<Metric> metrics = resolve_metrics(config, set.benchmark());
  const FileVectors file_vectors(set, vectors);
  std::vector<std::vector<ScoredRow>> columns(1, empty_rows(set.benchmark()));
  for (const EvalSearch& search : set.searches()) {
    std::vector<Neighbours> lists = {find(set, search, file_vectors, config.depth, communicator)};
    if (reorder) {
      for (Neighbours& others : reorder(search, lists.front())) lists.push_back(std::move(others));
    }
    columns.resize(lists.size(), empty_rows(set.benchmark()));
    for (std::size_t column = 0; column < lists.size(); ++column) {
      TaskMetrics scored = score(set, search, lists[column], metrics, config);
      if (done) done(search, column, lists[column], scored);
      NamedValues values;
      for (std::size_t i = 0; i < metrics.size(); ++i)
        values.emplace_back(config.names[i], std::move(scored.values[i]));
      ScoredRow& row = columns[column][search.task];
      row.row.queries = set.files()[search.queries]->records.size();
      row.set(search.scope, set.files()[search.pool]->records.size(), std::move(values));
    }
  }
  std::vector<ResultTable> tables;
  for (const auto& rows : columns) tables.push_back(table_of(set.benchmark(), rows));
  return tables;
}

}  // namespace trireme
