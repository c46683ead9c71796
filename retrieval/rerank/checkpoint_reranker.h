#pragma once

#include <cstdint>
#include <optional>

#include "answering/checkpoint_model.h"
#include "core/config/base_fields.h"
#include "core/distributed/communicator.h"
#include "data/loader/input_config.h"
#include "data/prompt/rerank_prompt.h"
#include "data/sources/records.h"
#include "retrieval/rerank/reranked_run.h"
#include "retrieval/rerank/scorer.h"

namespace trireme {

class FieldList;

/// Which weights rerank, and how they are asked: what rerank and eval have in common.
struct RerankerConfig : CheckpointSource, InputConfig {
  RerankSpacing prompt_spacing = RerankSpacing::kMaster;
  std::optional<int64_t> text_tokens;
  RerankScorerConfig scorer;
  int64_t block_queries = 16;

  /// Paths are left out of hashes: results name the weights and the adapter by the hashes of their contents.
  void describe(FieldList& v);
};
template <>
consteval int64_t field_count<RerankerConfig>() {
  return own_and_base_fields<RerankerConfig, CheckpointSource, InputConfig>();
}

/// A checkpoint that reranks:
///   CheckpointReranker reranker(config, device);  // what can be wrong is found here, before a weight is read
///   reranker.checkpoint.load(communicator, VocabularyHead::kLoad);
///   reranker.scorer(image_root).score(queries, modes);
struct CheckpointReranker {
  /// throws as CheckpointModel; DataError: Yes, No or a digit is not one token.
  explicit CheckpointReranker(RerankerConfig reranker_config, c10::Device device = c10::kCPU);

  /// After loading. Borrows from this object.
  RerankScorer scorer(const ImageRoot& image_root) const;
  /// After loading: what its scores follow from beside the records. Waits for the hash. Collective: the same on every
  /// rank.
  RerankedWith identity(Communicator& communicator);

  const RerankerConfig config;
  CheckpointModel checkpoint;
  const RerankPrompt prompt;
};

}  // namespace trireme
