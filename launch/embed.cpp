#include "retrieval/embed.h"

#include <nlohmann/json.hpp>

#include "answering/model_inputs.h"
#include "core/config/config.h"
#include "launch/job.h"
#include "launch/metrics_file.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

struct EmbedVerb {
  EmbedVerbConfig config;
  JobOptions job;
  DeviceOptions device;
  MetricsFile metrics;
};

double records_per_s(const EmbedReport& report) {
  return static_cast<double>(report.counts.records) / report.counts.embed_s;
}

nlohmann::ordered_json metrics_of(const EmbedReport& report) {
  return {
      {"records", report.records_global},       {"skipped", report.skipped_global},
      {"tokens", report.counts.tokens},         {"images", report.counts.images},
      {"batches", report.counts.batches},       {"load_s", report.prepare_s},
      {"embed_s", report.counts.embed_s},       {"data_wait_s", report.counts.data_wait_s},
      {"records_per_s", records_per_s(report)},
  };
}

int embed(const EmbedVerb& verb, Job& job) {
  PhaseProgress progress(job);
  const EmbedReport report = embed_records(
      verb.config.embedder, verb.config.embed, config_sha256(verb.config), job.communicator,
      [&](int64_t done, int64_t of) { progress.show("embed", "records", done, of); }, job.device,
      [&](const SkippedRow& record) { job.log.warning("{} was left out: {}", record.id, record.reason); });
  progress.finish();
  verb.metrics.write(metrics_of(report), job);
  log_unused(report.unused, job.log);
  const bool speaks = job.communicator.rank() == 0;  // warnings of other ranks come through
  if (speaks && report.modality_mismatches > 0)
    job.log.warning("the modality of {} records contradicts what they hold; they were taken, as allowed",
                    report.modality_mismatches);
  if (speaks && report.skipped_global > 0)
    job.log.warning("{} of {} records could not be read and have no row; the file names them", report.skipped_global,
                    report.records_global);
  job.log.info("{} records in {:.1f} s after {:.1f} s of preparation, {:.1f} records/s on this rank; wrote {}",
               report.records_global, report.counts.embed_s, report.prepare_s, records_per_s(report),
               verb.config.embed.out.string());
  return 0;
}

}  // namespace

VerbAction add_embed(Program& program) {
  auto verb = std::make_shared<EmbedVerb>();
  program.add("embed", "Records to embeddings, in one HDF5 file.", verb->config.embedder, verb->config.embed,
              verb->metrics, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return embed(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
