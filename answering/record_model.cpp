#include "answering/record_model.h"

#include "core/config/choice.h"
#include "core/config/field_list.h"

namespace trireme {

void RecordModelConfig::describe(FieldList& v) {
  v.field("model", path, "Folder of a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint as the hub has it.")
      .required()
      .no_effect_on_values();
  v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model.").no_effect_on_values();
  v.field("prompt", prompt, "What stands around text and picture.");
  v.field("system_prompt", system_prompt, "System turn of the chat frame; the bare prompt has none.");
  v.field("text_tokens", text_tokens,
          "A record's text is cut after so many tokens, the prompt never; default: not cut.")
      .at_least(1);
  v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA's Qwen2-VL checkpoints were trained.");
  v.field("dtype", dtype, "Weights and activations.");
  describe_alpha(v);
  describe_pixel_limits(v);
  v.field("block_records", block_records, "Consecutive records dealt to a rank at a time.")
      .at_least(1)
      .no_effect_on_values();
  v.field("batch_tokens", batch_tokens, "A batch ends before it exceeds so many tokens; bounds memory.")
      .at_least(1)
      .no_effect_on_values();
  v.field("loader_threads", loader_threads, "Threads that decode, tokenise and pack.")
      .at_least(1)
      .no_effect_on_values();
}
static_assert(field_count<RecordModelConfig>() == 13, "describe() must list every field");

RecordModel::RecordModel(RecordModelConfig model_config, c10::Device device)
    : config(std::move(model_config)),
      checkpoint(config, config, device),
      prompt(checkpoint.tokenizer(), checkpoint.encoder(), {config.prompt, config.text_tokens}) {}

RecordLoaderOptions RecordModel::loader_options(const ImageRoot& image_root, OnDataError on_error) const {
  ImageInput input = checkpoint.image_input(image_root);
  return {.image_root = std::move(input.image_root),
          .image_processor = input.image_processor,
          .alpha = input.alpha,
          .pack = input.pack,
          .records_per_block = config.block_records,
          .tokens_per_batch = config.batch_tokens,
          .threads = config.loader_threads,
          .on_error = on_error};
}

Fingerprint RecordModel::fingerprint(Communicator& communicator) {
  using enum FingerprintPart;
  Fingerprint fingerprint = checkpoint.fingerprint(communicator);
  fingerprint.set(kPrompt, fmt::format("{}{}", choice_name(config.prompt),
                                       config.text_tokens ? fmt::format(", {} tokens", *config.text_tokens) : ""));
  if (config.prompt == PromptForm::kBare) fingerprint.set(kSystemPrompt, "none");
  return fingerprint;
}

}  // namespace trireme
