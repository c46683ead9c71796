#include "retrieval/checkpoint_embedder.h"

#include "retrieval/checkpoint_model.h"

namespace trireme {

namespace fs = std::filesystem;

struct CheckpointEmbedder::State {
  State(EmbedderConfig embedder_config, c10::Device device)
      : config(std::move(embedder_config)),
        checkpoint(source_of(config, device)),
        prompt(checkpoint.tokenizer(), checkpoint.encoder(), {config.prompt, config.text_tokens}) {}

  const EmbedderConfig config;
  CheckpointModel checkpoint;
  EmbeddingPrompt prompt;
};

CheckpointEmbedder::CheckpointEmbedder(EmbedderConfig config, c10::Device device)
    : state_(std::make_unique<State>(std::move(config), device)) {}
CheckpointEmbedder::~CheckpointEmbedder() = default;

int64_t CheckpointEmbedder::dim() const { return state_->checkpoint.config().decoder.hidden_size; }
const EmbedderConfig& CheckpointEmbedder::config() const { return state_->config; }
const Tokenizer& CheckpointEmbedder::tokenizer() const { return state_->checkpoint.tokenizer(); }
std::string CheckpointEmbedder::adapter_sha256() const { return state_->checkpoint.adapter_sha256(); }

void CheckpointEmbedder::require_fits(const RecordFile& records, const ImageRoot& image_root) const {
  state_->checkpoint.require_fits(records, image_root);
}

void CheckpointEmbedder::load(const Communicator& communicator, VocabularyHead head) {
  state_->checkpoint.load(communicator, head == VocabularyHead::kLoad);
}

Embedder CheckpointEmbedder::embedder(const ImageRoot& image_root) const {
  const CheckpointModel& checkpoint = state_->checkpoint;
  return {checkpoint.model(),
          state_->prompt,
          {.image_root = image_root,
           .image_processor = checkpoint.image_processor(),
           .alpha = state_->config.alpha,
           .pack = checkpoint.pack_options(state_->config.rope_mode),
           .records_per_block = state_->config.block_records,
           .tokens_per_batch = state_->config.batch_tokens,
           .threads = state_->config.loader_threads}};
}

std::vector<std::string> CheckpointEmbedder::unused() const { return state_->checkpoint.unused(); }

std::string CheckpointEmbedder::model_sha256(Communicator& communicator) {
  return state_->checkpoint.model_sha256(communicator);
}

}  // namespace trireme
