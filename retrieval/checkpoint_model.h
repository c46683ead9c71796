#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/distributed/files_hash.h"
#include "core/io/fingerprint.h"
#include "core/tensor.h"
#include "data/image/preprocess.h"
#include "data/loader/packer.h"
#include "data/prompt/chat.h"
#include "data/sources/records.h"
#include "data/tokenizer/tokenizer.h"
#include "models/lmm.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {

/// Which checkpoint, and how it is read.
struct CheckpointSource {
  std::filesystem::path model;
  std::optional<std::filesystem::path> adapter;
  std::string system_prompt;
  std::optional<int64_t> min_pixels, max_pixels;  ///< in place of the checkpoint's own
  c10::ScalarType dtype = torch::kFloat32;
  c10::Device device = torch::kCPU;  ///< where the model will be
};

/// What an EmbedderConfig or a RerankerConfig names.
template <class Config>
CheckpointSource source_of(const Config& config, c10::Device device) {
  return {.model = config.model,
          .adapter = config.adapter,
          .system_prompt = config.system_prompt,
          .min_pixels = config.min_pixels,
          .max_pixels = config.max_pixels,
          .dtype = torch_dtype(config.dtype),
          .device = device};
}

/// A checkpoint in a folder, with an adapter where one is named: what embedding, generating and reranking start from.
/// Everything that can be wrong about files and options is found by the constructor, before load() reads a weight.
class CheckpointModel {
 public:
  /// Reads config.json, the adapter, the image processor's settings, the tokenizer and the weights' headers.
  /// throws what these throw; DataError: config.json and preprocessor_config.json cut patches differently.
  ///        ConfigError: min_pixels above max_pixels.
  explicit CheckpointModel(CheckpointSource source);
  CheckpointModel(const CheckpointModel&) = delete;
  CheckpointModel& operator=(const CheckpointModel&) = delete;

  /// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
  void require_fits(const RecordFile& records, const ImageRoot& image_root) const;
  /// Reads the weights, an untied vocabulary head only if asked; one rank of each host takes their hash meanwhile, on a
  /// thread of its own. Collective.
  void load(Communicator& communicator, bool head);

  const ModelConfig& config() const { return checkpoint_.config(); }
  const std::optional<ImageProcessorConfig>& image_processor() const { return image_processor_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ChatEncoder& encoder() const { return encoder_; }
  PackOptions pack_options(RopeMode rope_mode) const;
  /// After load().
  const Lmm& model() const;
  /// After load(): what of the files is harmless and not used, each with its reason.
  std::vector<std::string> unused() const;
  /// After load(). Waits for the hash. Collective: the same on every rank.
  std::string model_sha256(Communicator& communicator);
  /// After load(): weights, adapter, configuration, tokenizer, image processor with pixel limits, compute dtype. How
  /// the model is asked is the caller's to add. Collective.
  Fingerprint fingerprint(Communicator& communicator);
  /// "" without an adapter.
  std::string adapter_sha256() const { return adapter_ ? adapter_->sha256 : ""; }

 private:
  const CheckpointSource source_;
  HubCheckpoint checkpoint_;
  std::optional<Adapter> adapter_;
  std::optional<ImageProcessorConfig> image_processor_;
  Tokenizer tokenizer_;
  ChatEncoder encoder_;
  std::optional<Lmm> model_;
  std::optional<FilesHash> hash_;
  std::optional<std::string> sha256_;  ///< once `hash_` was waited for
};

}  // namespace trireme
