#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "data/sources/records.h"
#include "retrieval/embedder.h"
#include "retrieval/rerank/reranked_run.h"
#include "retrieval/rerank/scorer.h"

namespace trireme {

class FieldList;

/// Which weights rerank, and how they are asked: what rerank and eval have in common.
struct RerankerConfig {
  std::filesystem::path model;
  std::optional<std::filesystem::path> adapter;
  RerankSpacing prompt_spacing = RerankSpacing::kMaster;
  std::string system_prompt = std::string(kQwenSystemPrompt);
  std::optional<int64_t> text_tokens;
  RopeMode rope_mode = RopeMode::kMrope;
  ComputeDtype dtype = ComputeDtype::kFloat32;
  AlphaMode alpha = AlphaMode::kWhite;
  std::optional<int64_t> min_pixels, max_pixels;
  RerankScorerConfig scorer;
  int64_t block_queries = 16;

  /// Paths are left out of hashes: results name the weights and the adapter by the hashes of their contents.
  void describe(FieldList& v);
};

/// A checkpoint in a folder, with an adapter where the config names one, made ready to rerank in two steps: everything
/// that can be wrong about files and options is found before a weight is read.
class CheckpointReranker {
 public:
  /// Reads config.json, the tokenizer, the image processor's settings, the weights' headers, and the adapter.
  /// throws what these throw; DataError: Yes, No or a digit is not one token. ConfigError: no model, min_pixels above
  /// max_pixels. device: where the model will be.
  explicit CheckpointReranker(RerankerConfig config, c10::Device device = c10::kCPU);
  ~CheckpointReranker();

  /// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
  void require_fits(const RecordFile& records, const ImageRoot& image_root) const;
  /// Reads the weights; one rank of each host takes their hash meanwhile, on a thread of its own. Collective.
  void load(Communicator& communicator);
  /// After load(). Borrows from this object.
  RerankScorer scorer(const ImageRoot& image_root) const;

  /// After load(): what of the files is harmless and not used, each with its reason.
  std::vector<std::string> unused() const;
  /// After load(): what its scores follow from beside the records. Waits for the hash. Collective: the same on every
  /// rank.
  RerankedWith identity(Communicator& communicator);
  const RerankerConfig& config() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
