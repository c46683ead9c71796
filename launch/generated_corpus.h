#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "core/tensor.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

/// Where the corpus of a measurement lies.
enum class CorpusPlace { kFile, kMemory };
constexpr auto choice_names(CorpusPlace) {
  return std::to_array<std::pair<CorpusPlace, std::string_view>>(
      {{CorpusPlace::kFile, "file"}, {CorpusPlace::kMemory, "memory"}});
}

/// What a measurement of searching is made on, and where.
struct GeneratedCorpusOptions {
  int64_t queries = 20'000, corpus = 500'000, dim = 512;
  int64_t seed = 0;
  CorpusPlace place = CorpusPlace::kFile;
  std::optional<std::filesystem::path> scratch;

  void describe(FieldList& v);
  /// Of all queries with the whole corpus.
  double product_flops() const {
    return 2.0 * static_cast<double>(queries) * static_cast<double>(corpus) * static_cast<double>(dim);
  }
};

/// A file in a scratch folder, gone at the end whatever happens.
class ScratchFile {
 public:
  /// folder: the system's for temporary files unless given.
  ScratchFile(const std::optional<std::filesystem::path>& folder, std::string_view name);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// [count, dim] float32 independent directions of unit length: a pure function of all arguments.
torch::Tensor generated_unit_rows(int64_t seed, const std::string& name, int64_t block, int64_t count, int64_t dim);

/// Independent directions of unit length with ids "corpus:0", ..: what searches are measured on.
class GeneratedCorpus {
 public:
  /// Writes (rank 0) and opens the corpus, or makes it in memory. Collective.
  GeneratedCorpus(const GeneratedCorpusOptions& options, Communicator& communicator);
  const VectorSource& source() const { return *source_; }
  IdTable ids() const;

 private:
  ScratchFile file_;
  std::unique_ptr<EmbeddingsReader> reader_;
  std::unique_ptr<VectorSource> source_;
};

/// What all ranks multiply in a second together, float32, each measured while the others measure. Collective.
double gemm_flops_per_s(Communicator& communicator);

}  // namespace trireme
