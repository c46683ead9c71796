#include <algorithm>

#include "answering/model_inputs.h"
#include "core/config/field_list.h"
#include "data/loader/image_reader.h"
#include "data/loader/training_set.h"
#include "data/rerank/rerank_batches.h"
#include "data/sources/mined_negatives.h"
#include "trainers/mined_source.h"
#include "trainers/recipes/recipes.h"
#include "trainers/rerank_step.h"
#include "trainers/skipped.h"
#include "trainers/trained_lmm.h"

namespace trireme {

/// Training a Qwen2-VL to judge candidates, one by one and as a list. Source: LamRA, arXiv:2412.01720, sec. 3.4.
struct LamraRankConfig {
  /// Texts are cut after 256 tokens, as LamRA does here.
  static DataConfig default_data() {
    DataConfig data;
    data.text_tokens = 256;
    return data;
  }

  RunConfig run;
  TrainedLmmConfig trained;
  DataConfig data = default_data();
  MinedConfig mined;
  RerankSamplesConfig samples;
  RerankStepConfig step;
  RerankLossConfig loss;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

void LamraRankConfig::describe(FieldList& v) {
  run.describe_first(v, "lamra_rank", "Batches, negatives, prompts, initial values and dropout");
  trained.describe_spread(v, "What is trained: the instruct model, not the retriever.");
  v.field("data", data, "Queries, M-BEIR's; data.sampler.pairs_global counts them.");
  v.field("mined", mined, "Negatives: what a retriever found for the queries.");
  v.field("samples", samples, "What becomes of a query.");
  v.field("step", step, "How a step's gradient is computed.");
  v.field("loss", loss, "Cross-entropy of the answers.");
  run.describe_length(v);
  run.describe_last(v);
}
static_assert(field_count<LamraRankConfig>() == 7, "describe() must list every field");

void LamraRankConfig::check(Problems& problems) const {
  run.check(problems);
  trained.check(problems);
  if (std::ranges::any_of(data.sources, [](const SourceConfig& s) { return s.kind != SourceKind::kMbeir; }))
    problems.add("data.sources", "must be of kind mbeir, whose queries were mined for; got another; remove it");
  if (data.prompt != PromptForm::kLamra)
    problems.add("data.prompt", "must be lamra: reranking has its own prompts; got another; remove it");
  if (data.hard_negatives != 0)
    problems.add(
        "data.hard_negatives",
        fmt::format("must be 0: samples says how negatives are drawn; got {}; remove it", data.hard_negatives));
}

namespace {

struct LamraRank {
  using Config = LamraRankConfig;
  static constexpr std::string_view kName = "lamra_rank", kUnit = "queries";
  static constexpr bool kHead = true;
  static std::vector<Curve> curves() {
    return {{"loss"},
            {"pointwise_loss"},
            {"listwise_loss"},
            {.name = "pointwise_accuracy", .is_ratio = true},
            {.name = "listwise_accuracy", .is_ratio = true}};
  }
  static std::string_view method(const Config&) { return "micro_batches"; }

  LamraRank(const Config& run_config, TrainingJob& training_job)
      : config(run_config),
        job(training_job),
        inputs(config.trained.model.path),
        negatives(open_mined(config.mined, job.communicator, job.log)),
        set(config.data, &negatives),
        samples(config.samples) {
    Lmm outline = outline_of_trained(config.trained, {.head = true});
    check_lr_factors(config.run.optim, trained_leaves(outline));
    samples.share_images = samples.share_images && !vision_trains(outline);
    require_images_fit(set, config.data, inputs.model_input());
    log_allowed(set, job.log);
    log_mined(set, negatives, job.log);
  }

  int64_t steps_per_epoch() const { return set.steps_per_epoch(); }
  int64_t units_per_step() const { return config.data.sampler.pairs_global; }

  BatchStream<RerankBatch> open(int64_t first_step) const {
    return rerank_batches(set, config.data, samples, negatives, inputs.model_input(),
                          static_cast<uint64_t>(config.run.seed), {job.communicator.rank(), job.communicator.size()},
                          first_step);
  }

  TrainedTensors load() {
    base = load_trained_lmm(config.trained, config.run.seed, job.communicator, {.device = job.device, .head = true});
    log_unused(base->unused, job.log);
    return trained_tensors(*base, trained_leaves(base->model));
  }

  std::vector<Measurement> gradient(const RerankBatch& batch, GradientReducer& reducer) {
    const RerankTask task{
        .model = base->model, .step = config.step, .loss = config.loss, .seed = static_cast<uint64_t>(config.run.seed)};
    const RerankStepResult result = rerank_step(task, batch, reducer, job.communicator);
    return {{result.loss.loss},
            {result.loss.pointwise},
            {result.loss.listwise},
            {result.pointwise_right, result.pointwise_all},
            {result.listwise_right, result.listwise_all}};
  }

  double linear_flop(const RerankBatch& batch) { return trireme::linear_flop(base->model, counts_of(batch)); }

  const Config& config;
  TrainingJob& job;
  ModelInputs inputs;
  MinedNegatives negatives;
  TrainingSet set;
  RerankSamplesConfig samples;
  std::optional<TrainingModel> base;
};

}  // namespace

RecipeEntry lamra_rank() { return entry_of<LamraRank>(); }

}  // namespace trireme
