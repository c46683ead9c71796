#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/config/config.h"
#include "core/io/file.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"
#include "retrieval/search/search_files.h"

namespace trireme {
namespace {

struct SearchVerb {
  SearchFilesOptions search;
  JobOptions job;
  struct Output {
    std::optional<std::filesystem::path> metrics;
    template <class V>
    void describe(V& v) {
      v.field("metrics", metrics, "JSON file for counts and times of this run (rank 0's).").no_effect_on_values();
    }
  } output;
};
static_assert(field_count<SearchVerb::Output>() == 1, "describe() must list every field");

double queries_per_s(const SearchReport& report) { return static_cast<double>(report.queries) / report.search_s; }

void write_metrics(const std::filesystem::path& path, const SearchReport& report) {
  nlohmann::ordered_json json = {
      {"queries", report.queries}, {"corpus_rows", report.corpus_rows},
      {"dim", report.dim},         {"prepare_s", report.prepare_s},
      {"index_s", report.index_s}, {"search_s", report.search_s},
      {"write_s", report.write_s}, {"queries_per_s", queries_per_s(report)},
  };
  if (report.recall) json["recall_of_exact"] = *report.recall;
  AtomicFile file(path);
  file.write(json.dump(2) + "\n");
  file.commit();
}

int search_with(const SearchVerb& verb, Job& job) {
  PhaseProgress progress(job);
  const SearchReport report = search_files(
      verb.search, config_sha256(verb.search), job.communicator,
      [&](std::string_view phase, int64_t done, int64_t of) { progress.show(phase, "corpus rows", done, of); });
  progress.finish();
  if (verb.output.metrics && job.communicator.rank() == 0) write_metrics(*verb.output.metrics, report);
  if (report.recall)
    job.log.info("the index finds {:.2f} % of the exact {} nearest (on {} queries)", 100 * *report.recall,
                 verb.search.k, std::min(verb.search.recall_queries, report.queries));
  job.log.info("{} queries in {} x {} in {:.1f} s after {:.1f} s of preparation, {:.0f} queries/s; wrote {}",
               report.queries, report.corpus_rows, report.dim, report.search_s, report.prepare_s + report.index_s,
               queries_per_s(report), verb.search.out.string());
  return 0;
}

}  // namespace

VerbAction add_search(CLI::App& program) {
  CLI::App* command = program.add_subcommand("search", "Nearest documents of every query, as ranked lists.");
  auto verb = std::make_shared<SearchVerb>();
  bind_options(*command, verb->search, verb->output, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return search_with(*verb, job); });
  };
}

}  // namespace trireme
