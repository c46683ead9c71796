#include "retrieval/rerank/checkpoint_reranker.h"

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

constexpr std::string_view kWhere = "rerank";

RerankerConfig checked(RerankerConfig config) {
  TRIREME_CHECK(!config.model.empty(), ConfigError, kWhere,
                "the model that reranks must be given; got none; give --model DIR.");
  return config;
}

/// The checkpoint's image preprocessing with the caller's pixel limits.
std::optional<ImageProcessorConfig> image_processor_of(const RerankerConfig& config, const ModelConfig& model) {
  auto processor = image_processor_of(config.model, model);
  if (!processor) return std::nullopt;
  processor->min_pixels = config.min_pixels.value_or(processor->min_pixels);
  processor->max_pixels = config.max_pixels.value_or(processor->max_pixels);
  TRIREME_CHECK(processor->min_pixels <= processor->max_pixels, ConfigError, kWhere,
                "min_pixels must be at most max_pixels; got {} and {}; change --min-pixels or --max-pixels.",
                processor->min_pixels, processor->max_pixels);
  return processor;
}

std::optional<Adapter> adapter_of(const RerankerConfig& config, const ModelConfig& model) {
  if (!config.adapter) return std::nullopt;
  return read_adapter(*config.adapter, model);
}

}  // namespace

struct CheckpointReranker::State {
  State(RerankerConfig reranker_config, c10::Device model_device)
      : device(model_device),
        config(checked(std::move(reranker_config))),
        checkpoint(config.model),
        adapter(adapter_of(config, checkpoint.config())),
        image_processor(image_processor_of(config, checkpoint.config())),
        tokenizer(Tokenizer::from_file(config.model / "tokenizer.json")),
        encoder(tokenizer, checkpoint.config().image_token_id, config.system_prompt),
        prompt(tokenizer, encoder, {config.prompt_spacing, config.text_tokens}) {}

  const c10::Device device;
  const RerankerConfig config;
  HubCheckpoint checkpoint;
  std::optional<Adapter> adapter;
  std::optional<ImageProcessorConfig> image_processor;
  Tokenizer tokenizer;
  ChatEncoder encoder;
  RerankPrompt prompt;
  std::optional<Model> model;
  std::future<std::string> sha256;  ///< rank 0's
};

CheckpointReranker::CheckpointReranker(RerankerConfig config, c10::Device device)
    : state_(std::make_unique<State>(std::move(config), device)) {}
CheckpointReranker::~CheckpointReranker() = default;

const RerankerConfig& CheckpointReranker::config() const { return state_->config; }
std::string CheckpointReranker::adapter_sha256() const { return state_->adapter ? state_->adapter->sha256 : ""; }

void CheckpointReranker::require_fits(const RecordFile& records, const std::optional<fs::path>& image_root) const {
  trireme::require_fits(records, state_->checkpoint.config(), image_root);
}

void CheckpointReranker::load(const Communicator& communicator) {
  state_->model.emplace(load_model(
      state_->checkpoint, {.dtype = torch_dtype(state_->config.dtype), .device = state_->device, .head = true}));
  if (state_->adapter) attach_adapter(*state_->model, *state_->adapter);
  if (communicator.rank() == 0) {
    state_->sha256 = std::async(std::launch::async,
                                [files = state_->checkpoint.weight_files()] { return sha256_hex_of_files(files); });
  }
}

RerankScorer CheckpointReranker::scorer(const std::optional<fs::path>& image_root) const {
  TRIREME_ASSERT(state_->model.has_value(), "scorer() of {} before load()", state_->config.model.string());
  const ModelConfig& model = state_->checkpoint.config();
  RerankInput input{.image_root = image_root.value_or(""),
                    .image_processor = state_->image_processor,
                    .alpha = state_->config.alpha,
                    .pack = {.rope_mode = state_->config.rope_mode, .image_token_id = model.image_token_id}};
  if (model.vision) input.pack.merge_size = model.vision->merge_size;
  return {*state_->model, state_->prompt, std::move(input), state_->config.scorer};
}

std::string CheckpointReranker::model_sha256(Communicator& communicator) {
  return broadcast_string(communicator, state_->sha256.valid() ? state_->sha256.get() : "", 0);
}

}  // namespace trireme
