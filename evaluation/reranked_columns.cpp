#include "evaluation/reranked_columns.h"

#include <nlohmann/json.hpp>

#include "core/config/choice.h"
#include "core/config/config.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/json.h"
#include "evaluation/eval_config.h"
#include "evaluation/eval_lists.h"
#include "evaluation/fit_fusion.h"
#include "retrieval/rerank/reranked_run.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

std::map<RerankModes, FusionConfig> weights_of(const EvalRerankConfig& config) {
  std::map<RerankModes, FusionConfig> weights;
  for (const RerankModes mode : config.modes)
    weights[mode] = config.fuse_file ? read_fusion(*config.fuse_file, mode) : config.fuse;
  return weights;
}

/// The tasks of the other split that belong to the rows which are evaluated, whatever the tasks are called there.
Benchmark fit_benchmark(const EvalConfig& config, const Benchmark& evaluated) {
  BenchmarkConfig other = config.benchmark;
  other.split = config.rerank->fit->split;
  other.sets.clear();
  other.tasks.clear();
  Benchmark benchmark = read_benchmark(other);
  const auto has_row = [](const Benchmark& of, std::string_view row) {
    return std::any_of(of.tasks.begin(), of.tasks.end(),
                       [&](const BenchmarkTask& task) { return task.task.row == row; });
  };
  std::erase_if(benchmark.tasks, [&](const BenchmarkTask& task) { return !has_row(evaluated, task.task.row); });
  std::erase_if(benchmark.rows, [&](const TableRow& row) { return !has_row(benchmark, row.id); });
  TRIREME_CHECK(!benchmark.tasks.empty(), ConfigError, "eval",
                "rerank.fit.split must have tasks of the rows that are evaluated; got none in {}; evaluate other rows, "
                "or give the weights.",
                other.split);
  return benchmark;
}

std::unique_ptr<EvalSet> fit_set_of(const EvalConfig& config, const Benchmark& evaluated) {
  if (!config.rerank->fit) return nullptr;
  TRIREME_CHECK(metric_of_name(config.rerank->fit->metric).cutoff <= config.metrics.depth, ConfigError, "eval",
                "metrics.depth must be at least the cutoff of rerank.fit.metric, {}; got {}; raise it.",
                config.rerank->fit->metric, config.metrics.depth);
  EvalQueryConfig queries = config.queries;
  queries.pools = {PoolScope::kLocal};
  return std::make_unique<EvalSet>(fit_benchmark(config, evaluated), queries);
}

/// Candidates that the reranker is asked about in a set.
int64_t candidates_of(const EvalSet& set, const EvalRerankConfig& config) {
  const auto asked = [&](bool (*asks)(RerankModes)) {
    return std::any_of(config.modes.begin(), config.modes.end(), asks);
  };
  int64_t candidates = 0;
  for (const EvalSearch& search : set.searches()) {
    const int64_t queries = set.files()[search.queries]->records.size();
    const int64_t pool = set.files()[search.pool]->records.size();
    for (int64_t query = 0; query < queries; ++query) {
      const auto excluded = search.excluded.empty() ? 0 : std::ssize(search.excluded[static_cast<std::size_t>(query)]);
      if (asked(asks_pointwise)) candidates += std::min(config.depth, pool - excluded);
      if (asked(asks_listwise)) candidates += std::min(config.listwise_depth, pool - excluded);
    }
  }
  return candidates;
}

nlohmann::ordered_json json_of(const PositionBias& bias) {
  return {{"queries", bias.queries},
          {"candidates", bias.candidates},
          {"orders", bias.orders},
          {"share", bias.share},
          {"consistency", bias.consistency}};
}

}  // namespace

struct RerankedColumns::State {
  State(const EvalConfig& eval_config, const EvalSet& eval_set, Communicator& of, RerankedColumns::Progress shown,
        c10::Device device)
      : config(*eval_config.rerank),
        eval(eval_config),
        set(eval_set),
        communicator(of),
        progress(std::move(shown)),
        weights(weights_of(config)),
        reranker(config.reranker, device),
        fit_set(fit_set_of(eval, set.benchmark())),
        searches(
            config,
            [this](std::span<const RerankQuery> queries, RerankModes modes) { return scorer->score(queries, modes); },
            communicator, [this](int64_t done) { progress("rerank", done, to_score); }) {}

  const EvalRerankConfig& config;
  const EvalConfig& eval;
  const EvalSet& set;
  Communicator& communicator;
  RerankedColumns::Progress progress;
  std::map<RerankModes, FusionConfig> weights;
  CheckpointReranker reranker;
  std::unique_ptr<EvalSet> fit_set;
  std::optional<RerankScorer> scorer;
  SearchReranker searches;
  int64_t to_score = 0;  ///< about, of this rank
  EmbeddingsInfo retriever;
  RerankedWith reranked_with;
  std::string warning;
  std::map<std::string, PositionBias> position_bias;
  std::optional<FusionFile> fitted;

  void keep_runs(const RerankedSearch& reranked) const {
    Run run = run_of(set, *reranked.search, reranked.found);
    run.info = {.method = "exact",
                .model = retriever.model,
                .model_sha256 = retriever.model_sha256,
                .adapter_sha256 = retriever.adapter_sha256,
                .config_sha256 = config_sha256(eval.embed),
                .candidates = run.info.candidates,
                .fingerprint = retriever.fingerprint,
                .query_fingerprint = retriever.fingerprint};
    const std::string& task = set.benchmark().tasks[reranked.search->task].task.id;
    for (const RerankModes mode : config.modes) {
      ScoredRun scored{
          .run = run, .scores = {}, .reranker = reranked_with, .config_sha256 = config_sha256(config.reranker)};
      if (mode != RerankModes::kListwise) scored.scores.pointwise = reranked.scores.pointwise;
      if (mode != RerankModes::kPointwise) scored.scores.listwise = reranked.scores.listwise;
      if (mode == RerankModes::kBoth) {
        const int64_t depth = rank_score(reranked.scores, mode).size(1);
        scored.scores.pointwise = scored.scores.pointwise.narrow(1, 0, depth).contiguous();
        scored.scores.listwise = scored.scores.listwise.narrow(1, 0, depth).contiguous();
      }
      const std::string name = fmt::format(
          "{}{}.{}.h5", task, reranked.search->scope == PoolScope::kLocal ? "" : ".global", choice_name(mode));
      write_reranked_run(*config.runs / name, scored, mode, fusion_of(*reranked.search, mode));
    }
  }

  Fusion fusion_of(const EvalSearch& search, RerankModes mode) const {
    return weights.at(mode).of_row(set.benchmark().tasks[search.task].task.row);
  }
};

RerankedColumns::RerankedColumns(const EvalConfig& config, const EvalSet& set, Communicator& communicator,
                                 Progress progress, c10::Device device)
    : state_(std::make_unique<State>(config, set, communicator, std::move(progress), device)) {
  const ImageRoot& image_root = set.benchmark().image_root;
  for (const EvalSet* each : std::initializer_list<const EvalSet*>{&set, state_->fit_set.get()}) {
    if (each == nullptr) continue;
    for (const auto& file : each->files()) state_->reranker.checkpoint.require_fits(file->records, image_root);
    state_->to_score += candidates_of(*each, state_->config);
  }
  state_->to_score = (state_->to_score + communicator.size() - 1) / communicator.size();
}
RerankedColumns::~RerankedColumns() = default;

std::vector<std::string> RerankedColumns::load(const EmbeddingsInfo& retriever) {
  state_->retriever = retriever;
  state_->reranker.checkpoint.load(state_->communicator, VocabularyHead::kLoad);
  state_->scorer.emplace(state_->reranker.scorer(state_->set.benchmark().image_root));
  state_->reranked_with = state_->reranker.identity(state_->communicator);
  if (const auto& file = state_->config.fuse_file)
    state_->warning =
        fitted_for_others(read_fusion_file(*file), *file, state_->reranked_with.fingerprint, retriever.fingerprint);
  if (state_->config.runs) fs::create_directories(*state_->config.runs);
  return state_->reranker.checkpoint.weights().unused();
}

EvalSet* RerankedColumns::fit_set() const { return state_->fit_set.get(); }

void RerankedColumns::fit(const SetVectors& vectors) {
  State& state = *state_;
  std::vector<RerankedSearch> scored;
  EvalMetricConfig metrics = state.eval.metrics;
  metrics.bootstrap_samples = 0;
  evaluate(*state.fit_set, metrics, vectors, state.communicator,
           [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) {
             scored.push_back(state.searches.score(*state.fit_set, search, found));
           });
  FusionFile fitted = fit_fusion(*state.fit_set, scored, state.config.modes, *state.config.fit);
  fitted.model_sha256 = state.reranked_with.model_sha256;
  fitted.adapter_sha256 = state.reranked_with.adapter_sha256;
  fitted.retriever_model_sha256 = state.retriever.model_sha256;
  fitted.retriever_adapter_sha256 = state.retriever.adapter_sha256;
  fitted.fingerprint = state.reranked_with.fingerprint.by_name();
  fitted.retriever_fingerprint = state.retriever.fingerprint.by_name();
  for (const RerankModes mode : state.config.modes)
    state.weights[mode] = fitted.modes.at(std::string(choice_name(mode)));
  state.fitted = std::move(fitted);
}

std::vector<Neighbours> RerankedColumns::reorder(const EvalSearch& search, const Neighbours& found) {
  State& state = *state_;
  const RerankedSearch reranked = state.searches.score(state.set, search, found);
  if (state.config.position_bias && search.scope == PoolScope::kLocal)
    state.position_bias[state.set.benchmark().tasks[search.task].task.id] =
        state.searches.position_bias(state.set, reranked);
  if (state.config.runs && state.communicator.rank() == 0) state.keep_runs(reranked);
  std::vector<Neighbours> columns;
  for (const RerankModes mode : state.config.modes)
    columns.push_back(fused(state.set, reranked, mode, state.fusion_of(search, mode)));
  return columns;
}

RerankedBy RerankedColumns::reranked_by(RerankModes mode) const {
  const FusionConfig& weights = state_->weights.at(mode);
  RerankedBy by{.mode = std::string(choice_name(mode)),
                .model = state_->reranked_with.model,
                .model_sha256 = state_->reranked_with.model_sha256,
                .adapter_sha256 = state_->reranked_with.adapter_sha256,
                .depth = mode == RerankModes::kPointwise ? state_->config.depth : state_->config.listwise_depth,
                .fusion = fusion_text({weights.form, weights.value}),
                .fusion_by_row = {},
                .fingerprint = state_->reranked_with.fingerprint};
  for (const auto& [row, value] : weights.by_row) by.fusion_by_row[row] = fusion_text({weights.form, value});
  return by;
}

RerankEvalReport RerankedColumns::report() const {
  const SearchReranker& searches = state_->searches;
  return {searches.candidates(), searches.unread_answers(), searches.counts(),
          searches.score_s(),    state_->position_bias,     state_->fitted,
          state_->warning};
}

void RerankedColumns::write() const {
  const fs::path& out = state_->eval.out;
  if (state_->fitted) write_fusion_file(state_->config.fit->out.value_or(out / kFusionFileName), *state_->fitted);
  if (!state_->config.position_bias) return;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [task, bias] : state_->position_bias) json[task] = json_of(bias);
  write_text_file(out / "position_bias.json", dump_json(json, 2) + "\n");
}

}  // namespace trireme
