#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "answering/record_model.h"
#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "data/sources/records.h"
#include "retrieval/embedder.h"

namespace trireme {

/// The embedder of a checkpoint in a folder, with an adapter where the config names one, made ready in two steps:
/// everything that can be wrong about files and options is found before a weight is read.
///   CheckpointEmbedder embedder(config);
///   embedder.require_fits(records, image_root);
///   embedder.load(communicator);
///   embedder.embed({records, image_root}, communicator, ..);
class CheckpointEmbedder : public Embedder {
 public:
  /// Reads config.json, the tokenizer, the image processor's settings, the weights' headers, and the adapter.
  /// throws as CheckpointModel.
  explicit CheckpointEmbedder(RecordModelConfig config, c10::Device device = c10::kCPU)
      : model_(std::move(config), device) {}

  /// throws DataError, naming the record: it has an image, and the model has no vision tower or no image root is given.
  void require_fits(const RecordFile& records, const ImageRoot& image_root) const {
    model_.checkpoint.require_fits(records, image_root);
  }
  /// Reads the weights; one rank of each host takes their hash meanwhile, on a thread of its own. Collective.
  void load(Communicator& communicator) { model_.checkpoint.load(communicator, VocabularyHead::kLeave); }

  int64_t dim() const override { return model_.checkpoint.config().decoder.hidden_size; }
  /// After load().
  EmbedCounts embed(const RecordsToEmbed& what, const Communicator& communicator, const EmbeddedRows& take,
                    const EmbedSkipped& skip, const EmbedProgress& progress) const override;

  /// After load(): what of the files is harmless and not used, each with its reason.
  std::vector<std::string> unused() const { return model_.checkpoint.weights().unused(); }
  /// After load(): what stands in files of this model's embeddings, but for records, pictures and config_sha256. Waits
  /// for the hash. Collective: the same on every rank.
  EmbeddingsInfo info(Communicator& communicator);

 private:
  RecordModel model_;
};

}  // namespace trireme
