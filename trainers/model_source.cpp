#include "trainers/model_source.h"

#include <ATen/ops/empty.h>

#include "answering/fingerprint_of.h"
#include "answering/model_inputs.h"
#include "core/config/field_list.h"
#include "core/error.h"
#include "models/lora.h"
#include "models/random_init.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {

void ModelSourceConfig::describe(FieldList& v) {
  v.field("path", path, "Hugging Face folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint.")
      .required()
      .no_effect_on_values();
  v.field("init", init, "Begin with the folder's weights, or with random ones of its shape.");
  v.field("adapter", adapter, "PEFT LoRA adapter to train on from; then there is no [lora] section.");
  v.field("adapter_dropout", adapter_dropout,
          "Dropout of the adapter's LoRA from here on; default: lora_dropout of its adapter_config.json.")
      .between(0, 0.95);
  v.field("dtype", dtype, "Weights and activations; LoRA matrices and losses are float32 in both.");
}
static_assert(field_count<ModelSourceConfig>() == 5, "describe() must list every field");

namespace {

void check_init(const ModelSourceConfig& config) {
  TRIREME_CHECK(config.init != ModelInit::kRandom || !config.adapter, ConfigError, "model.adapter",
                "an adapter needs the weights that it was trained for; got init: random; set init: pretrained.");
}

/// fingerprint: of the weights.
BaseModel base_of(const ModelSourceConfig& config, const ModelConfig& shape, std::string sha256,
                  Fingerprint fingerprint) {
  if (const auto processor = image_processor_of(config.path, shape)) fingerprint.add(image_fingerprint(*processor));
  return {.path = config.path, .sha256 = std::move(sha256), .fingerprint = std::move(fingerprint)};
}

}  // namespace

TrainingModel load_training_model(const ModelSourceConfig& config, uint64_t seed, Communicator& communicator,
                                  LoadOptions options) {
  check_init(config);
  if (config.init == ModelInit::kRandom) {
    options.dtype = torch_dtype(config.dtype);
    RandomInit init;
    init.seed = seed;
    const ModelConfig shape = read_model_config(config.path);
    Fingerprint fingerprint = folder_fingerprint(config.path, shape, nullptr);
    fingerprint.set(FingerprintPart::kWeights, "drawn");
    return {random_model(shape, init, options), base_of(config, shape, "", std::move(fingerprint))};
  }
  CheckpointWeights weights(config);
  TrainingModel out{.model = weights.load(communicator, options), .base = {}, .unused = weights.unused()};
  out.base = base_of(config, weights.config(), weights.sha256(communicator), weights.fingerprint(communicator));
  if (config.adapter_dropout) set_lora_dropout(out.model, *config.adapter_dropout);
  return out;
}

Lmm outline_training_model(const ModelSourceConfig& config, LoadOptions options) {
  check_init(config);
  options.dtype = torch_dtype(config.dtype);
  options.device = c10::kMeta;
  const auto without_values = [](const TensorSlot& slot) {
    return at::empty(slot.shape, at::TensorOptions(torch::kFloat32).device(c10::kMeta));
  };
  if (config.init == ModelInit::kRandom) {
    const ModelConfig shape = read_model_config(config.path);
    return assemble_model(shape, without_values, options);
  }
  HubCheckpoint checkpoint(config.path);
  const auto take = [&](const TensorSlot& slot) {
    checkpoint.take(slot.name, slot.shape);
    return without_values(slot);
  };
  Lmm model = assemble_model(checkpoint.config(), take, options);
  checkpoint.require_all_taken();
  if (config.adapter) attach_adapter(model, read_adapter(*config.adapter, checkpoint.config()));
  return model;
}

}  // namespace trireme
