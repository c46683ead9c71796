#include <nlohmann/json.hpp>

#include "answering/model_inputs.h"
#include "core/config/config.h"
#include "launch/job.h"
#include "launch/metrics_file.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"
#include "retrieval/rerank/rerank_files.h"

namespace trireme {
namespace {

struct RerankVerb {
  RerankVerbConfig config;
  JobOptions job;
  DeviceOptions device;
  MetricsFile metrics;
};

double candidates_per_s(const RerankReport& report) {
  return report.score_s > 0 ? static_cast<double>(report.queries * report.depth) / report.score_s : 0;
}

nlohmann::ordered_json metrics_of(const RerankReport& report) {
  const PromptCounts& counts = report.counts;
  return {{"queries", report.queries},
          {"depth", report.depth},
          {"fusion", fusion_text(report.fusion)},
          {"prompts", counts.prompts},
          {"prompt_tokens", counts.prompt_tokens},
          {"computed_tokens", counts.computed_tokens},
          {"prefix_tokens", counts.prefix_tokens},
          {"saved_share", counts.saved_share()},
          {"images", counts.images},
          {"encoded_images", counts.encoded_images},
          {"unread_answers", report.unread_answers},
          {"prepare_s", report.prepare_s},
          {"score_s", report.score_s},
          {"candidates_per_s", candidates_per_s(report)}};
}

int rerank(RerankVerb& verb, Job& job) {
  // Hashed as it is used: said or not.
  if (!verb.config.reranker.path.empty() && !verb.config.rerank.depth) verb.config.rerank.depth = kDefaultRerankDepth;
  PhaseProgress progress(job);
  const RerankReport report = rerank_files(
      verb.config, config_sha256(verb.config), job.communicator,
      [&](int64_t done, int64_t of) { progress.show("rerank", "candidates", done, of); }, job.device);
  progress.finish();
  verb.metrics.write(metrics_of(report), job);
  log_unused(report.unused, job.log);
  for (const std::string& warning : report.warnings) job.log.warning("{}", warning);
  if (report.unread_answers > 0)
    job.log.warning("{} listwise answers could not be read; their lists stayed as they were", report.unread_answers);
  const std::string out = verb.config.rerank.out.string();
  if (report.counts.prompts == 0) {
    job.log.info("{} lists fused anew with {}; wrote {}", report.queries, fusion_text(report.fusion), out);
    return 0;
  }
  job.log.info(
      "{} queries x {} candidates in {:.1f} s after {:.1f} s of preparation, {:.1f} candidates/s; shared prefixes "
      "saved {:.1f} % of {} prompt tokens; fused with {}; wrote {}",
      report.queries, report.depth, report.score_s, report.prepare_s, candidates_per_s(report),
      100 * report.counts.saved_share(), report.counts.prompt_tokens, fusion_text(report.fusion), out);
  return 0;
}

}  // namespace

VerbAction add_rerank(Program& program) {
  auto verb = std::make_shared<RerankVerb>();
  program.add("rerank", "The head of every list in a new order, by LamRA-Rank.", verb->config.reranker,
              verb->config.rerank, verb->metrics, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return rerank(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
