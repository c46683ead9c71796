#include "retrieval/metrics/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "core/config/nearest.h"
#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

constexpr std::string_view kWhere = "metrics";

struct KindName {
  MetricKind kind;
  std::string_view name;
};
constexpr KindName kKindNames[] = {
    {MetricKind::kRecall, "recall"}, {MetricKind::kMrr, "mrr"}, {MetricKind::kNdcg, "ndcg"}, {MetricKind::kMap, "map"}};

/// One query's list as grades, 0 where the document is not relevant.
struct GradedList {
  std::vector<int64_t> grades;  ///< by rank
  std::vector<int64_t> ideal;   ///< of all relevant documents, falling
};

/// How many of a list a metric looks at.
std::size_t cut(const std::vector<int64_t>& grades, const Metric& metric) {
  return metric.cutoff == kWholeList ? grades.size() : std::min(grades.size(), static_cast<std::size_t>(metric.cutoff));
}

double discounted_gain(const std::vector<int64_t>& grades, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (grades[i] != 0) sum += static_cast<double>(grades[i]) / std::log2(static_cast<double>(i + 2));
  return sum;
}

/// Rank of the first relevant document among the first `count`, from 1; 0 when there is none.
std::size_t first_hit(const std::vector<int64_t>& grades, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (grades[i] != 0) return i + 1;
  return 0;
}

double average_precision(const GradedList& list, std::size_t count) {
  double sum = 0;
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (list.grades[i] != 0) sum += static_cast<double>(++found) / static_cast<double>(i + 1);
  return sum / static_cast<double>(list.ideal.size());
}

double value_of(const Metric& metric, const GradedList& list) {
  const std::size_t count = cut(list.grades, metric);
  switch (metric.kind) {
    case MetricKind::kRecall:
      return first_hit(list.grades, count) > 0 ? 1.0 : 0.0;
    case MetricKind::kMrr: {
      const std::size_t rank = first_hit(list.grades, count);
      return rank > 0 ? 1.0 / static_cast<double>(rank) : 0.0;
    }
    case MetricKind::kNdcg:
      return discounted_gain(list.grades, count) / discounted_gain(list.ideal, cut(list.ideal, metric));
    case MetricKind::kMap:
      return average_precision(list, count);
  }
  TRIREME_ASSERT(false, "metric kind {}", static_cast<int>(metric.kind));
}

/// The ranks of a list in the order that the tie rule gives.
std::vector<std::size_t> order_of(const Run& run, int64_t query, TieRule ties) {
  const auto docs = run.docs_of(query);
  std::vector<std::size_t> order(docs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (ties == TieRule::kListed) return order;
  const float* const scores = run.scores.const_data_ptr<float>() + query * run.depth();
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : docs[a] > docs[b];
  });
  return order;
}

GradedList graded(const Run& run, int64_t query, const std::vector<Judgement>& judged, TieRule ties) {
  GradedList list;
  std::unordered_map<std::string_view, int64_t> grade_of;
  for (const Judgement& judgement : judged) {
    const auto [place, added] = grade_of.emplace(judgement.doc_id, std::max<int64_t>(judgement.grade, 0));
    TRIREME_CHECK(added, DataError, kWhere,
                  "a document must be judged once for a query; got {} twice for query {}; correct the qrels.",
                  quote_text(judgement.doc_id), quote_text(run.query_ids[static_cast<std::size_t>(query)]));
    if (judgement.grade > 0) list.ideal.push_back(judgement.grade);
  }
  std::sort(list.ideal.begin(), list.ideal.end(), std::greater<>());
  const auto docs = run.docs_of(query);
  for (const std::size_t rank : order_of(run, query, ties)) {
    const auto found = grade_of.find(docs[rank]);
    list.grades.push_back(found == grade_of.end() ? 0 : found->second);
  }
  return list;
}

/// The queries that a rule was broken by: the first by name, the others by count.
class Offenders {
 public:
  void add(const std::string& query) {
    if (!first_) first_ = query;
    ++count_;
  }
  void refuse(const std::string& task, std::string_view required, std::string_view got, std::string_view advice) const {
    TRIREME_CHECK(!first_, DataError, kWhere, "{}: {}; got {} {}{}; {}.", task, required, got,
                  quote_text(first_.value_or("")), count_ > 1 ? fmt::format(" and {} more", count_ - 1) : "", advice);
  }

 private:
  std::optional<std::string> first_;
  int64_t count_ = 0;
};

bool any_relevant(const std::vector<Judgement>& judged) {
  return std::any_of(judged.begin(), judged.end(), [](const Judgement& each) { return each.grade > 0; });
}

void check_queries(const std::string& task, const Run& run, const Judgements& judgements) {
  Offenders unjudged, without_relevant, unsearched;
  std::unordered_map<std::string_view, bool> in_run;
  for (const std::string& query : run.query_ids) {
    in_run.emplace(query, true);
    const auto judged = judgements.find(query);
    if (judged == judgements.end()) {
      unjudged.add(query);
    } else if (!any_relevant(judged->second)) {
      without_relevant.add(query);
    }
  }
  std::vector<std::string> missing;
  for (const auto& [query, judged] : judgements)
    if (!in_run.contains(query)) missing.push_back(query);
  std::sort(missing.begin(), missing.end());  // a hash table's order would name another query each time
  for (const std::string& query : missing) unsearched.add(query);
  unjudged.refuse(task, "every query of the run must be judged", "no judgement of query",
                  "take the qrels of the same task and split");
  without_relevant.refuse(task, "every query must have a relevant document", "none for query",
                          "leave it out of the queries, or correct the qrels");
  unsearched.refuse(task, "every judged query must be in the run", "none of query",
                    "search all queries of the task, or take the qrels of those searched");
}

void check_cutoffs(const std::string& task, const Run& run, const std::vector<Metric>& metrics) {
  const bool complete = run.info.candidates > 0 && run.depth() >= run.info.candidates;
  for (const Metric& metric : metrics)
    TRIREME_CHECK(complete || metric.cutoff <= run.depth(), ConfigError, kWhere,
                  "{}: {} needs lists at least as long; got {} documents a query; search with a larger k.", task,
                  metric_name(metric), run.depth());
}

}  // namespace

std::string metric_name(const Metric& metric) {
  for (const KindName& each : kKindNames)
    if (each.kind == metric.kind)
      return metric.cutoff == kWholeList ? std::string(each.name) : fmt::format("{}@{}", each.name, metric.cutoff);
  TRIREME_ASSERT(false, "metric kind {}", static_cast<int>(metric.kind));
}

Metric metric_of_name(std::string_view name) {
  const std::size_t at = name.find('@');
  const std::string_view kind_name = name.substr(0, at);
  Metric metric;
  bool known = false;
  std::vector<std::string> names;
  for (const KindName& each : kKindNames) {
    names.emplace_back(each.name);
    if (each.name != kind_name) continue;
    metric.kind = each.kind;
    known = true;
  }
  if (!known) {
    const auto meant = nearest(kind_name, names);
    throw ConfigError(kWhere,
                      fmt::format("a metric must be one of {}, with @k or without; got {}; {}.", fmt::join(names, ", "),
                                  quote_text(name), meant ? "did you mean " + *meant : "name one of these"));
  }
  if (at == std::string_view::npos) return metric;
  const std::string_view digits = name.substr(at + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), metric.cutoff);
  TRIREME_CHECK(error == std::errc() && end == digits.data() + digits.size() && metric.cutoff >= 1, ConfigError, kWhere,
                "the k of a metric must be a whole number from 1 on; got {}; write {}@10.", quote_text(name),
                kind_name);
  return metric;
}

std::vector<Metric> default_metrics() {
  return {{MetricKind::kRecall, 1},       {MetricKind::kRecall, 5}, {MetricKind::kRecall, 10},
          {MetricKind::kMrr, kWholeList}, {MetricKind::kNdcg, 10},  {MetricKind::kMap, kWholeList}};
}

const MetricValue& TaskMetrics::value(const Metric& metric) const {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& each) { return each.metric == metric; });
  TRIREME_ASSERT(found != values.end(), "{} was not asked for in task {}", metric_name(metric), task);
  return *found;
}

TaskMetrics evaluate_run(const std::string& task, const Run& run, const Judgements& judgements,
                         const MetricOptions& options) {
  TRIREME_ASSERT(!options.metrics.empty(), "no metric");
  TRIREME_CHECK(run.queries() > 0, DataError, kWhere, "{}: a run must hold queries; got none; check the query file.",
                task);
  check_cutoffs(task, run, options.metrics);
  check_queries(task, run, judgements);
  TaskMetrics result{task, run.query_ids, {}};
  for (const Metric& metric : options.metrics) {
    result.values.push_back({metric, 0, {}, {}});
    result.values.back().per_query.reserve(run.query_ids.size());
  }
  for (int64_t query = 0; query < run.queries(); ++query) {
    const auto& judged = judgements.at(run.query_ids[static_cast<std::size_t>(query)]);
    const GradedList list = graded(run, query, judged, options.ties);
    for (MetricValue& value : result.values) value.per_query.push_back(value_of(value.metric, list));
  }
  std::vector<const std::vector<double>*> columns;
  for (MetricValue& value : result.values) {
    value.mean = std::accumulate(value.per_query.begin(), value.per_query.end(), 0.0) /
                 static_cast<double>(value.per_query.size());
    columns.push_back(&value.per_query);
  }
  std::vector<BootstrapInterval> intervals = bootstrap_means(columns, options.bootstrap_samples, options.seed, task);
  for (std::size_t i = 0; i < result.values.size(); ++i) result.values[i].interval = std::move(intervals[i]);
  return result;
}

Average average(const std::vector<const MetricValue*>& values) {
  TRIREME_ASSERT(!values.empty(), "an average of no tasks");
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  std::vector<double> replicates(values[0]->interval.replicates.size(), 0.0);
  for (const MetricValue* value : values) {
    TRIREME_ASSERT(value->interval.replicates.size() == replicates.size(), "{} and {} replicates",
                   value->interval.replicates.size(), replicates.size());
    mean += value->mean / count;
    for (std::size_t i = 0; i < replicates.size(); ++i) replicates[i] += value->interval.replicates[i] / count;
  }
  return {mean, interval_of_replicates(mean, std::move(replicates))};
}

nlohmann::ordered_json to_json(const Average& average) {
  return {{"mean", average.mean}, {"low", average.interval.low}, {"high", average.interval.high}};
}

nlohmann::ordered_json to_json(const TaskMetrics& metrics) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (const MetricValue& value : metrics.values)
    values[metric_name(value.metric)] = to_json({value.mean, value.interval});
  return {{"task", metrics.task}, {"queries", metrics.query_ids.size()}, {"metrics", std::move(values)}};
}

}  // namespace trireme
