#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/elapsed.h"
#include "core/io/embeddings_file.h"
#include "core/rng.h"
#include "launch/benches.h"
#include "launch/environment.h"
#include "launch/gemm_rate.h"
#include "launch/job.h"
#include "launch/options.h"
#include "retrieval/search/search.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Where the corpus of the measurement lies.
enum class CorpusPlace { kFile, kMemory };
constexpr auto choice_names(CorpusPlace) {
  return std::to_array<std::pair<CorpusPlace, std::string_view>>(
      {{CorpusPlace::kFile, "file"}, {CorpusPlace::kMemory, "memory"}});
}

struct BenchSearchOptions {
  int64_t queries = 20'000, corpus = 500'000, dim = 512, k = 50;
  int64_t seed = 0;
  CorpusPlace place = CorpusPlace::kFile;
  std::optional<fs::path> scratch;

  template <class V>
  void describe(V& v) {
    v.field("queries", queries, "Queries.").at_least(1);
    v.field("corpus", corpus, "Corpus vectors, of all ranks together.").at_least(1);
    v.field("dim", dim, "Dimensions.").at_least(1);
    v.field("k", k, "Neighbours of each query.").at_least(1);
    v.field("seed", seed, "Of the generated vectors.");
    v.field("place", place, "Corpus in an HDF5 file that is read while it is searched, or in memory.");
    v.field("scratch", scratch,
            "Folder for that file, which is removed at the end; default: the system's for temporary files.");
  }
};
static_assert(field_count<BenchSearchOptions>() == 7, "describe() must list every field");

struct BenchSearchVerb {
  BenchSearchOptions bench;
  SearchOptions search;
  JobOptions job;
};

/// Rows [first, first + count) of a table of independent directions: a pure function of the seed and the block.
torch::Tensor unit_rows(int64_t seed, const std::string& name, int64_t block, int64_t count, int64_t dim) {
  RandomStream stream = random_stream(static_cast<uint64_t>(seed), name, block);
  at::Generator generator = at::detail::createCPUGenerator(stream.next_uint64());
  torch::Tensor rows = at::randn({count, dim}, generator);
  rows /= at::linalg_vector_norm(rows, 2, c10::IntArrayRef{1}, /*keepdim=*/true);
  return rows;
}

std::vector<std::string> numbered_ids(int64_t first, int64_t count) {
  std::vector<std::string> ids;
  for (int64_t row = first; row < first + count; ++row) ids.push_back(fmt::format("corpus:{}", row));
  return ids;
}

/// A file in the scratch folder, gone at the end whatever happens.
class ScratchFile {
 public:
  explicit ScratchFile(fs::path path) : path_(std::move(path)) {}
  ~ScratchFile() {
    std::error_code absent;
    fs::remove(path_, absent);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

/// Writes (rank 0) and opens the corpus, or makes it in memory.
class GeneratedCorpus {
 public:
  GeneratedCorpus(const BenchSearchOptions& options, Communicator& communicator)
      : file_(options.scratch.value_or(fs::temp_directory_path()) / "trireme-bench-search.h5") {
    constexpr int64_t kRowsAtOnce = 16384;
    if (options.place == CorpusPlace::kMemory) {
      torch::Tensor rows = at::empty({options.corpus, options.dim}, torch::kFloat32);
      for (int64_t first = 0; first < options.corpus; first += kRowsAtOnce) {
        const int64_t count = std::min(kRowsAtOnce, options.corpus - first);
        rows.narrow(0, first, count)
            .copy_(unit_rows(options.seed, "bench.search.corpus", first / kRowsAtOnce, count, options.dim));
      }
      source_ = std::make_unique<TensorSource>(rows);
      return;
    }
    if (communicator.rank() == 0) {
      EmbeddingsWriter writer(file_.path(), options.corpus, options.dim, torch::kFloat32);
      for (int64_t first = 0; first < options.corpus; first += kRowsAtOnce) {
        const int64_t count = std::min(kRowsAtOnce, options.corpus - first);
        writer.write(first, numbered_ids(first, count),
                     unit_rows(options.seed, "bench.search.corpus", first / kRowsAtOnce, count, options.dim));
      }
      writer.commit({"bench", "", "", "mrope", "", true});
    }
    communicator.barrier();
    reader_ = std::make_unique<EmbeddingsReader>(file_.path());
    source_ = std::make_unique<EmbeddingsSource>(*reader_);
  }
  const VectorSource& source() const { return *source_; }
  IdTable ids() const {
    return {source_->rows(),
            [&](int64_t first, int64_t count) {
              return reader_ ? reader_->read_ids(first, count) : numbered_ids(first, count);
            },
            "bench"};
  }

 private:
  ScratchFile file_;
  std::unique_ptr<EmbeddingsReader> reader_;
  std::unique_ptr<VectorSource> source_;
};

double sum_over_ranks(double mine, Communicator& communicator) {
  auto value = at::tensor(mine, torch::kFloat64).reshape({1});
  communicator.all_reduce(value, ReduceOp::kSum).wait();
  return value.item<double>();
}

int bench_search(const BenchSearchVerb& verb, Job& job) {
  const BenchSearchOptions& options = verb.bench;
  const int64_t made_at_rss = peak_memory_bytes();
  const torch::Tensor queries = unit_rows(options.seed, "bench.search.queries", 0, options.queries, options.dim);
  const GeneratedCorpus corpus(options, job.communicator);
  const int64_t rss_before = peak_memory_bytes();

  job.communicator.barrier();
  const double gemm_before = sum_over_ranks(measure_gemm(torch::kFloat32).flops_per_s, job.communicator);
  job.communicator.barrier();
  const auto begin = Clock::now();
  const IdTable ids = corpus.ids();
  const double ids_s = seconds_since(begin);
  Progress progress(job.console, job.progress("search", "rows", options.corpus / job.communicator.size()));
  search(
      queries, corpus.source(), ids, options.k, verb.search, job.communicator, {},
      [&, shown = int64_t{0}](int64_t done, int64_t) mutable { progress.advance(done - std::exchange(shown, done)); });
  const double search_s = seconds_since(begin);
  progress.finish();
  job.communicator.barrier();
  const double gemm_after = sum_over_ranks(measure_gemm(torch::kFloat32).flops_per_s, job.communicator);

  const double flops = 2.0 * static_cast<double>(options.queries) * static_cast<double>(options.corpus) *
                       static_cast<double>(options.dim);
  const double gemm = std::max(gemm_before, gemm_after);
  const nlohmann::ordered_json line = {
      {"bench", "search"},
      {"queries", options.queries},
      {"corpus", options.corpus},
      {"dim", options.dim},
      {"k", options.k},
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
  if (job.communicator.rank() == 0) std::cout << line.dump() << std::endl;
  return 0;
}

}  // namespace

VerbAction add_bench_search(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "search", "Exact search in generated unit vectors, beside the float32 GEMM rate of the same run.");
  auto verb = std::make_shared<BenchSearchVerb>();
  bind_options(*command, verb->bench, verb->search, verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) { return bench_search(*verb, job); });
  };
}

}  // namespace trireme
