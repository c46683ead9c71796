#include "retrieval/rerank/checkpoint_reranker.h"

#include "core/config/choice.h"
#include "core/config/field_list.h"
#include "core/error.h"
#include "retrieval/checkpoint_model.h"

namespace trireme {

void RerankerConfig::describe(FieldList& v) {
  v.field("model", model, "Folder of the checkpoint that reranks: the base of LamRA-Rank, or merged weights.")
      .no_effect_on_values();
  v.field("adapter", adapter, "Folder of a PEFT LoRA adapter for the model: LamRA-Rank.").no_effect_on_values();
  v.field("prompt_spacing", prompt_spacing, "Wording of the prompts: that of LamRA's Qwen2-VL or Qwen2.5-VL branch.");
  v.field("system_prompt", system_prompt, "System turn of the chat frame.");
  v.field("text_tokens", text_tokens,
          "Query and candidate are cut after so many tokens of text, the prompt never; default: not cut.")
      .at_least(1);
  v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA-Rank was trained.");
  v.field("dtype", dtype, "Weights and activations.");
  v.field("alpha", alpha, "Transparent pictures: composited on white, or colour values with the alpha forgotten.");
  v.field("min_pixels", min_pixels, "Smaller pictures are enlarged to it; default: the checkpoint's.").positive();
  v.field("max_pixels", max_pixels, "Larger pictures are shrunk to it; default: the checkpoint's.").positive();
  v.field("scorer", scorer, "How prompts are computed and answers read.");
  v.field("block_queries", block_queries, "Queries scored at once by a rank; they share pictures.")
      .at_least(1)
      .no_effect_on_values();
}
static_assert(field_count<RerankerConfig>() == 12, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

/// Those who may be given none, `rerank` and `eval`, ask for one before.
RerankerConfig checked(RerankerConfig config) {
  TRIREME_ASSERT(!config.model.empty(), "a reranker without a model");
  return config;
}

}  // namespace

struct CheckpointReranker::State {
  State(RerankerConfig reranker_config, c10::Device device)
      : config(checked(std::move(reranker_config))),
        checkpoint(source_of(config, device)),
        prompt(checkpoint.tokenizer(), checkpoint.encoder(), {config.prompt_spacing, config.text_tokens}) {}

  const RerankerConfig config;
  CheckpointModel checkpoint;
  RerankPrompt prompt;
};

CheckpointReranker::CheckpointReranker(RerankerConfig config, c10::Device device)
    : state_(std::make_unique<State>(std::move(config), device)) {}
CheckpointReranker::~CheckpointReranker() = default;

const RerankerConfig& CheckpointReranker::config() const { return state_->config; }

void CheckpointReranker::require_fits(const RecordFile& records, const ImageRoot& image_root) const {
  state_->checkpoint.require_fits(records, image_root);
}

void CheckpointReranker::load(Communicator& communicator) { state_->checkpoint.load(communicator, /*head=*/true); }

RerankScorer CheckpointReranker::scorer(const ImageRoot& image_root) const {
  const CheckpointModel& checkpoint = state_->checkpoint;
  return {checkpoint.model(),
          state_->prompt,
          {.image_root = image_root,
           .image_processor = checkpoint.image_processor(),
           .alpha = state_->config.alpha,
           .pack = checkpoint.pack_options(state_->config.rope_mode)},
          state_->config.scorer};
}

std::vector<std::string> CheckpointReranker::unused() const { return state_->checkpoint.unused(); }

RerankedWith CheckpointReranker::identity(Communicator& communicator) {
  using enum FingerprintPart;
  const RerankerConfig& config = state_->config;
  CheckpointModel& checkpoint = state_->checkpoint;
  RerankedWith with{.model = config.model.string(),
                    .model_sha256 = checkpoint.model_sha256(communicator),
                    .adapter_sha256 = checkpoint.adapter_sha256(),
                    .fingerprint = checkpoint.fingerprint(communicator)};
  Fingerprint& fingerprint = with.fingerprint;
  const RerankScorerConfig& scorer = config.scorer;
  fingerprint.set(kPrompt, fmt::format("rerank {}{}, listwise {} {} {}", choice_name(config.prompt_spacing),
                                       config.text_tokens ? fmt::format(", {} tokens", *config.text_tokens) : "",
                                       choice_name(scorer.listwise_answer), scorer.window, scorer.window_step));
  fingerprint.set_hash_of(kSystemPrompt, config.system_prompt);
  fingerprint.set(kRopeMode, std::string(choice_name(config.rope_mode)));
  if (checkpoint.image_processor()) fingerprint.set(kAlpha, std::string(choice_name(config.alpha)));
  return with;
}

}  // namespace trireme
