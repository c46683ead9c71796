#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/config/field_count.h"
#include "retrieval/embedder.h"
#include "trainers/eval/evaluate.h"

namespace trireme {

/// [validation] Evaluation in the middle of a training run.
struct ValidationConfig {
  int64_t every_steps = 500;
  BenchmarkConfig benchmark;
  EvalQueryConfig queries{
      .instruction = InstructionChoice::kFixed, .prompt_number = 1, .seed = 0, .pools = {PoolScope::kLocal}};
  EvalMetricConfig metrics{
      .names = {"recall@1", "recall@5", "recall@10"}, .depth = 10, .bootstrap_samples = 0, .seed = 0};

  template <class V>
  void describe(V& v) {
    v.field("every_steps", every_steps, "Steps between two evaluations; the last step is evaluated too.").at_least(1);
    v.field("benchmark", benchmark, "What is evaluated; take split: val.");
    v.field("queries", queries, "How queries are asked, and what they search.");
    v.field("metrics", metrics, "What is computed from the ranked lists.");
  }
};
static_assert(field_count<ValidationConfig>() == 4, "describe() must list every field");

/// A benchmark opened and checked once, on which a live model is evaluated again and again. The model's weights are
/// read, never changed; no gradient is recorded.
class Validation {
 public:
  /// throws what read_benchmark(), resolve_metrics() and EvalSet throw: before the first step.
  explicit Validation(const ValidationConfig& config);

  /// Means over rows under "val/recall_at_5", and each row's headline under "val_rows/task4": keys and values for
  /// metrics.jsonl, fractions. The embedder's image root is set to the benchmark's.
  /// collective: every rank enters with equal weights, and gets the same values.
  std::vector<std::pair<std::string, double>> run(Embedder embedder, Communicator& communicator) const;

 private:
  EvalMetricConfig metrics_;
  EvalSet set_;
};

/// "recall_at_5" of "recall@5": what a metric is called in metrics.jsonl and TensorBoard.
std::string metric_key(std::string_view metric);

}  // namespace trireme
