#pragma once

#include <cstdint>
#include <optional>

#include "answering/checkpoint_model.h"
#include "core/config/base_fields.h"
#include "data/loader/input_config.h"
#include "data/loader/record_loader.h"
#include "data/prompt/embedding_prompt.h"

namespace trireme {

class FieldList;

/// Which weights take records as their prompts, and how: what embed, eval, mine and generate have in common.
struct RecordModelConfig : CheckpointSource, InputConfig {
  PromptForm prompt = PromptForm::kLamra;
  std::optional<int64_t> text_tokens;
  int64_t block_records = 32;
  int64_t batch_tokens = 8192;
  int64_t loader_threads = 1;

  /// Paths are left out of hashes: results name the weights and the adapter by the hashes of their contents.
  void describe(FieldList& v);
};
template <>
consteval int64_t field_count<RecordModelConfig>() {
  return own_and_base_fields<RecordModelConfig, CheckpointSource, InputConfig>();
}

/// A checkpoint whose prompts are records:
///   RecordModel model(config, device);          // what can be wrong is found here, before a weight is read
///   model.checkpoint.load(communicator, ..);
struct RecordModel {
  /// throws as CheckpointModel.
  explicit RecordModel(RecordModelConfig model_config, c10::Device device = c10::kCPU);

  RecordLoaderOptions loader_options(const ImageRoot& image_root, OnDataError on_error = OnDataError::kStop) const;
  /// After loading: the checkpoint's parts, and the prompt. Collective.
  Fingerprint fingerprint(Communicator& communicator);

  const RecordModelConfig config;
  CheckpointModel checkpoint;
  const EmbeddingPrompt prompt;
};

}  // namespace trireme
