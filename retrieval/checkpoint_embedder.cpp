#include "retrieval/checkpoint_embedder.h"

#include "core/config/choice.h"

namespace trireme {

EmbedCounts CheckpointEmbedder::embed(const RecordsToEmbed& what, const Communicator& communicator,
                                      const EmbeddedRows& take, const EmbedSkipped& skip,
                                      const EmbedProgress& progress) const {
  return LmmEmbedder(model_.checkpoint.model(), model_.prompt, model_.loader_options(what.image_root))
      .embed(what, communicator, take, skip, progress);
}

EmbeddingsInfo CheckpointEmbedder::info(Communicator& communicator) {
  CheckpointWeights& weights = model_.checkpoint.weights();
  return {.model = model_.config.path.string(),
          .model_sha256 = weights.sha256(communicator),
          .adapter_sha256 = weights.adapter_sha256(),
          .rope_mode = std::string(choice_name(model_.config.rope_mode)),
          .config_sha256 = "",
          .normalized = true,
          .fingerprint = model_.fingerprint(communicator)};
}

}  // namespace trireme
