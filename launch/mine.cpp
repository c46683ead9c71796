#include "retrieval/mining/mine.h"

#include "answering/model_inputs.h"
#include "core/config/help.h"
#include "launch/config_arguments.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

struct MineVerb {
  ConfigArguments arguments;
  JobOptions job;
  DeviceOptions device;
};

void tell(const MineReport& report, const MineConfig& config, Log& log) {
  const MiningCounts& counts = report.counts;
  for (std::size_t i = 0; i < report.plan.groups.size(); ++i) {
    const QueryGroup& group = report.plan.groups[i];
    int64_t documents = 0;
    for (const int64_t part : group.parts) documents += report.plan.parts[static_cast<std::size_t>(part)].documents;
    log.info("{}: {} queries in {} documents; {}", group.name, group.queries, documents,
             in_words(report.group_priors[i]));
  }
  log.info(
      "{} records embedded in {:.1f} s ({} found in OUT.work), {} blocks of queries mined in {:.1f} s ({} found), "
      "after {:.1f} s of preparation",
      report.records, report.embed_s, report.embedded_before, report.blocks, report.mine_s, report.blocks_done_before,
      report.prepare_s);
  if (report.plan.repeated_queries > 0) {
    log.info("{} lines repeat a query that came before; it was mined once", report.plan.repeated_queries);
  }
  log.info(
      "dropped: {} by rank, {} by absolute margin, {} by relative margin, {} near-duplicates, {} known positives, {} "
      "by "
      "balance",
      counts.rank_window, counts.absolute_margin, counts.relative_margin, counts.near_duplicate, counts.known_positive,
      counts.balance);
  log.info("all: {}", in_words(report.prior));
  if (counts.emptied_dropped + counts.emptied_unfiltered > 0) {
    log.warning("the filters left {} queries without a negative: {} left out, {} kept with their list unfiltered",
                counts.emptied_dropped + counts.emptied_unfiltered, counts.emptied_dropped, counts.emptied_unfiltered);
  }
  if (counts.missing_positives > 0) {
    log.warning("the pool lacks {} positives; {} queries have no other and were left out", counts.missing_positives,
                counts.queries_without_positives);
  }
  log_unused(report.unused, log);
  log.info("wrote {}: {} queries, {} documents, {} of them gold", config.out.string(), report.queries, report.documents,
           report.positive_documents);
}

int mine(const MineVerb& verb, Job& job) {
  const auto config = load_config<MineConfig>(verb.arguments.config, verb.arguments.overrides);
  PhaseProgress progress(job);
  const MineReport report = mine(config, job.communicator,
                                 {.progress = [&](std::string_view phase, std::string_view unit, int64_t done,
                                                  int64_t of) { progress.show(phase, unit, done, of); },
                                  .notice = [&](const std::string& text) { job.log.warning("{}", text); }},
                                 job.device);
  progress.finish();
  if (job.communicator.rank() == 0) tell(report, *config, job.log);
  return 0;
}

}  // namespace

VerbAction add_mine(Program& program) {
  auto verb = std::make_shared<MineVerb>();
  program
      .add("mine",
           "Hard negatives: a retriever's nearest documents of every training query; started again, it goes on.",
           verb->arguments, verb->job, verb->device)
      .config_keys = "Keys of CONFIG:\n\n" + config_help<MineConfig>();
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return mine(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
