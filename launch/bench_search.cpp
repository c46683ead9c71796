#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/elapsed.h"
#include "core/json.h"
#include "launch/benches.h"
#include "launch/environment.h"
#include "launch/generated_corpus.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "retrieval/search/search.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct BenchSearchOptions {
  int64_t k = 50;

  void describe(FieldList& v) { v.field("k", k, "Neighbours of each query.").at_least(1); }
};
static_assert(field_count<BenchSearchOptions>() == 1, "describe() must list every field");

struct BenchSearchVerb {
  GeneratedCorpusOptions corpus;
  BenchSearchOptions bench;
  SearchOptions search;
  JobOptions job;
};

int bench_search(const BenchSearchVerb& verb, Job& job) {
  const GeneratedCorpusOptions& options = verb.corpus;
  const int64_t made_at_rss = peak_memory_bytes();
  const torch::Tensor queries =
      generated_unit_rows(options.seed, "bench.search.queries", 0, options.queries, options.dim);
  const GeneratedCorpus corpus(options, job.communicator);
  const int64_t rss_before = peak_memory_bytes();

  const double gemm_before = gemm_flops_per_s(job.communicator);
  job.communicator.barrier();
  const auto begin = Clock::now();
  const IdTable ids = corpus.ids();
  const double ids_s = seconds_since(begin);
  Progress progress(job.console, job.progress("search", "rows", options.corpus / job.communicator.size()));
  search(
      queries, corpus.source(), ids, verb.bench.k, verb.search, job.communicator, {},
      [&, shown = int64_t{0}](int64_t done, int64_t) mutable { progress.advance(done - std::exchange(shown, done)); });
  const double search_s = seconds_since(begin);
  progress.finish();
  const double gemm_after = gemm_flops_per_s(job.communicator);

  const double flops = options.product_flops();
  const double gemm = std::max(gemm_before, gemm_after);
  const nlohmann::ordered_json line = {
      {"bench", "search"},
      {"queries", options.queries},
      {"corpus", options.corpus},
      {"dim", options.dim},
      {"k", verb.bench.k},
      {"place", choice_name(options.place)},
      {"block_rows", verb.search.block_rows},
      {"ranks", job.communicator.size()},
      {"threads_per_rank", at::get_num_threads()},
      {"search_s", search_s},
      {"of_which_ids_s", ids_s},
      {"queries_per_s", static_cast<double>(options.queries) / search_s},
      {"product_gflops", flops / search_s / 1e9},
      {"gemm_gflops_before", gemm_before / 1e9},
      {"gemm_gflops_after", gemm_after / 1e9},
      {"share_of_gemm", flops / search_s / gemm},
      {"peak_mib", peak_memory_bytes() >> 20},
      {"peak_before_search_mib", std::max(made_at_rss, rss_before) >> 20},
  };
  if (job.communicator.rank() == 0) print(dump_json(line) + "\n");
  return 0;
}

}  // namespace

VerbAction add_bench_search(Program& program) {
  auto verb = std::make_shared<BenchSearchVerb>();
  program.add("search", "Exact search in generated unit vectors, beside the float32 GEMM rate of the same run.",
              verb->corpus, verb->bench, verb->search, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return bench_search(*verb, job); });
  };
}

}  // namespace trireme
