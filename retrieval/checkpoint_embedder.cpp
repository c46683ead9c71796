#include "retrieval/checkpoint_embedder.h"

#include <future>

#include "core/dist/agreement.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "data/tokenizer/tokenizer.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "retrieval/checkpoint_inputs.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// The checkpoint's image preprocessing with the caller's pixel limits.
std::optional<ImageProcessorConfig> limited_image_processor(const EmbedderConfig& config, const ModelConfig& model) {
  auto processor = image_processor_of(config.model, model);
  if (!processor) return std::nullopt;
  processor->min_pixels = config.min_pixels.value_or(processor->min_pixels);
  processor->max_pixels = config.max_pixels.value_or(processor->max_pixels);
  TRIREME_CHECK(processor->min_pixels <= processor->max_pixels, ConfigError, "embed",
                "min_pixels must be at most max_pixels; got {} and {}; change --min-pixels or --max-pixels.",
                processor->min_pixels, processor->max_pixels);
  return processor;
}

std::optional<Adapter> adapter_of(const EmbedderConfig& config, const ModelConfig& model) {
  if (!config.adapter) return std::nullopt;
  return read_adapter(*config.adapter, model);
}

}  // namespace

struct CheckpointEmbedder::State {
  State(EmbedderConfig embedder_config, c10::Device model_device)
      : config(std::move(embedder_config)),
        device(model_device),
        checkpoint(config.model),
        adapter(adapter_of(config, checkpoint.config())),
        image_processor(limited_image_processor(config, checkpoint.config())),
        tokenizer(Tokenizer::from_file(config.model / "tokenizer.json")),
        encoder(tokenizer, checkpoint.config().image_token_id, config.system_prompt),
        prompt(tokenizer, encoder, {config.prompt, config.text_tokens}) {}

  const EmbedderConfig config;
  const c10::Device device;
  HubCheckpoint checkpoint;
  std::optional<Adapter> adapter;
  std::optional<ImageProcessorConfig> image_processor;
  Tokenizer tokenizer;
  ChatEncoder encoder;
  EmbeddingPrompt prompt;
  std::optional<Model> model;
  std::future<std::string> sha256;  ///< rank 0's
};

CheckpointEmbedder::CheckpointEmbedder(EmbedderConfig config, c10::Device device)
    : state_(std::make_unique<State>(std::move(config), device)) {}
CheckpointEmbedder::~CheckpointEmbedder() = default;

int64_t CheckpointEmbedder::dim() const { return state_->checkpoint.config().decoder.hidden_size; }
const EmbedderConfig& CheckpointEmbedder::config() const { return state_->config; }
const Tokenizer& CheckpointEmbedder::tokenizer() const { return state_->tokenizer; }
std::string CheckpointEmbedder::adapter_sha256() const { return state_->adapter ? state_->adapter->sha256 : ""; }

void CheckpointEmbedder::require_fits(const RecordFile& records, const std::optional<fs::path>& image_root) const {
  trireme::require_fits(records, state_->checkpoint.config(), image_root);
}

void CheckpointEmbedder::load(const Communicator& communicator, VocabularyHead head) {
  state_->model.emplace(load_model(
      state_->checkpoint,
      {.dtype = torch_dtype(state_->config.dtype), .device = state_->device, .head = head == VocabularyHead::kLoad}));
  if (state_->adapter) attach_adapter(*state_->model, *state_->adapter);
  if (communicator.rank() == 0) {
    state_->sha256 = std::async(std::launch::async,
                                [files = state_->checkpoint.weight_files()] { return sha256_hex_of_files(files); });
  }
}

Embedder CheckpointEmbedder::embedder(const std::optional<fs::path>& image_root) const {
  TRIREME_ASSERT(state_->model.has_value(), "embedder() of {} before load()", state_->config.model.string());
  const ModelConfig& model = state_->checkpoint.config();
  RecordLoaderOptions options{
      .image_root = image_root.value_or(""),
      .image_processor = state_->image_processor,
      .alpha = state_->config.alpha,
      .pack = {.rope_mode = state_->config.rope_mode, .image_token_id = model.image_token_id},
      .records_per_block = state_->config.block_records,
      .tokens_per_batch = state_->config.batch_tokens,
      .threads = state_->config.loader_threads,
  };
  if (model.vision) options.pack.merge_size = model.vision->merge_size;
  return {*state_->model, state_->prompt, std::move(options)};
}

std::string CheckpointEmbedder::model_sha256(Communicator& communicator) {
  return broadcast_string(communicator, state_->sha256.valid() ? state_->sha256.get() : "", 0);
}

}  // namespace trireme
