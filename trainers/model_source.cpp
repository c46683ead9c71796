#include "trainers/model_source.h"

#include <future>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "models/random_init.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "retrieval/checkpoint_inputs.h"

namespace trireme {

void ModelSourceConfig::describe(FieldList& v) {
  v.field("path", path, "Hugging Face folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint.")
      .required()
      .no_effect_on_values();
  v.field("init", init, "Begin with the folder's weights, or with random ones of its shape.");
  v.field("adapter", adapter, "PEFT LoRA adapter to train on from; then there is no [lora] section.");
  v.field("dtype", dtype, "Weights and activations; LoRA matrices and losses are float32 in both.");
}
static_assert(field_count<ModelSourceConfig>() == 4, "describe() must list every field");

TrainingModel load_training_model(const ModelSourceConfig& config, uint64_t seed, LoadOptions options) {
  const ModelConfig shape = read_model_config(config.path);
  Tokenizer tokenizer = Tokenizer::from_file(config.path / "tokenizer.json");
  const std::optional<ImageProcessorConfig> image_processor = image_processor_of(config.path, shape);
  options.dtype = torch_dtype(config.dtype);
  if (config.init == ModelInit::kRandom) {
    TRIREME_CHECK(!config.adapter, ConfigError, "model.adapter",
                  "an adapter needs the weights that it was trained for; got init: random; set init: pretrained.");
    RandomInit init;
    init.seed = seed;
    return {random_model(shape, init, options), std::move(tokenizer), image_processor, {config.path, ""}};
  }
  HubCheckpoint checkpoint(config.path);
  std::optional<Adapter> adapter;
  if (config.adapter) adapter = read_adapter(*config.adapter, shape);
  auto sha256 =
      std::async(std::launch::async, [files = checkpoint.weight_files()] { return sha256_hex_of_files(files); });
  Model model = load_model(checkpoint, options);
  TrainingModel out{std::move(model), std::move(tokenizer), image_processor, {config.path, sha256.get()}};
  if (adapter) attach_adapter(out.model, *adapter);
  return out;
}

}  // namespace trireme
