#include "trainers/run_validation.h"

#include <chrono>

#include "answering/model_inputs.h"
#include "core/elapsed.h"
#include "trainers/best_so_far.h"

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

}  // namespace

struct RunValidation::State {
  State(const ValidationConfig& validation_config, const DataConfig& data, const ModelInputs& model)
      : config(validation_config),
        validation(config),
        encoder(model.tokenizer, model.shape.image_token_id, data.system_prompt),
        prompt(model.tokenizer, encoder,
               {.form = config.prompt.value_or(data.prompt), .text_tokens = data.text_tokens}),
        loader(loader_options(config, data, model)) {
    const EvalSet& set = validation.set();
    for (const auto& file : set.files()) {
      require_fits(file->records, model.shape, set.benchmark().image_root);
    }
  }

  const ValidationConfig config;
  const Validation validation;
  const ChatEncoder encoder;
  const EmbeddingPrompt prompt;
  const RecordLoaderOptions loader;
  BestSoFar best;
};

RunValidation::RunValidation(const std::optional<ValidationConfig>& config, const DataConfig& data,
                             const ModelInputs& model)
    : state_(config ? std::make_unique<State>(*config, data, model) : nullptr) {}
RunValidation::~RunValidation() = default;

bool RunValidation::due(int64_t step, bool is_last) const {
  return state_ && (is_last || (step + 1) % state_->config.every_steps == 0);
}

StepRecord RunValidation::evaluate(int64_t step, const Lmm& trained, Communicator& communicator, Log& log,
                                   RunGuard& guard) {
  const auto begin = std::chrono::steady_clock::now();
  State& state = *state_;
  const ValidationScores scores = state.validation.run(
      LmmEmbedder(trained, state.prompt, state.loader), communicator, [&guard](const std::string& where) {
        guard.end({"the validation's embeddings must be finite", fmt::format("NaN or infinity for {}", where)});
      });
  state.best.add(step + 1, scores.best_value);
  log.info("after step {}: {} {:.4f}, {}", step + 1, scores.best_key, scores.best_value,
           best_is(step)
               ? std::string("the best so far")
               : fmt::format("the best was {:.4f} after step {}", state.best.value(), *state.best.steps_done()));
  if (exhausted()) {
    log.info("the run ends here: no better one in {} evaluations (validation.patience)",
             state.best.worse_evaluations());
  }
  return {step, scores.values, {{"time/validation_s", seconds_since(begin)}}};
}

bool RunValidation::best_is(int64_t step) const { return state_ && state_->best.steps_done() == step + 1; }

std::vector<int64_t> RunValidation::pinned_steps() const {
  if (!state_ || !state_->best.steps_done()) return {};
  return {*state_->best.steps_done()};
}

bool RunValidation::exhausted() const {
  return state_ && state_->config.patience && state_->best.worse_evaluations() >= *state_->config.patience;
}

Counters RunValidation::state() const { return state_ ? state_->best.state() : Counters{}; }

void RunValidation::restore(const Counters& counters) {
  if (state_) state_->best.restore(counters);
}

}  // namespace trireme
