#include "trainers/embedding_validation.h"

#include <memory>

#include "data/loader/image_reader.h"
#include "retrieval/checkpoint_inputs.h"

namespace trireme {
namespace {

RecordLoaderOptions loader_options(const ValidationConfig& config, const DataConfig& data, const ModelInputs& model) {
  RecordLoaderOptions options{
      .image_root = {},
      .image_processor = with_pixel_limits(model.image_processor, data),
      .alpha = data.alpha,
      .pack = {.rope_mode = data.rope_mode, .image_token_id = model.shape.image_token_id},
      .tokens_per_batch = config.batch_tokens,
      .threads = data.loader_threads,
  };
  if (options.image_processor) options.pack.merge_size = options.image_processor->merge_size;
  return options;
}

struct EmbeddingValidation {
  EmbeddingValidation(const ValidationConfig& config, const DataConfig& data, const ModelInputs& model)
      : validation(config),
        encoder(model.tokenizer, model.shape.image_token_id, data.system_prompt),
        prompt(model.tokenizer, encoder,
               {.form = config.prompt.value_or(data.prompt), .text_tokens = data.text_tokens}),
        loader(loader_options(config, data, model)) {
    for (const auto& file : validation.set().files()) {
      require_fits(file->records, model.shape, validation.set().benchmark().image_root);
    }
  }

  const Validation validation;
  const ChatEncoder encoder;
  const EmbeddingPrompt prompt;
  const RecordLoaderOptions loader;
};

}  // namespace

RunValidation embedding_validation(const std::optional<ValidationConfig>& config, const DataConfig& data,
                                   const ModelInputs& model, std::function<const Lmm&()> live) {
  if (!config) return {};
  const auto opened = std::make_shared<const EmbeddingValidation>(*config, data, model);
  return {config->every_steps, config->patience,
          [opened, live = std::move(live)](Communicator& communicator, const auto& not_finite) {
            return opened->validation.run({live(), opened->prompt, opened->loader}, communicator, not_finite);
          }};
}

}  // namespace trireme
