#include <CLI/CLI.hpp>
#include <iostream>

#include "launch/job.h"
#include "launch/options.h"
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
};
static_assert(field_count<EvalVerb::Arguments>() == 2, "describe() must list every field");

/// One bar a phase, one after the other.
class PhaseProgress {
 public:
  explicit PhaseProgress(Job& job) : job_(job) {}
  void operator()(const std::string& phase, int64_t done, int64_t of) {
    if (phase != phase_) {
      finish();
      phase_ = phase;
      shown_ = 0;
      bar_.emplace(job_.console, job_.progress(phase, phase == "embed" ? "records" : "searches", of));
    }
    bar_->advance(done - std::exchange(shown_, done));
  }
  void finish() {
    if (bar_) bar_->finish();
    bar_.reset();
  }

 private:
  Job& job_;
  std::string phase_;
  int64_t shown_ = 0;
  std::optional<Progress> bar_;
};

int eval(const EvalVerb& verb, Job& job) {
  const auto config = load_config<EvalConfig>(verb.arguments.config, verb.arguments.overrides);
  PhaseProgress progress(job);
  const EvalReport report = run_eval(
      config, job.communicator, [&](const std::string& phase, int64_t done, int64_t of) { progress(phase, done, of); });
  progress.finish();
  if (report.missing_positives > 0) {
    job.log.warning("{} relevant documents are in no pool that was searched, and count as not found",
                    report.missing_positives);
  }
  job.log.info(
      "{} records embedded in {:.1f} s ({} taken from {}), searched in {:.1f} s, after {:.1f} s of preparation",
      report.records, report.embed_s, report.reused, config->embeddings ? config->embeddings->string() : "no file",
      report.search_s, report.prepare_s);
  if (job.communicator.rank() == 0) std::cout << results_text(report.results) << std::flush;
  job.log.info("wrote {}", (config->out / "report.html").string());
  return 0;
}

}  // namespace

VerbAction add_eval(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("eval", "Embed, search and score every task of a benchmark; table, JSON and report.");
  auto verb = std::make_shared<EvalVerb>();
  bind_options(*command, verb->arguments, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return eval(*verb, job); });
  };
}

}  // namespace trireme
