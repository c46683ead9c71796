#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>

#include "core/tensor.h"
#include "retrieval/metrics/metrics.h"

namespace trireme::test {

/// One case as tests/support/metric_cases.py writes it:
///   {"queries": [{"id": .., "docs": [..], "scores": [..]}], "judgements": {query: {doc: grade}}, "metrics": [..]}
struct MetricsCase {
  Run run;
  Judgements judgements;
  std::vector<Metric> metrics;
};

inline MetricsCase metrics_case(const nlohmann::json& json) {
  MetricsCase result;
  const auto& queries = json.at("queries");
  const auto depth = static_cast<int64_t>(queries.at(0).at("docs").size());
  result.run.scores = at::empty({static_cast<int64_t>(queries.size()), depth}, torch::kFloat32);
  float* score = result.run.scores.mutable_data_ptr<float>();
  for (const auto& query : queries) {
    result.run.query_ids.push_back(query.at("id"));
    for (const auto& doc : query.at("docs")) result.run.doc_ids.push_back(doc);
    for (const auto& value : query.at("scores")) *score++ = value.get<float>();
  }
  result.run.info.candidates = depth;
  for (const auto& [query, docs] : json.at("judgements").items())
    for (const auto& [doc, grade] : docs.items()) result.judgements[query].push_back({doc, grade.get<int64_t>()});
  for (const auto& name : json.at("metrics")) result.metrics.push_back(metric_of_name(name.get<std::string>()));
  return result;
}

}  // namespace trireme::test
