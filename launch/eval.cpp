#include <CLI/CLI.hpp>
#include <iostream>

#include "core/config/help.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"
#include "retrieval/report/text_table.h"
#include "trainers/eval/run_eval.h"

namespace trireme {
namespace {

struct EvalVerb {
  struct Arguments {
    std::filesystem::path config;
    std::vector<std::string> overrides;

    template <class V>
    void describe(V& v) {
      v.field("config", config, "YAML file of the evaluation.").required().positional().placeholder("CONFIG");
      v.field("overrides", overrides, "Changes to it: section.key=value.")
          .positional()
          .placeholder("section.key=value");
    }
  } arguments;
  JobOptions job;
  DeviceOptions device;
};
static_assert(field_count<EvalVerb::Arguments>() == 2, "describe() must list every field");

int eval(const EvalVerb& verb, Job& job) {
  const auto config = load_config<EvalConfig>(verb.arguments.config, verb.arguments.overrides);
  PhaseProgress progress(job);
  const EvalReport report = run_eval(
      config, job.communicator,
      [&](const std::string& phase, int64_t done, int64_t of) {
        progress.show(phase, phase == "embed" ? "records" : "searches", done, of);
      },
      job.device);
  progress.finish();
  if (report.missing_positives > 0) {
    job.log.warning("{} relevant documents are in no pool that was searched, and count as not found",
                    report.missing_positives);
  }
  const std::string kept =
      config->embeddings ? fmt::format(" ({} taken from {})", report.reused, config->embeddings->string()) : "";
  job.log.info("{} records embedded in {:.1f} s{}, searched in {:.1f} s, after {:.1f} s of preparation", report.records,
               report.embed_s, kept, report.search_s, report.prepare_s);
  if (job.communicator.rank() == 0) std::cout << results_text(report.results) << std::flush;
  job.log.info("wrote {}", (config->out / "report.html").string());
  return 0;
}

}  // namespace

VerbAction add_eval(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("eval", "Embed, search and score every task of a benchmark; table, JSON and report.");
  command->footer("Keys of CONFIG:\n\n" + config_help<EvalConfig>());
  auto verb = std::make_shared<EvalVerb>();
  bind_options(*command, verb->arguments, verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return eval(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
