#include "trainers/model_source.h"

#include <algorithm>
#include <iterator>

#include <ATen/ops/empty.h>

#include "core/config/field_list.h"
#include "core/distributed/files_hash.h"
#include "core/error.h"
#include "models/lora.h"
#include "models/random_init.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "retrieval/checkpoint_inputs.h"
#include "retrieval/fingerprint_of.h"

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

/// weights: their sha256; "" when they are drawn.
BaseModel base_of(const ModelSourceConfig& config, const ModelConfig& shape, const std::optional<Adapter>& adapter,
                  std::string weights) {
  BaseModel base{.path = config.path,
                 .sha256 = std::move(weights),
                 .fingerprint = folder_fingerprint(config.path, shape, adapter ? &*adapter : nullptr)};
  base.fingerprint.set(FingerprintPart::kWeights, base.sha256.empty() ? "drawn" : base.sha256);
  if (const auto processor = image_processor_of(config.path, shape))
    base.fingerprint.add(picture_fingerprint(*processor));
  return base;
}

}  // namespace

ModelInputs::ModelInputs(const std::filesystem::path& folder)
    : shape(read_model_config(folder)),
      tokenizer(Tokenizer::from_file(folder / "tokenizer.json")),
      image_processor(image_processor_of(folder, shape)) {}

TrainingModel load_training_model(const ModelSourceConfig& config, uint64_t seed, Communicator& communicator,
                                  LoadOptions options) {
  check_init(config);
  options.dtype = torch_dtype(config.dtype);
  if (config.init == ModelInit::kRandom) {
    RandomInit init;
    init.seed = seed;
    const ModelConfig shape = read_model_config(config.path);
    return {random_model(shape, init, options), base_of(config, shape, std::nullopt, "")};
  }
  HubCheckpoint checkpoint(config.path);
  std::optional<Adapter> adapter;
  if (config.adapter) adapter = read_adapter(*config.adapter, checkpoint.config());
  FilesHash hash(communicator, checkpoint.weight_files());
  Lmm model = load_model(checkpoint, options);
  TrainingModel out{std::move(model), base_of(config, checkpoint.config(), adapter, hash.get(communicator)),
                    checkpoint.unused()};
  if (adapter) attach_adapter(out.model, *adapter);
  if (adapter)
    std::ranges::move(unused_tensors(*adapter, out.model.head.weight.defined()), std::back_inserter(out.unused));
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
