#include "answering/model_inputs.h"
#include "core/config/help.h"
#include "evaluation/run_eval.h"
#include "launch/config_arguments.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/standard_streams.h"
#include "launch/verbs.h"
#include "retrieval/report/text_table.h"

namespace trireme {
namespace {

struct EvalVerb {
  ConfigArguments arguments;
  JobOptions job;
  DeviceOptions device;
};

std::string_view unit_of(std::string_view phase) {
  return phase == "embed" ? "records" : phase == "rerank" ? "candidates" : "searches";
}

void log_reranking(const RerankEvalReport& report, Log& log) {
  if (!report.warning.empty()) log.warning("{}", report.warning);
  if (report.unread_answers > 0)
    log.warning("{} listwise answers could not be read; their lists stayed as they were", report.unread_answers);
  if (report.candidates > 0) {
    log.info("{} candidates reranked in {:.1f} s, {:.1f} a second; shared prefixes saved {:.1f} % of {} prompt tokens",
             report.candidates, report.score_s, static_cast<double>(report.candidates) / report.score_s,
             100 * report.counts.saved_share(), report.counts.prompt_tokens);
  }
}

void log_left_out(const EvalReport& report, Log& log) {
  if (report.modality_mismatches > 0)
    log.warning("the modality of {} records contradicts what they hold; they were taken, as allowed",
                report.modality_mismatches);
  for (const SkippedRow& each : report.skipped) log.warning("{} was left out: {}", each.id, each.reason);
  if (!report.skipped.empty())
    log.warning("{} records could not be read and are in no query file or pool; the values are of the others",
                report.skipped.size());
}

/// What there is to read beside the tables.
std::string reranking_text(const RerankEvalReport& report) {
  std::string text;
  if (report.fitted) {
    text += fmt::format("\nweights fitted on {}, for {}:\n", report.fitted->fitted_on, report.fitted->metric);
    for (const FittedRow& row : report.fitted->fitted) {
      text += fmt::format("{} {}: alpha={} gives {:.1f}, the retriever {:.1f} ({} queries)\n", row.mode, row.row,
                          row.alpha, 100 * row.value, 100 * row.retriever_value, row.queries);
    }
  }
  if (!report.position_bias.empty()) text += "\n";
  for (const auto& [task, bias] : report.position_bias) text += fmt::format("{}: {}\n", task, position_bias_text(bias));
  return text;
}

int eval(const EvalVerb& verb, Job& job) {
  const auto config = load_config<EvalConfig>(verb.arguments.config, verb.arguments.overrides);
  PhaseProgress progress(job);
  const EvalReport report = run_eval(
      config, job.communicator,
      [&](const std::string& phase, int64_t done, int64_t of) { progress.show(phase, unit_of(phase), done, of); },
      job.device);
  progress.finish();
  log_unused(report.unused, job.log);
  if (job.communicator.rank() == 0) log_left_out(report, job.log);
  for (const std::string& file : report.replaced) job.log.warning("{}", file);
  if (report.missing_positives > 0) {
    job.log.warning("{} relevant documents are in no pool that was searched, and count as not found",
                    report.missing_positives);
  }
  const std::string kept =
      config->embeddings ? fmt::format(" ({} taken from {})", report.reused, config->embeddings->string()) : "";
  job.log.info("{} records embedded in {:.1f} s{}, searched in {:.1f} s, after {:.1f} s of preparation", report.records,
               report.embed_s, kept, report.search_s, report.prepare_s);
  log_reranking(report.rerank, job.log);
  if (job.communicator.rank() == 0) {
    print((report.columns.size() > 1 ? comparison_text(report.columns) : results_text(report.columns.front())) +
          reranking_text(report.rerank));
  }
  job.log.info("wrote {}", (config->out / "report.html").string());
  return 0;
}

}  // namespace

VerbAction add_eval(Program& program) {
  auto verb = std::make_shared<EvalVerb>();
  program
      .add("eval", "Embed, search and score every task of a benchmark; table, JSON and report.", verb->arguments,
           verb->job, verb->device)
      .config_keys = "Keys of CONFIG:\n\n" + config_help<EvalConfig>();
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return eval(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
