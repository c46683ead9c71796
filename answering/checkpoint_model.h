#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "answering/checkpoint_weights.h"
#include "answering/encoded_images.h"
#include "answering/model_inputs.h"
#include "core/tensor.h"
#include "data/loader/input_config.h"
#include "data/prompt/chat.h"

namespace trireme {

/// Whether an untied vocabulary head is read: to answer one needs it, to embed one does not.
enum class VocabularyHead { kLeave, kLoad };

/// A checkpoint in a folder with all that makes its inputs: what embedding, generating and reranking start from.
/// Everything that can be wrong about files and options is found by the constructor, before load() reads a weight.
class CheckpointModel {
 public:
  /// Reads config.json, the weights' headers, the adapter, the tokenizer and the image processor's settings.
  /// throws what these throw; DataError: config.json and preprocessor_config.json cut patches differently.
  ///        ConfigError: min_pixels above max_pixels.
  /// device: where the model will be.
  CheckpointModel(const CheckpointSource& source, const InputConfig& input, c10::Device device);
  CheckpointModel(const CheckpointModel&) = delete;
  CheckpointModel& operator=(const CheckpointModel&) = delete;

  /// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
  void require_fits(const RecordFile& records, const ImageRoot& image_root) const {
    trireme::require_fits(records, config(), image_root);
  }
  /// Reads the weights. Collective, as CheckpointWeights::load().
  void load(Communicator& communicator, VocabularyHead head);

  CheckpointWeights& weights() { return weights_; }
  const CheckpointWeights& weights() const { return weights_; }
  const ModelConfig& config() const { return weights_.config(); }
  const Tokenizer& tokenizer() const { return inputs_.tokenizer; }
  const ChatEncoder& encoder() const { return encoder_; }
  /// How images and positions reach the model.
  ImageInput image_input(const ImageRoot& image_root) const;
  /// What ends an answer: eos_token_id of generation_config.json, config.json's where that has none, else <|im_end|>.
  std::vector<int64_t> stop_tokens() const;
  /// After load().
  const Lmm& model() const;
  /// After load(): the weights' parts and how inputs are made: image processor with pixel limits, alpha, system prompt,
  /// rope mode, compute dtype. What is asked is the caller's to add. Collective.
  Fingerprint fingerprint(Communicator& communicator);

 private:
  const CheckpointSource source_;
  const InputConfig input_;
  const c10::Device device_;
  CheckpointWeights weights_;
  ModelInputs inputs_;  ///< the image processor with the pixel limits that hold
  ChatEncoder encoder_;
  std::optional<Lmm> model_;
};

}  // namespace trireme
