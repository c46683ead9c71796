#include "trainers/embedding_validation.h"

#include <memory>

#include "answering/model_inputs.h"

namespace trireme {
namespace {

RecordLoaderOptions loader_options(const ValidationConfig& config, const DataConfig& data, const ModelInputs& model) {
  return {.image_root = {},
          .image_processor = with_pixel_limits(model.image_processor, data, "data"),
          .alpha = data.alpha,
          .pack = pack_options(data, model.model_input()),
          .tokens_per_batch = config.batch_tokens,
          .threads = data.loader_threads};
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
            return opened->validation.run(LmmEmbedder(live(), opened->prompt, opened->loader), communicator,
                                          not_finite);
          }};
}

}  // namespace trireme
