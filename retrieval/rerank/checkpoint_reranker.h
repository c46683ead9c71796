#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/config/field_count.h"
#include "core/dist/communicator.h"
#include "data/sources/records.h"
#include "retrieval/embedder.h"
#include "retrieval/rerank/scorer.h"

namespace trireme {

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
  template <class V>
  void describe(V& v) {
    v.field("model", model, "Folder of the checkpoint that reranks: the base of LamRA-Rank, or merged weights.")
        .no_effect_on_values();
    v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model: LamRA-Rank.").no_effect_on_values();
    v.field("prompt_spacing", prompt_spacing, "Wording of the prompts: that of LamRA's Qwen2-VL or Qwen2.5-VL branch.");
    v.field("system_prompt", system_prompt, "System turn of the chat frame.");
    v.field("text_tokens", text_tokens,
            "Query and candidate are cut after so many tokens of text, the prompt never; default: not cut.")
        .at_least(1);
    v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA-Rank was trained.");
    v.field("dtype", dtype, "Weights and activations.");
    v.field("alpha", alpha, "Transparent pictures: composited on white, or colour values with the alpha forgotten.");
    v.field("min_pixels", min_pixels, "Smaller pictures are enlarged to it; default: the checkpoint's.").positive();
    v.field("max_pixels", max_pixels, "Larger pictures are shrunk to it; default: the checkpoint's.").positive();
    v.field("scorer", scorer, "How prompts are computed and answers read.");
    v.field("block_queries", block_queries, "Queries scored at once by a rank; they share pictures.")
        .at_least(1)
        .no_effect_on_values();
  }
};
static_assert(field_count<RerankerConfig>() == 12, "describe() must list every field");

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
  void require_fits(const RecordFile& records, const std::optional<std::filesystem::path>& image_root) const;
  /// Reads the weights; rank 0 takes their hash meanwhile, on a thread of its own.
  void load(const Communicator& communicator);
  /// After load(). Borrows from this object.
  RerankScorer scorer(const std::optional<std::filesystem::path>& image_root) const;

  /// After load(), once. Waits for the hash. Collective: the same on every rank.
  std::string model_sha256(Communicator& communicator);
  /// "" without an adapter.
  std::string adapter_sha256() const;
  const RerankerConfig& config() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
