#include <nlohmann/json.hpp>

#include "core/config/config.h"
#include "launch/job.h"
#include "launch/metrics_file.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"
#include "retrieval/search/search_files.h"

namespace trireme {
namespace {

struct SearchVerb {
  SearchFilesOptions search;
  JobOptions job;
  MetricsFile metrics;
};

double queries_per_s(const SearchReport& report) { return static_cast<double>(report.queries) / report.search_s; }

nlohmann::ordered_json metrics_of(const SearchReport& report) {
  nlohmann::ordered_json json = {
      {"queries", report.queries}, {"corpus_rows", report.corpus_rows},
      {"dim", report.dim},         {"prepare_s", report.prepare_s},
      {"index_s", report.index_s}, {"search_s", report.search_s},
      {"write_s", report.write_s}, {"queries_per_s", queries_per_s(report)},
  };
  if (report.recall) json["recall_of_exact"] = *report.recall;
  return json;
}

int search_with(const SearchVerb& verb, Job& job) {
  PhaseProgress progress(job);
  const SearchReport report = search_files(
      verb.search, config_sha256(verb.search), job.communicator,
      [&](std::string_view phase, int64_t done, int64_t of) { progress.show(phase, "corpus rows", done, of); });
  progress.finish();
  verb.metrics.write(metrics_of(report), job);
  if (!report.warning.empty()) job.log.warning("{}", report.warning);
  if (report.recall)
    job.log.info("the index finds {:.2f} % of the exact {} nearest (on {} queries)", 100 * *report.recall,
                 verb.search.k, std::min(verb.search.recall_queries, report.queries));
  job.log.info("{} queries in {} x {} in {:.1f} s after {:.1f} s of preparation, {:.0f} queries/s; wrote {}",
               report.queries, report.corpus_rows, report.dim, report.search_s, report.prepare_s + report.index_s,
               queries_per_s(report), verb.search.out.string());
  return 0;
}

}  // namespace

VerbAction add_search(Program& program) {
  auto verb = std::make_shared<SearchVerb>();
  program.add("search", "Nearest documents of every query, as ranked lists.", verb->search, verb->metrics, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return search_with(*verb, job); });
  };
}

}  // namespace trireme
