#include "trainers/eval/validation.h"

namespace trireme {
namespace {

EvalSet open(const ValidationConfig& config) {
  Benchmark benchmark = read_benchmark(config.benchmark);
  resolve_metrics(config.metrics, benchmark);
  return EvalSet(std::move(benchmark), config.queries);
}

const std::optional<PoolResult>& pool_of(const ResultRow& row) { return row.local ? row.local : row.global; }

}  // namespace

std::string metric_key(std::string_view metric) {
  std::string key(metric);
  if (const auto at = key.find('@'); at != std::string::npos) key.replace(at, 1, "_at_");
  return key;
}

Validation::Validation(const ValidationConfig& config) : metrics_(config.metrics), set_(open(config)) {}

std::vector<std::pair<std::string, double>> Validation::run(Embedder embedder, Communicator& communicator) const {
  embedder.loader.image_root = set_.benchmark().image_root;
  const ResultTable table = evaluate(
      set_, metrics_,
      [&](const EvalFile& file) {
        return std::make_unique<TensorSource>(embed_in_memory(embedder, file.records, communicator));
      },
      communicator);
  std::vector<std::pair<std::string, double>> values;
  if (table.mean && pool_of(*table.mean)) {
    for (const auto& [name, estimate] : pool_of(*table.mean)->metrics)
      values.emplace_back("val/" + metric_key(name), estimate.value);
  }
  for (const ResultRow& row : table.rows) {
    if (const auto& pool = pool_of(row)) values.emplace_back("val_rows/" + row.id, pool->find(row.headline)->value);
  }
  return values;
}

}  // namespace trireme
