#include "launch/generated_corpus.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/config/field_list.h"
#include "core/rng.h"
#include "launch/gemm_rate.h"

namespace trireme {

void GeneratedCorpusOptions::describe(FieldList& v) {
  v.field("queries", queries, "Queries.").at_least(1);
  v.field("corpus", corpus, "Corpus vectors, of all ranks together.").at_least(1);
  v.field("dim", dim, "Dimensions.").at_least(1);
  v.field("seed", seed, "Of the generated vectors.");
  v.field("place", place, "Corpus in an HDF5 file that is read while it is searched, or in memory.");
  v.field("scratch", scratch,
          "Folder for files, which are removed at the end; default: the system's for temporary files.");
}
static_assert(field_count<GeneratedCorpusOptions>() == 6, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

std::vector<std::string> numbered_ids(int64_t first, int64_t count) {
  std::vector<std::string> ids;
  for (int64_t row = first; row < first + count; ++row) ids.push_back(fmt::format("corpus:{}", row));
  return ids;
}

}  // namespace

ScratchFile::ScratchFile(const std::optional<fs::path>& folder, std::string_view name)
    : path_(folder.value_or(fs::temp_directory_path()) / name) {}

ScratchFile::~ScratchFile() {
  std::error_code absent;
  fs::remove(path_, absent);
}

torch::Tensor generated_unit_rows(int64_t seed, const std::string& name, int64_t block, int64_t count, int64_t dim) {
  RandomStream stream = random_stream(static_cast<uint64_t>(seed), name, block);
  at::Generator generator = at::detail::createCPUGenerator(stream.next_uint64());
  torch::Tensor rows = at::randn({count, dim}, generator);
  rows /= at::linalg_vector_norm(rows, 2, c10::IntArrayRef{1}, /*keepdim=*/true);
  return rows;
}

GeneratedCorpus::GeneratedCorpus(const GeneratedCorpusOptions& options, Communicator& communicator)
    : file_(options.scratch, "trireme-bench-search.h5") {
  constexpr int64_t kRowsAtOnce = 16384;
  const auto rows_from = [&](int64_t first) {
    return generated_unit_rows(options.seed, "bench.search.corpus", first / kRowsAtOnce,
                               std::min(kRowsAtOnce, options.corpus - first), options.dim);
  };
  if (options.place == CorpusPlace::kMemory) {
    torch::Tensor rows = at::empty({options.corpus, options.dim}, torch::kFloat32);
    for (int64_t first = 0; first < options.corpus; first += kRowsAtOnce) {
      const torch::Tensor block = rows_from(first);
      rows.narrow(0, first, block.size(0)).copy_(block);
    }
    source_ = std::make_unique<TensorSource>(rows);
    return;
  }
  if (communicator.rank() == 0) {
    EmbeddingsWriter writer(file_.path(), options.corpus, options.dim, torch::kFloat32);
    for (int64_t first = 0; first < options.corpus; first += kRowsAtOnce) {
      const torch::Tensor block = rows_from(first);
      writer.write(first, numbered_ids(first, block.size(0)), block);
    }
    writer.commit({"bench", "", "", "mrope", "", true});
  }
  communicator.barrier();
  reader_ = std::make_unique<EmbeddingsReader>(file_.path());
  source_ = std::make_unique<EmbeddingsSource>(*reader_);
}

IdTable GeneratedCorpus::ids() const {
  return {source_->rows(),
          [&](int64_t first, int64_t count) {
            return reader_ ? reader_->read_ids(first, count) : numbered_ids(first, count);
          },
          "bench"};
}

double gemm_flops_per_s(Communicator& communicator) {
  communicator.barrier();
  auto rate = at::tensor(measure_gemm(torch::kFloat32).flops_per_s, torch::kFloat64).reshape({1});
  communicator.all_reduce(rate, ReduceOp::kSum).wait();
  return rate.item<double>();
}

}  // namespace trireme
