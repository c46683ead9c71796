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

#include <torch/types.h>

#include "core/dist/communicator.h"
#include "core/io/embeddings_file.h"
#include "retrieval/search/search.h"

namespace trireme {

/// Where the corpus of a measurement lies.
enum class CorpusPlace { kFile, kMemory };
constexpr auto choice_names(CorpusPlace) {
  return std::to_array<std::pair<CorpusPlace, std::string_view>>(
      {{CorpusPlace::kFile, "file"}, {CorpusPlace::kMemory, "memory"}});
}

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
  struct Size {
    int64_t rows, dim, seed;
  };
  /// Writes (rank 0) and opens the corpus, or makes it in memory. Collective.
  GeneratedCorpus(const Size& size, CorpusPlace place, const std::optional<std::filesystem::path>& scratch,
                  Communicator& communicator);
  const VectorSource& source() const { return *source_; }
  IdTable ids() const;

 private:
  ScratchFile file_;
  std::unique_ptr<EmbeddingsReader> reader_;
  std::unique_ptr<VectorSource> source_;
};

/// The sum of a number over ranks. Collective.
double sum_over_ranks(double mine, Communicator& communicator);

}  // namespace trireme
