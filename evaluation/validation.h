#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/prompt/embedding_prompt.h"
#include "evaluation/evaluate.h"
#include "retrieval/embedder.h"

namespace trireme {

class FieldList;

/// [validation] Evaluation in the middle of a training run, of the weights as they are.
struct ValidationConfig {
  int64_t every_steps = 500;
  std::string best_metric = "headline";
  std::optional<int64_t> patience;
  std::optional<int64_t> max_queries, max_candidates;
  std::optional<PromptForm> prompt;
  int64_t batch_tokens = 8192;
  BenchmarkConfig benchmark = val_split();
  EvalQueryConfig queries{
      .instruction = InstructionChoice::kFixed, .prompt_number = 1, .seed = 0, .pools = {PoolScope::kLocal}};
  EvalMetricConfig metrics{
      .names = {"recall@1", "recall@5", "recall@10"}, .depth = 10, .bootstrap_samples = 0, .seed = 0};

  void describe(FieldList& v);

 private:
  static BenchmarkConfig val_split() {
    BenchmarkConfig config;
    config.split = "val";
    return config;
  }
};

/// What one evaluation gave: fractions.
struct ValidationScores {
  /// For metrics.jsonl: means over rows under "val/recall_at_5", and each row's headline under "val_rows/task4".
  std::vector<std::pair<std::string, double>> values;
  std::string best_key;  ///< which of them is that of config.best_metric
  double best_value = 0;
};

/// A benchmark opened and checked once, on which a live model is evaluated again and again. The model's weights are
/// read, never changed; no gradient is recorded.
class Validation {
 public:
  /// throws what read_benchmark(), resolve_metrics() and EvalSet throw: before the first step. ConfigError: best_metric
  /// is none of the metrics; no pool that all tasks have; no row that counts in the mean.
  explicit Validation(const ValidationConfig& config);

  const EvalSet& set() const noexcept { return set_; }
  /// not_finite: called, on every rank alike, with the place ("cand_pool.jsonl:17") of the first record whose embedding
  /// has a NaN or infinity: nothing can be ranked by it. Does not return.
  /// collective: every rank enters with equal weights, and gets the same values.
  ValidationScores run(const Embedder& embedder, Communicator& communicator,
                       const std::function<void(const std::string& where)>& not_finite) const;

 private:
  EvalMetricConfig metrics_;
  std::string best_metric_;
  EvalSet set_;
};

/// "recall_at_5" of "recall@5": what a metric is called in metrics.jsonl and TensorBoard.
std::string metric_key(std::string_view metric);

}  // namespace trireme
