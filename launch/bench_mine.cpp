#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/elapsed.h"
#include "core/json.h"
#include "data/sources/hard_negatives_file.h"
#include "launch/benches.h"
#include "launch/environment.h"
#include "launch/generated_corpus.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "retrieval/mining/mine_block.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct BenchMineOptions {
  int64_t depth = 100, block_queries = 16'384;

  void describe(FieldList& v) {
    v.field("depth", depth, "Documents of each query.").at_least(1);
    v.field("block_queries", block_queries, "Queries mined at a time.").at_least(1);
  }
};
static_assert(field_count<BenchMineOptions>() == 2, "describe() must list every field");

struct BenchMineVerb {
  GeneratedCorpusOptions corpus;
  BenchMineOptions bench;
  SearchOptions search;
  JobOptions job;
};

/// Queries [first, first + count), each with one positive somewhere in the corpus.
std::vector<MiningQuery> queries_from(int64_t first, int64_t count, int64_t corpus) {
  std::vector<MiningQuery> queries;
  for (int64_t q = first; q < first + count; ++q) {
    queries.push_back({.id = fmt::format("query:{}", q), .where = "bench"});
    queries.back().positives.push_back(q * 7919 % corpus);
  }
  return queries;
}

int bench_mine(const BenchMineVerb& verb, Job& job) {
  const GeneratedCorpusOptions& options = verb.corpus;
  const GeneratedCorpus corpus(options, job.communicator);
  const ScratchFile out(options.scratch, "trireme-bench-mine.h5");
  const int64_t rss_before = peak_memory_bytes();

  const double gemm_before = gemm_flops_per_s(job.communicator);
  job.communicator.barrier();
  const auto begin = Clock::now();
  const IdTable ids = corpus.ids();
  PoolFacts facts;
  FilterConfig filters;
  filters.relative_margin = 0.95;
  filters.on_empty = OnEmpty::kKeepUnfiltered;  // a positive at random is below everything
  MiningCounts counts;
  std::optional<HardNegativesWriter> writer;
  if (job.communicator.rank() == 0) writer.emplace(out.path());
  Progress progress(job.console, job.progress("mine", "queries", options.queries));
  double generate_s = 0;
  for (int64_t first = 0; first < options.queries; first += verb.bench.block_queries) {
    const int64_t count = std::min(verb.bench.block_queries, options.queries - first);
    const auto generate_begin = Clock::now();
    const torch::Tensor vectors = generated_unit_rows(options.seed, "bench.mine.queries", first, count, options.dim);
    generate_s += seconds_since(generate_begin);
    const MinedBlock mined =
        mine_block(vectors, queries_from(first, count, options.corpus), {corpus.source(), ids, facts}, verb.bench.depth,
                   filters, verb.search, job.communicator);
    counts += mined.counts;
    if (writer) writer->write(mined.queries);
    progress.advance(count);
  }
  if (writer) writer->commit({});
  job.communicator.barrier();
  const double mine_s = seconds_since(begin) - generate_s;
  progress.finish();
  const double gemm_after = gemm_flops_per_s(job.communicator);
  if (job.communicator.rank() != 0) return 0;

  const double flops = options.product_flops();
  const nlohmann::ordered_json line = {
      {"bench", "mine"},
      {"queries", options.queries},
      {"corpus", options.corpus},
      {"dim", options.dim},
      {"depth", verb.bench.depth},
      {"block_queries", verb.bench.block_queries},
      {"place", choice_name(options.place)},
      {"ranks", job.communicator.size()},
      {"threads_per_rank", at::get_num_threads()},
      {"mine_s", mine_s},
      {"queries_per_s", static_cast<double>(options.queries) / mine_s},
      {"product_gflops", flops / mine_s / 1e9},
      {"gemm_gflops_before", gemm_before / 1e9},
      {"gemm_gflops_after", gemm_after / 1e9},
      {"share_of_gemm", flops / mine_s / std::max(gemm_before, gemm_after)},
      {"lists_unfiltered", counts.emptied_unfiltered},
      {"file_mib", static_cast<int64_t>(fs::file_size(out.path())) >> 20},
      {"peak_mib", peak_memory_bytes() >> 20},
      {"peak_before_mining_mib", rss_before >> 20},
  };
  print(dump_json(line) + "\n");
  return 0;
}

}  // namespace

VerbAction add_bench_mine(Program& program) {
  auto verb = std::make_shared<BenchMineVerb>();
  program.add("mine",
              "Mining with a relative margin in generated unit vectors, beside the float32 GEMM rate of the same run.",
              verb->corpus, verb->bench, verb->search, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return bench_mine(*verb, job); });
  };
}

}  // namespace trireme
