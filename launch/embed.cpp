#include "retrieval/embed.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/config/config.h"
#include "core/io/file.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

struct EmbedVerb {
  EmbedVerbConfig config;
  JobOptions job;
  DeviceOptions device;
  struct Output {
    std::optional<std::filesystem::path> metrics;
    template <class V>
    void describe(V& v) {
      v.field("metrics", metrics, "JSON file for counts and times of this run (rank 0's).").no_effect_on_values();
    }
  } output;
};
static_assert(field_count<EmbedVerb::Output>() == 1, "describe() must list every field");

double records_per_s(const EmbedReport& report) {
  return static_cast<double>(report.counts.records) / report.counts.embed_s;
}

void write_metrics(const std::filesystem::path& path, const EmbedReport& report) {
  const nlohmann::ordered_json json = {
      {"records", report.records_global},
      {"tokens", report.counts.tokens},
      {"images", report.counts.images},
      {"batches", report.counts.batches},
      {"load_s", report.prepare_s},
      {"embed_s", report.counts.embed_s},
      {"data_wait_s", report.counts.data_wait_s},
      {"records_per_s", records_per_s(report)},
  };
  AtomicFile file(path);
  file.write(json.dump(2) + "\n");
  file.commit();
}

int embed(const EmbedVerb& verb, Job& job) {
  std::optional<Progress> progress;
  const EmbedReport report = embed_records(
      verb.config.embedder, verb.config.embed, config_sha256(verb.config), job.communicator,
      [&, shown = int64_t{0}](int64_t done, int64_t of) mutable {
        if (!progress) progress.emplace(job.console, job.progress("embed", "records", of));
        progress->advance(done - std::exchange(shown, done));
      },
      job.device);
  if (progress) progress->finish();
  if (verb.output.metrics && job.communicator.rank() == 0) write_metrics(*verb.output.metrics, report);
  job.log.info("{} records in {:.1f} s after {:.1f} s of preparation, {:.1f} records/s on this rank; wrote {}",
               report.records_global, report.counts.embed_s, report.prepare_s, records_per_s(report),
               verb.config.embed.out.string());
  return 0;
}

}  // namespace

VerbAction add_embed(CLI::App& program) {
  CLI::App* command = program.add_subcommand("embed", "Records to embeddings, in one HDF5 file.");
  auto verb = std::make_shared<EmbedVerb>();
  bind_options(*command, verb->config.embedder, verb->config.embed, verb->output, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return embed(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
