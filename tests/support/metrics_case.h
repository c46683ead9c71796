#pragma once

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <ATen/ops/full.h>

#include "core/tensor.h"
#include "retrieval/metrics/metrics.h"

namespace trireme::test {

/// One case as tests/support/metric_cases.py writes it:
///   {"queries": [{"id": .., "docs": [..], "scores": [..]}], "judgements": {query: {doc: grade}}, "metrics": [..]}
/// Lists that are shorter than others come with the depth that a search would have and the size of the pool:
///   "depth": K, "candidates": N
struct MetricsCase {
  Run run;
  Judgements judgements;
  std::vector<Metric> metrics;
};

inline MetricsCase metrics_case(const nlohmann::json& json) {
  MetricsCase result;
  const auto& queries = json.at("queries");
  const auto depth = json.value("depth", std::ssize(queries.at(0).at("docs")));
  result.run.scores = at::full({std::ssize(queries), depth}, -std::numeric_limits<float>::infinity(), torch::kFloat32);
  float* list = result.run.scores.mutable_data_ptr<float>();
  for (const auto& query : queries) {
    result.run.query_ids.push_back(query.at("id"));
    for (const auto& doc : query.at("docs")) result.run.doc_ids.push_back(doc);
    result.run.doc_ids.resize(result.run.query_ids.size() * static_cast<std::size_t>(depth));
    const auto scores = query.at("scores").get<std::vector<float>>();
    std::copy(scores.begin(), scores.end(), list);
    list += depth;
  }
  result.run.info.candidates = json.value("candidates", depth);
  for (const auto& [query, docs] : json.at("judgements").items())
    for (const auto& [doc, grade] : docs.items()) result.judgements[query].push_back({doc, grade.get<int64_t>()});
  for (const auto& name : json.at("metrics")) result.metrics.push_back(metric_of_name(name.get<std::string>()));
  return result;
}

}  // namespace trireme::test
