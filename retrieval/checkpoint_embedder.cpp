#include "retrieval/checkpoint_embedder.h"

#include <future>

#include "core/dist/agreement.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "data/tokenizer/tokenizer.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// The checkpoint's image preprocessing with the caller's pixel limits, checked against the vision tower it feeds.
std::optional<ImageProcessorConfig> image_processor_of(const EmbedderConfig& config, const ModelConfig& model) {
  if (!model.vision) return std::nullopt;
  ImageProcessorConfig processor = read_image_processor_config(config.model);
  processor.min_pixels = config.min_pixels.value_or(processor.min_pixels);
  processor.max_pixels = config.max_pixels.value_or(processor.max_pixels);
  TRIREME_CHECK(processor.min_pixels <= processor.max_pixels, ConfigError, "embed",
                "min_pixels must be at most max_pixels; got {} and {}; change --min-pixels or --max-pixels.",
                processor.min_pixels, processor.max_pixels);
  const VisionConfig& vision = *model.vision;
  TRIREME_CHECK(
      processor.patch_size == vision.patch_size && processor.merge_size == vision.merge_size &&
          processor.temporal_patch_size == vision.temporal_patch_size,
      DataError, config.model.string(),
      "preprocessor_config.json must cut patches as config.json's vision_config says (patch, merge, temporal); "
      "got {}, {}, {} and {}, {}, {}; take both files from the same checkpoint.",
      processor.patch_size, processor.merge_size, processor.temporal_patch_size, vision.patch_size, vision.merge_size,
      vision.temporal_patch_size);
  return processor;
}

std::optional<Adapter> adapter_of(const EmbedderConfig& config, const ModelConfig& model) {
  if (!config.adapter) return std::nullopt;
  return read_adapter(*config.adapter, model);
}

}  // namespace

struct CheckpointEmbedder::State {
  explicit State(EmbedderConfig embedder_config)
      : config(std::move(embedder_config)),
        checkpoint(config.model),
        adapter(adapter_of(config, checkpoint.config())),
        image_processor(image_processor_of(config, checkpoint.config())),
        tokenizer(Tokenizer::from_file(config.model / "tokenizer.json")),
        encoder(tokenizer, checkpoint.config().image_token_id, config.system_prompt),
        prompt(tokenizer, encoder, {config.prompt, config.text_tokens}) {}

  const EmbedderConfig config;
  HubCheckpoint checkpoint;
  std::optional<Adapter> adapter;
  std::optional<ImageProcessorConfig> image_processor;
  Tokenizer tokenizer;
  ChatEncoder encoder;
  EmbeddingPrompt prompt;
  std::optional<Model> model;
  std::future<std::string> sha256;  ///< rank 0's
};

CheckpointEmbedder::CheckpointEmbedder(EmbedderConfig config) : state_(std::make_unique<State>(std::move(config))) {}
CheckpointEmbedder::~CheckpointEmbedder() = default;

int64_t CheckpointEmbedder::dim() const { return state_->checkpoint.config().decoder.hidden_size; }
const EmbedderConfig& CheckpointEmbedder::config() const { return state_->config; }
std::string CheckpointEmbedder::adapter_sha256() const { return state_->adapter ? state_->adapter->sha256 : ""; }

void CheckpointEmbedder::require_fits(const RecordFile& records, const std::optional<fs::path>& image_root) const {
  const auto image_row = records.first_image_row();
  if (!image_row) return;
  const ModelConfig& model = state_->checkpoint.config();
  TRIREME_CHECK(model.vision.has_value(), DataError, records.where(*image_row),
                "a text-only model ({}) takes records without images; got {}; use a vision-language checkpoint.",
                family_name(model.family), records.read(*image_row).image);
  TRIREME_CHECK(image_root && fs::is_directory(*image_root), DataError, records.where(*image_row),
                "a record with an image needs the folder of the images; got {}; give --image-root DIR.",
                image_root ? image_root->string() + ", which is no folder" : "none");
}

void CheckpointEmbedder::load(const Communicator& communicator) {
  state_->model.emplace(load_model(state_->checkpoint, {.dtype = torch_dtype(state_->config.dtype)}));
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
