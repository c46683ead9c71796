#include "retrieval/rerank/rerank_files.h"

#include <chrono>

#include <ATen/ops/full.h>

#include "answering/fingerprint_of.h"
#include "core/config/choice.h"
#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/io/quote.h"
#include "retrieval/rerank/fusion_config.h"
#include "retrieval/rerank/rerank_lists.h"
#include "retrieval/rerank/reranked_run.h"
#include "retrieval/search/indexed_records.h"

namespace trireme {

void RerankOptions::describe(FieldList& v) {
  v.field("run", run, "Run file to rerank. Without --model: one that was reranked, to be fused anew.")
      .required()
      .no_effect_on_values();
  v.field("out", out, "Run file (HDF5) to write; replaced only on success.").required().no_effect_on_values();
  v.field("queries", queries, "jsonl file of the run's queries, as they were embedded.").no_effect_on_values();
  v.field("candidates", candidates, "jsonl file of the corpus that was searched.").no_effect_on_values();
  v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
      .no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of that folder.")
      .no_effect_on_values();
  v.field("allow_modality_mismatch", allow_modality_mismatch,
          "Records whose modality contradicts what they hold are taken as they are, instructed by what it says.")
      .no_effect_on_values();
  v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.")
      .no_effect_on_values();
  v.field("prompt_number", prompt_number, "Which instruction of a query's kind is used, from 1.").at_least(1);
  v.field("mode", mode, "Each candidate alone, several in one prompt, or the mean of both scores.");
  v.field("depth", depth, "Documents of each list that are scored; the rest stays behind them. Default: 50.")
      .at_least(1);
  v.field("fuse", fuse,
          "alpha of alpha * S_ret + (1 - alpha) * S_rank; w=NUMBER for S_ret + w * S_rank; fitted: the fusion.yaml "
          "beside the adapter (or model); or the path of such a file.")
      .no_effect_on_values();
  v.field("row", row, "Row of the benchmark that the run is of, where such a file weighs rows apart.")
      .no_effect_on_values();
  v.field("trec", trec, "The run in TREC's text form too.").no_effect_on_values();
  v.field("tag", tag, "Last column of that form.").no_effect_on_values();
}
static_assert(field_count<RerankOptions>() == 15, "describe() must list every field");

void RerankVerbConfig::describe(FieldList& v) {
  v.field("reranker", reranker, "Which weights rerank, and how they are asked.");
  v.field("rerank", rerank, "What is reranked, and where to.");
}
static_assert(field_count<RerankVerbConfig>() == 2, "describe() must list every field");
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhere = "rerank";

/// The file of weights that the options name; nullopt where they give the weight.
std::optional<fs::path> fusion_file_of(const RerankVerbConfig& config) {
  const RerankOptions& options = config.rerank;
  if (options.fuse == "fitted") {
    const fs::path& beside = config.reranker.adapter ? *config.reranker.adapter : config.reranker.path;
    TRIREME_CHECK(!beside.empty(), ConfigError, kWhere,
                  "fitted is the {} beside --adapter or --model; got neither; give the file's path.", kFusionFileName);
    return beside / kFusionFileName;
  }
  if (options.fuse.ends_with(".yaml")) return options.fuse;
  return std::nullopt;
}

/// How scores are fused, and what the weight was fitted for.
class ChosenFusion {
 public:
  explicit ChosenFusion(const RerankVerbConfig& config) : path_(fusion_file_of(config)) {
    if (path_) file_ = read_fusion_file(*path_);
    const RerankOptions& options = config.rerank;
    fusion_ = path_ ? weights_of_mode(file_, *path_, options.mode).of_row(options.row) : parse_fusion(options.fuse);
  }
  const Fusion& fusion() const { return fusion_; }
  /// "" unless it was fitted for others.
  std::string warning_for(const ScoredRun& scored) const {
    if (!path_) return "";
    return fitted_for_others(file_, *path_, scored.reranker.fingerprint, scored.run.info.fingerprint);
  }

 private:
  std::optional<fs::path> path_;
  FusionFile file_;
  Fusion fusion_;
};

const fs::path& given(const std::optional<fs::path>& path, std::string_view option) {
  TRIREME_CHECK(path.has_value(), ConfigError, kWhere,
                "{} must be given, for the texts and pictures of the run; got none; name the jsonl file.", option);
  return *path;
}

/// The run's lists are there, and long enough.
void check_lists(const Run& run, int64_t depth, const fs::path& path) {
  TRIREME_CHECK(run.queries() > 0 && run.depth() > 0, DataError, kWhere,
                "{} must hold a candidate for every query; got {} queries with {} candidates each; search again.",
                quote_path(path), run.queries(), run.depth());
  TRIREME_CHECK(depth <= run.depth(), ConfigError, kWhere,
                "depth must be at most the length of the run's lists; got {} and {}; lower --depth.", depth,
                run.depth());
}

/// What a record file lacks of what a run names: the first, and how many.
class Missing {
 public:
  Missing(std::string_view what, const fs::path& path, const fs::path& run) : what_(what), path_(path), run_(run) {}
  void add(std::string_view id) {
    if (count_++ == 0) first_ = id;
  }
  void check() const {
    TRIREME_CHECK(count_ == 0, DataError, kWhere,
                  "{} must have every {} of the run {}; got none with id {} (and {} others missing); give the file "
                  "that was searched.",
                  quote_path(path_), what_, quote_path(run_), quote_text(first_), count_ - 1);
  }

 private:
  std::string_view what_;
  const fs::path &path_, &run_;
  std::string first_;
  int64_t count_ = 0;
};

/// The files of the run's records, opened, and where in them the records are.
class RunRecords {
 public:
  RunRecords(const RerankOptions& options, const Run& run, int64_t depth)
      : queries_(open_indexed(given(options.queries, "--queries"), query_options(options))),
        candidates_(open_indexed(given(options.candidates, "--candidates"), candidate_options(options))),
        lists_{queries_.records, candidates_.records, {}, at::full({run.queries(), depth}, -1, torch::kInt64)} {
    Missing queries("query", *options.queries, options.run);
    Missing documents("document", *options.candidates, options.run);
    auto rows = lists_.candidate_rows.accessor<int64_t, 2>();
    for (int64_t query = 0; query < run.queries(); ++query) {
      const std::string& qid = run.query_ids[static_cast<std::size_t>(query)];
      const auto row = queries_.ids.find(qid);
      if (!row) queries.add(qid);
      lists_.query_rows.push_back(row.value_or(0));
      const auto docs = run.docs_of(query);
      for (int64_t i = 0; i < std::min(depth, std::ssize(docs)); ++i) {
        const std::string& did = docs[static_cast<std::size_t>(i)];
        const auto at = candidates_.ids.find(did);
        if (!at) documents.add(did);
        rows[query][i] = at.value_or(0);
      }
    }
    queries.check();
    documents.check();
  }
  const ListHeads& lists() const { return lists_; }

 private:
  static RecordOptions candidate_options(const RerankOptions& options) {
    RecordOptions records;
    records.allow_modality_mismatch = options.allow_modality_mismatch;
    return records;
  }
  static RecordOptions query_options(const RerankOptions& options) {
    RecordOptions records = candidate_options(options);
    records.prompt_number = options.prompt_number;
    if (options.instructions) records.instructions.emplace(*options.instructions);
    return records;
  }

  IndexedRecords queries_, candidates_;
  ListHeads lists_;
};

void add_warning(std::string warning, RerankReport& report) {
  if (!warning.empty()) report.warnings.push_back(std::move(warning));
}

/// When a record file is not the one that was embedded for the run: with another text under an id, or more records.
/// Collective.
std::string other_records(const RecordFile& records, const fs::path& path, const Fingerprint& searched,
                          Communicator& communicator) {
  const Fingerprint now = with_records({}, records, communicator);
  const auto parts = differing_parts(searched, now, std::array{FingerprintPart::kRecords});
  if (parts.empty()) return "";
  return fmt::format("{} is not the file that the run was searched with: {}", quote_path(path),
                     difference_of(searched, now, parts));
}

ScoredRun score_run(const RerankVerbConfig& config, const ChosenFusion& fusion, const std::string& config_sha256,
                    Communicator& communicator, const RerankProgress& progress, c10::Device device,
                    RerankReport& report) {
  const auto begin = Clock::now();
  const RerankOptions& options = config.rerank;
  ScoredRun scored;
  scored.run = read_run(options.run);
  report.depth = options.depth.value_or(kDefaultRerankDepth);
  check_lists(scored.run, report.depth, options.run);
  const RunRecords records(options, scored.run, report.depth);
  add_warning(other_records(records.lists().queries, *options.queries, scored.run.info.query_fingerprint, communicator),
              report);
  add_warning(other_records(records.lists().candidates, *options.candidates, scored.run.info.fingerprint, communicator),
              report);
  CheckpointReranker reranker(config.reranker, device);
  const ImageRoot image_root(options.image_root.value_or(""), options.follow_links);
  reranker.checkpoint.require_fits(records.lists().queries, image_root);
  reranker.checkpoint.require_fits(records.lists().candidates, image_root);
  reranker.checkpoint.load(communicator, VocabularyHead::kLoad);
  report.unused = reranker.checkpoint.weights().unused();
  scored.reranker = reranker.identity(communicator);
  add_warning(fusion.warning_for(scored), report);
  const RerankScorer scorer = reranker.scorer(image_root);
  report.prepare_s = seconds_since(begin);
  const auto score_begin = Clock::now();
  ScoredHeads heads = score_lists(
      records.lists(), options.mode, config.reranker.block_queries,
      [&](std::span<const RerankQuery> queries, RerankModes modes) { return scorer.score(queries, modes); },
      communicator, progress);
  report.score_s = seconds_since(score_begin);
  report.counts = heads.counts;
  report.unread_answers = heads.unread_answers;
  scored.scores = std::move(heads.scores);
  scored.config_sha256 = config_sha256;
  return scored;
}

/// The scores that a reranked run holds.
ScoredRun stored_scores(const RerankOptions& options, const ChosenFusion& fusion, RerankReport& report) {
  ScoredRun scored = read_scored_run(options.run);
  add_warning(fusion.warning_for(scored), report);
  TRIREME_CHECK(scored.scores.has(options.mode), ConfigError, kWhere,
                "the run must hold the scores of --mode; got {} that was not asked then; give the mode it was "
                "reranked with, or --model.",
                choice_name(options.mode));
  report.depth = options.depth.value_or(scored.depth());
  TRIREME_CHECK(report.depth <= scored.depth(), ConfigError, kWhere,
                "depth must be at most that of the scores in the run; got {} and {}; lower --depth, or give --model.",
                report.depth, scored.depth());
  for (torch::Tensor* scores : {&scored.scores.pointwise, &scored.scores.listwise})
    if (scores->defined()) *scores = scores->narrow(1, 0, report.depth).contiguous();
  return scored;
}

void write_trec(const RerankOptions& options, const Run& run) {
  if (!options.trec) return;
  TrecWriter trec(*options.trec, options.tag);
  trec.write(run.query_ids, run.doc_ids, run.scores);
  trec.commit();
}

}  // namespace

RerankReport rerank_files(const RerankVerbConfig& config, const std::string& config_sha256, Communicator& communicator,
                          const RerankProgress& progress, c10::Device device) {
  RerankReport report;
  const ChosenFusion fusion(config);
  report.fusion = fusion.fusion();
  const ScoredRun scored = config.reranker.path.empty()
                               ? stored_scores(config.rerank, fusion, report)
                               : score_run(config, fusion, config_sha256, communicator, progress, device, report);
  report.queries = scored.run.queries();
  if (communicator.rank() == 0)
    write_trec(config.rerank, write_reranked_run(config.rerank.out, scored, config.rerank.mode, report.fusion));
  communicator.barrier();
  return report;
}

}  // namespace trireme
