#include "retrieval/report/results.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/file.h"
#include "core/json.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;
constexpr int64_t kFormatVersion = 2;  // 1 has no fingerprints

Json json_of(const Estimate& estimate) {
  Json json = {{"value", estimate.value}};
  if (estimate.low && estimate.high) {
    json["low"] = *estimate.low;
    json["high"] = *estimate.high;
  }
  return json;
}

Json json_of(const PoolResult& pool) {
  Json metrics = Json::object();
  for (const auto& [name, estimate] : pool.metrics) metrics[name] = json_of(estimate);
  return {{"candidates", pool.candidates}, {"metrics", std::move(metrics)}};
}

Json json_of(const ResultRow& row) {
  Json json = {{"id", row.id},           {"label", row.label},       {"row", row.row},
               {"set", row.set},         {"task_id", row.task_id},   {"queries", row.queries},
               {"in_mean", row.in_mean}, {"headline", row.headline}, {"pools", Json::object()}};
  if (row.local) json["pools"]["local"] = json_of(*row.local);
  if (row.global) json["pools"]["global"] = json_of(*row.global);
  return json;
}

Json json_of(const std::vector<ResultRow>& rows) {
  Json list = Json::array();
  for (const ResultRow& row : rows) list.push_back(json_of(row));
  return list;
}

Json json_of(const ResultTable& table) {
  Json json = {{"tasks", json_of(table.tasks)}, {"rows", json_of(table.rows)}};
  if (table.mean) json["mean"] = json_of(*table.mean);
  return json;
}

Estimate estimate_of(const Json& json) {
  Estimate estimate{json.at("value").get<double>(), {}, {}};
  if (json.contains("low")) {
    estimate.low = json.at("low").get<double>();
    estimate.high = json.at("high").get<double>();
  }
  return estimate;
}

PoolResult pool_of(const Json& json) {
  PoolResult pool{json.at("candidates").get<int64_t>(), {}};
  for (const auto& [name, estimate] : json.at("metrics").items())
    pool.metrics.emplace_back(name, estimate_of(estimate));
  return pool;
}

ResultRow row_of(const Json& json) {
  ResultRow row{.id = json.at("id").get<std::string>(),
                .label = json.at("label").get<std::string>(),
                .row = json.at("row").get<std::string>(),
                .set = json.at("set").get<std::string>(),
                .task_id = json.at("task_id").get<int64_t>(),
                .queries = json.at("queries").get<int64_t>(),
                .in_mean = json.at("in_mean").get<bool>(),
                .headline = json.at("headline").get<std::string>()};
  const Json& pools = json.at("pools");
  if (pools.contains("local")) row.local = pool_of(pools.at("local"));
  if (pools.contains("global")) row.global = pool_of(pools.at("global"));
  return row;
}

std::vector<ResultRow> rows_of(const Json& list) {
  std::vector<ResultRow> rows;
  for (const Json& json : list) rows.push_back(row_of(json));
  return rows;
}

ResultTable table_of(const Json& json) {
  ResultTable table{rows_of(json.at("tasks")), rows_of(json.at("rows"))};
  if (json.contains("mean")) table.mean = row_of(json.at("mean"));
  return table;
}

Json json_of(const Fingerprint& fingerprint) { return parse_ordered_json(fingerprint.json()); }

/// Results of version 1 have none.
Fingerprint fingerprint_of(const Json& json) {
  return json.contains("fingerprint") ? Fingerprint::from_json(dump_json(json.at("fingerprint")), "results")
                                      : Fingerprint();
}

Json json_of(const RerankedBy& by) {
  return {{"mode", by.mode},
          {"model", by.model},
          {"model_sha256", by.model_sha256},
          {"adapter_sha256", by.adapter_sha256},
          {"depth", by.depth},
          {"fusion", by.fusion},
          {"fusion_by_row", by.fusion_by_row},
          {"fingerprint", json_of(by.fingerprint)}};
}

RerankedBy reranked_by_of(const Json& json) {
  return {.mode = json.at("mode").get<std::string>(),
          .model = json.at("model").get<std::string>(),
          .model_sha256 = json.at("model_sha256").get<std::string>(),
          .adapter_sha256 = json.at("adapter_sha256").get<std::string>(),
          .depth = json.at("depth").get<int64_t>(),
          .fusion = json.at("fusion").get<std::string>(),
          .fusion_by_row = json.at("fusion_by_row").get<std::map<std::string, std::string>>(),
          .fingerprint = fingerprint_of(json)};
}

EvalResults results_of(const Json& json) {
  EvalResults results{.label = json.at("label").get<std::string>(),
                      .benchmark = json.at("benchmark").get<std::string>(),
                      .model = json.at("model").get<std::string>(),
                      .model_sha256 = json.at("model_sha256").get<std::string>(),
                      .adapter_sha256 = json.at("adapter_sha256").get<std::string>(),
                      .config_sha256 = json.at("config_sha256").get<std::string>(),
                      .instruction = json.at("instruction").get<std::string>(),
                      .depth = json.at("depth").get<int64_t>(),
                      .table = table_of(json.at("results")),
                      .fingerprint = fingerprint_of(json)};
  if (json.contains("skipped")) results.skipped = json.at("skipped").get<std::vector<std::string>>();
  if (json.contains("reranked_by")) results.reranked_by = reranked_by_of(json.at("reranked_by"));
  for (const Json& reference : json.at("references")) {
    results.references.push_back({reference.at("name").get<std::string>(), reference.at("about").get<std::string>(),
                                  table_of(reference.at("results"))});
  }
  return results;
}

}  // namespace

const Estimate* PoolResult::find(std::string_view metric) const {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const auto& entry) { return entry.first == metric; });
  return found == metrics.end() ? nullptr : &found->second;
}

std::string results_json(const EvalResults& results) {
  Json references = Json::array();
  for (const Reference& reference : results.references) {
    references.push_back({{"name", reference.name}, {"about", reference.about}, {"results", json_of(reference.table)}});
  }
  Json json = {{"trireme_format", "results"},
               {"format_version", kFormatVersion},
               {"label", results.label},
               {"benchmark", results.benchmark},
               {"model", results.model},
               {"model_sha256", results.model_sha256},
               {"adapter_sha256", results.adapter_sha256},
               {"config_sha256", results.config_sha256},
               {"fingerprint", json_of(results.fingerprint)},
               {"instruction", results.instruction},
               {"depth", results.depth},
               {"results", json_of(results.table)},
               {"references", std::move(references)}};
  if (!results.skipped.empty()) json["skipped"] = results.skipped;
  if (results.reranked_by) json["reranked_by"] = json_of(*results.reranked_by);
  return dump_json(json, 2, BrokenUtf8::kReplaced) + "\n";
}

EvalResults parse_results(std::string_view text, std::string_view where) {
  const Json json = try_parse_ordered_json(text);
  TRIREME_CHECK(json.is_object() && json.value("trireme_format", "") == "results", DataError, where,
                "the file must be results.json as trireme eval writes it; got something else; run trireme eval again.");
  const int64_t version = json.value("format_version", int64_t{0});
  TRIREME_CHECK(version >= 1 && version <= kFormatVersion, DataError, where,
                "format_version must be from 1 to {}; got {}; read it with the Trireme that wrote it.", kFormatVersion,
                version);
  try {
    return results_of(json);
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("the file must have all fields of results.json; got {}; run trireme eval again.",
                                       error.what()));
  }
}

EvalResults read_results(const std::filesystem::path& file) {
  return parse_results(read_text_file(file), file.string());
}

std::string data_difference(const EvalResults& a, const EvalResults& b) {
  using enum FingerprintPart;
  const auto parts = differing_parts(a.fingerprint, b.fingerprint, std::array{kInstructions, kRecords, kPictures});
  if (a.benchmark != b.benchmark || parts.empty()) return "";
  return fmt::format("{} was not evaluated on the same data as {}: {}", b.label, a.label,
                     difference_of(a.fingerprint, b.fingerprint, parts));
}

std::string metric_title(std::string_view metric) {
  if (metric.starts_with("recall@")) return fmt::format("R@{}", metric.substr(7));
  if (metric.starts_with("ndcg@")) return fmt::format("nDCG@{}", metric.substr(5));
  if (metric.starts_with("map")) return fmt::format("mAP{}", metric.substr(3));
  if (metric.starts_with("mrr")) return fmt::format("MRR{}", metric.substr(3));
  return std::string(metric);
}

const ResultRow* find_row(const std::vector<ResultRow>& rows, std::string_view id) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const ResultRow& row) { return row.id == id; });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace trireme
