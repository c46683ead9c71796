#include <algorithm>
#include <cmath>
#include <iterator>

#include "answering/model_inputs.h"
#include "core/config/field_list.h"
#include "data/loader/image_reader.h"
#include "data/loader/pair_batches.h"
#include "data/loader/training_set.h"
#include "data/sources/mined_negatives.h"
#include "losses/info_nce.h"
#include "trainers/contrastive_step.h"
#include "trainers/embedding_validation.h"
#include "trainers/mined_source.h"
#include "trainers/recipes/recipes.h"
#include "trainers/skipped.h"
#include "trainers/trained_lmm.h"

namespace trireme {

/// Contrastive training of a Qwen2-VL into an embedder. Source: LamRA, arXiv:2412.01720, sec. 3.2 and 3.3. One recipe
/// for all of its stages: text pairs (stage 1), M-BEIR's mixed tasks (stage 2), and training a small base from scratch;
/// they differ by config alone (experiments/).
struct LamraRetConfig {
  RunConfig run;
  TrainedLmmConfig trained;
  DataConfig data;
  std::optional<MinedConfig> mined;
  StepConfig step;
  InfoNceConfig loss;
  std::optional<ValidationConfig> validation;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

void LamraRetConfig::describe(FieldList& v) {
  run.describe_first(v, "lamra_ret", "Batches, prompts, augmentation, initial values and dropout");
  trained.describe_spread(v, "What is trained.");
  v.field("data", data, "On what.");
  v.field("mined", mined, "Hard negatives that a retriever found; those of neg_cand_list when absent.");
  v.field("step", step, "How a step's gradient is computed.");
  v.field("loss", loss, "InfoNCE.");
  run.describe_length(v);
  v.field("validation", validation, "Evaluation on the way; none when absent.");
  run.describe_last(v);
}
static_assert(field_count<LamraRetConfig>() == 7, "describe() must list every field");

void LamraRetConfig::check(Problems& problems) const {
  run.check(problems);
  trained.check(problems);
  if (data.sampler.pairs_global == 1 && data.hard_negatives == 0)
    problems.add("data.sampler.pairs_global",
                 "must be at least 2 without hard negatives; got 1: no pair would have a "
                 "negative; raise it");
  if (mined && data.hard_negatives == 0)
    problems.add("mined", "needs data.hard_negatives of at least 1; got 0; set it, or leave mined out");
  if (mined && std::ranges::none_of(data.sources, [](const SourceConfig& s) { return s.kind == SourceKind::kMbeir; }))
    problems.add("mined", "needs a source of kind mbeir, whose queries were mined for; got none; leave mined out");
}

namespace {

/// Undefined unless it is learned.
torch::Tensor learned_temperature(const InfoNceConfig& config, c10::Device device) {
  if (!config.learn_temperature) return {};
  return initial_log_inverse_temperature(config).detach().to(device).requires_grad_();
}

/// A learned temperature comes first, so its gradient leaves last: it is complete before the model's are begun.
NamedTensors leaves_of(Lmm& model, const torch::Tensor& log_inverse_temperature) {
  NamedTensors leaves;
  if (log_inverse_temperature.defined()) leaves.emplace_back("loss.log_inverse_temperature", log_inverse_temperature);
  std::ranges::move(trained_leaves(model), std::back_inserter(leaves));
  return leaves;
}

struct LamraRet {
  using Config = LamraRetConfig;
  static constexpr std::string_view kName = "lamra_ret", kUnit = "pairs";
  static constexpr bool kHead = false;
  static std::vector<Curve> curves() {
    return {
        {"loss"}, {"accuracy"}, {"positive_cosine"}, {"negative_cosine"}, {"candidate_cosine"}, {"excluded_columns"}};
  }
  static std::string_view method(const Config& config) { return choice_name(config.step.method); }

  LamraRet(const Config& run_config, TrainingJob& training_job)
      : config(run_config),
        job(training_job),
        inputs(config.trained.model.path),
        negatives(open_mined(config.mined, job.communicator, job.log)),
        set(config.data, negatives ? &*negatives : nullptr) {
    require_images_fit(set, config.data, inputs.model_input());
    check_widths(config.loss, inputs.shape.decoder.hidden_size);
    Lmm outline = outline_of_trained(config.trained);
    check_lr_factors(config.run.optim, leaves_of(outline, learned_temperature(config.loss, outline.device)));
    log_allowed(set, job.log);
    if (negatives) log_mined(set, *negatives, job.log);
  }

  int64_t steps_per_epoch() const { return set.steps_per_epoch(); }
  int64_t units_per_step() const { return config.data.sampler.pairs_global; }

  BatchStream<PairBatch> open(int64_t first_step) const {
    return pair_batches(set, config.data, inputs.model_input(), static_cast<uint64_t>(config.run.seed),
                        {job.communicator.rank(), job.communicator.size()}, first_step);
  }

  RunValidation validation() {
    return embedding_validation(config.validation, config.data, inputs, [this]() -> const Lmm& { return base->model; });
  }

  TrainedTensors load() {
    base = load_trained_lmm(config.trained, config.run.seed, job.communicator, {.device = job.device});
    log_unused(base->unused, job.log);
    task.emplace(ContrastiveTask{.model = base->model,
                                 .step = config.step,
                                 .loss = config.loss,
                                 .pairs_global = units_per_step(),
                                 .seed = static_cast<uint64_t>(config.run.seed),
                                 .vision_trains = vision_trains(base->model),
                                 .log_inverse_temperature = learned_temperature(config.loss, job.device)});
    return trained_tensors(*base, leaves_of(base->model, task->log_inverse_temperature));
  }

  std::vector<Measurement> gradient(const PairBatch& batch, GradientReducer& reducer) {
    const InfoNceResult result = contrastive_step(*task, batch, reducer, job.communicator);
    const InfoNceMetrics& metrics = result.metrics;
    return {{result.loss},
            {metrics.accuracy},
            {metrics.positive_cosine},
            {metrics.negative_cosine},
            {metrics.candidate_cosine},
            {metrics.excluded}};
  }

  NamedValues values_now() const {
    if (!task->log_inverse_temperature.defined()) return {};
    return {{"train/temperature", std::exp(-task->log_inverse_temperature.item<double>())}};
  }

  double linear_flop(const PairBatch& batch) { return trireme::linear_flop(base->model, counts_of(batch)); }

  const Config& config;
  TrainingJob& job;
  ModelInputs inputs;
  std::optional<MinedNegatives> negatives;
  TrainingSet set;
  std::optional<TrainingModel> base;
  std::optional<ContrastiveTask> task;
};

}  // namespace

RecipeEntry lamra_ret() { return entry_of<LamraRet>(); }

}  // namespace trireme
