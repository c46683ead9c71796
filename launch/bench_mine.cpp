#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/elapsed.h"
#include "core/io/hard_negatives_file.h"
#include "launch/benches.h"
#include "launch/environment.h"
#include "launch/gemm_rate.h"
#include "launch/generated_corpus.h"
#include "launch/job.h"
#include "launch/options.h"
#include "retrieval/mining/mine_block.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct BenchMineOptions {
  int64_t queries = 20'000, corpus = 500'000, dim = 512, depth = 100, block_queries = 16'384;
  int64_t seed = 0;
  CorpusPlace place = CorpusPlace::kFile;
  std::optional<fs::path> scratch;

  template <class V>
  void describe(V& v) {
    v.field("queries", queries, "Queries.").at_least(1);
    v.field("corpus", corpus, "Corpus vectors, of all ranks together.").at_least(1);
    v.field("dim", dim, "Dimensions.").at_least(1);
    v.field("depth", depth, "Documents of each query.").at_least(1);
    v.field("block_queries", block_queries, "Queries mined at a time.").at_least(1);
    v.field("seed", seed, "Of the generated vectors.");
    v.field("place", place, "Corpus in an HDF5 file that is read while it is searched, or in memory.");
    v.field("scratch", scratch,
            "Folder for files, which are removed at the end; default: the system's for temporary files.");
  }
};
static_assert(field_count<BenchMineOptions>() == 8, "describe() must list every field");

struct BenchMineVerb {
  BenchMineOptions bench;
  SearchOptions search;
  JobOptions job;
};

/// Queries [first, first + count), each with one gold document somewhere in the corpus.
std::vector<MiningQuery> queries_from(int64_t first, int64_t count, int64_t corpus) {
  std::vector<MiningQuery> queries;
  for (int64_t q = first; q < first + count; ++q) {
    queries.push_back({.id = fmt::format("query:{}", q), .where = "bench"});
    queries.back().gold.push_back(q * 7919 % corpus);
  }
  return queries;
}

int bench_mine(const BenchMineVerb& verb, Job& job) {
  const BenchMineOptions& options = verb.bench;
  const GeneratedCorpus corpus({options.corpus, options.dim, options.seed}, options.place, options.scratch,
                               job.communicator);
  const ScratchFile out(options.scratch, "trireme-bench-mine.h5");
  const int64_t rss_before = peak_memory_bytes();

  job.communicator.barrier();
  const double gemm_before = sum_over_ranks(measure_gemm(torch::kFloat32).flops_per_s, job.communicator);
  job.communicator.barrier();
  const auto begin = Clock::now();
  const IdTable ids = corpus.ids();
  PoolFacts facts;
  FilterConfig filters;
  filters.relative_margin = 0.95;
  filters.on_empty = OnEmpty::kKeepUnfiltered;  // a gold document at random is below everything
  MiningCounts counts;
  std::optional<HardNegativesWriter> writer;
  if (job.communicator.rank() == 0) writer.emplace(out.path());
  Progress progress(job.console, job.progress("mine", "queries", options.queries));
  double generate_s = 0;
  for (int64_t first = 0; first < options.queries; first += options.block_queries) {
    const int64_t count = std::min(options.block_queries, options.queries - first);
    const auto generate_begin = Clock::now();
    const torch::Tensor vectors = generated_unit_rows(options.seed, "bench.mine.queries", first, count, options.dim);
    generate_s += seconds_since(generate_begin);
    const MinedBlock mined =
        mine_block(vectors, queries_from(first, count, options.corpus), {corpus.source(), ids, facts}, options.depth,
                   filters, verb.search, job.communicator);
    counts += mined.counts;
    if (writer) writer->write(mined.queries);
    progress.advance(count);
  }
  if (writer) writer->commit({});
  job.communicator.barrier();
  const double mine_s = seconds_since(begin) - generate_s;
  progress.finish();
  const double gemm_after = sum_over_ranks(measure_gemm(torch::kFloat32).flops_per_s, job.communicator);
  if (job.communicator.rank() != 0) return 0;

  const double flops = 2.0 * static_cast<double>(options.queries) * static_cast<double>(options.corpus) *
                       static_cast<double>(options.dim);
  const nlohmann::ordered_json line = {
      {"bench", "mine"},
      {"queries", options.queries},
      {"corpus", options.corpus},
      {"dim", options.dim},
      {"depth", options.depth},
      {"block_queries", options.block_queries},
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
  std::cout << line.dump() << std::endl;
  return 0;
}

}  // namespace

VerbAction add_bench_mine(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "mine", "Mining with a relative margin in generated unit vectors, beside the float32 GEMM rate of the same run.");
  auto verb = std::make_shared<BenchMineVerb>();
  bind_options(*command, verb->bench, verb->search, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return bench_mine(*verb, job); });
  };
}

}  // namespace trireme
