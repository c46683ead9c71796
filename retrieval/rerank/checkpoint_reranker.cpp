#include "retrieval/rerank/checkpoint_reranker.h"

#include "core/config/choice.h"
#include "core/config/field_list.h"

namespace trireme {

void RerankerConfig::describe(FieldList& v) {
  v.field("model", path, "Folder of the checkpoint that reranks: the base of LamRA-Rank, or merged weights.")
      .no_effect_on_values();
  v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model: LamRA-Rank.").no_effect_on_values();
  v.field("prompt_spacing", prompt_spacing, "Wording of the prompts: that of LamRA's Qwen2-VL or Qwen2.5-VL branch.");
  v.field("system_prompt", system_prompt, "System turn of the chat frame.");
  v.field("text_tokens", text_tokens,
          "Query and candidate are cut after so many tokens of text, the prompt never; default: not cut.")
      .at_least(1);
  v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA-Rank was trained.");
  v.field("dtype", dtype, "Weights and activations.");
  describe_alpha(v);
  describe_pixel_limits(v);
  v.field("scorer", scorer, "How prompts are computed and answers read.");
  v.field("block_queries", block_queries, "Queries scored at once by a rank; they share pictures.")
      .at_least(1)
      .no_effect_on_values();
}
static_assert(field_count<RerankerConfig>() == 12, "describe() must list every field");

CheckpointReranker::CheckpointReranker(RerankerConfig reranker_config, c10::Device device)
    : config(std::move(reranker_config)),
      checkpoint(config, config, device),
      prompt(checkpoint.tokenizer(), checkpoint.encoder(), {config.prompt_spacing, config.text_tokens}) {}

RerankScorer CheckpointReranker::scorer(const ImageRoot& image_root) const {
  return {Answerer(checkpoint.model(), checkpoint.tokenizer(), checkpoint.image_input(image_root),
                   config.scorer.answerer_options()),
          prompt, config.scorer};
}

RerankedWith CheckpointReranker::identity(Communicator& communicator) {
  CheckpointWeights& weights = checkpoint.weights();
  RerankedWith with{.model = config.path.string(),
                    .model_sha256 = weights.sha256(communicator),
                    .adapter_sha256 = weights.adapter_sha256(),
                    .fingerprint = checkpoint.fingerprint(communicator)};
  const RerankScorerConfig& scorer = config.scorer;
  with.fingerprint.set(FingerprintPart::kPrompt,
                       fmt::format("rerank {}{}, listwise {} {} {}", choice_name(config.prompt_spacing),
                                   config.text_tokens ? fmt::format(", {} tokens", *config.text_tokens) : "",
                                   choice_name(scorer.listwise_answer), scorer.window, scorer.window_step));
  return with;
}

}  // namespace trireme
