#include "retrieval/checkpoint_embedder.h"

#include "core/config/choice.h"
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

void CheckpointEmbedder::require_fits(const RecordFile& records, const ImageRoot& image_root) const {
  state_->checkpoint.require_fits(records, image_root);
}

void CheckpointEmbedder::load(Communicator& communicator, VocabularyHead head) {
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

EmbeddingsInfo CheckpointEmbedder::info(Communicator& communicator) {
  using enum FingerprintPart;
  const EmbedderConfig& config = state_->config;
  CheckpointModel& checkpoint = state_->checkpoint;
  EmbeddingsInfo info{.model = config.model.string(),
                      .model_sha256 = checkpoint.model_sha256(communicator),
                      .adapter_sha256 = checkpoint.adapter_sha256(),
                      .rope_mode = std::string(choice_name(config.rope_mode)),
                      .config_sha256 = "",
                      .normalized = true,
                      .fingerprint = checkpoint.fingerprint(communicator)};
  Fingerprint& fingerprint = info.fingerprint;
  fingerprint.set(kPrompt, fmt::format("{}{}", choice_name(config.prompt),
                                       config.text_tokens ? fmt::format(", {} tokens", *config.text_tokens) : ""));
  fingerprint.set(kSystemPrompt, "none");
  if (config.prompt != PromptForm::kBare) fingerprint.set_hash_of(kSystemPrompt, config.system_prompt);
  fingerprint.set(kRopeMode, info.rope_mode);
  if (checkpoint.image_processor()) fingerprint.set(kAlpha, std::string(choice_name(config.alpha)));
  return info;
}

}  // namespace trireme
