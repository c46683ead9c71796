#include "retrieval/rerank/checkpoint_reranker.h"

#include "core/error.h"
#include "retrieval/checkpoint_model.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhere = "rerank";

RerankerConfig checked(RerankerConfig config) {
  TRIREME_CHECK(!config.model.empty(), ConfigError, kWhere,
                "the model that reranks must be given; got none; give --model DIR.");
  return config;
}

}  // namespace

struct CheckpointReranker::State {
  State(RerankerConfig reranker_config, c10::Device device)
      : config(checked(std::move(reranker_config))),
        checkpoint(source_of(kWhere, config, device)),
        prompt(checkpoint.tokenizer(), checkpoint.encoder(), {config.prompt_spacing, config.text_tokens}) {}

  const RerankerConfig config;
  CheckpointModel checkpoint;
  RerankPrompt prompt;
};

CheckpointReranker::CheckpointReranker(RerankerConfig config, c10::Device device)
    : state_(std::make_unique<State>(std::move(config), device)) {}
CheckpointReranker::~CheckpointReranker() = default;

const RerankerConfig& CheckpointReranker::config() const { return state_->config; }
std::string CheckpointReranker::adapter_sha256() const { return state_->checkpoint.adapter_sha256(); }

void CheckpointReranker::require_fits(const RecordFile& records, const std::optional<fs::path>& image_root) const {
  state_->checkpoint.require_fits(records, image_root);
}

void CheckpointReranker::load(const Communicator& communicator) {
  state_->checkpoint.load(communicator, /*head=*/true);
}

RerankScorer CheckpointReranker::scorer(const std::optional<fs::path>& image_root) const {
  const CheckpointModel& checkpoint = state_->checkpoint;
  return {checkpoint.model(),
          state_->prompt,
          {.image_root = image_root.value_or(""),
           .image_processor = checkpoint.image_processor(),
           .alpha = state_->config.alpha,
           .pack = checkpoint.pack_options(state_->config.rope_mode)},
          state_->config.scorer};
}

std::string CheckpointReranker::model_sha256(Communicator& communicator) {
  return state_->checkpoint.model_sha256(communicator);
}

}  // namespace trireme
