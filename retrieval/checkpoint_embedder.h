#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "data/sources/records.h"
#include "retrieval/embedder.h"

namespace trireme {

/// Whether an untied vocabulary head is read: to generate one needs it, to embed one does not.
enum class VocabularyHead { kLeave, kLoad };

/// A checkpoint in a folder, with an adapter where the config names one, made ready to embed in two steps: everything
/// that can be wrong about files and options is found before a weight is read.
///   CheckpointEmbedder checkpoint(config);
///   checkpoint.require_fits(records, image_root);
///   checkpoint.load(communicator);
///   embed_share(checkpoint.embedder(image_root), records, communicator, ..);
class CheckpointEmbedder {
 public:
  /// Reads config.json, the tokenizer, the image processor's settings, the weights' headers, and the adapter.
  /// throws what these throw; DataError when config.json and preprocessor_config.json cut patches differently.
  /// device: where the model will be.
  explicit CheckpointEmbedder(EmbedderConfig config, c10::Device device = c10::kCPU);
  ~CheckpointEmbedder();

  int64_t dim() const;
  /// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
  void require_fits(const RecordFile& records, const ImageRoot& image_root) const;
  /// Reads the weights; one rank of each host takes their hash meanwhile, on a thread of its own. Collective.
  void load(Communicator& communicator, VocabularyHead head = VocabularyHead::kLeave);
  /// After load(). Borrows from this object.
  Embedder embedder(const ImageRoot& image_root) const;

  /// After load(): what of the files is harmless and not used, each with its reason.
  std::vector<std::string> unused() const;
  /// After load(): what stands in files of this model's embeddings, but for records, pictures and config_sha256. Waits
  /// for the hash. Collective: the same on every rank.
  EmbeddingsInfo info(Communicator& communicator);
  const EmbedderConfig& config() const;
  const Tokenizer& tokenizer() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
