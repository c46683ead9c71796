#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/io/fingerprint.h"
#include "core/tensor.h"
#include "retrieval/search/id_table.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

/// A graph of near neighbours, searched greedily: Malkov and Yashunin, "Efficient and robust approximate nearest
/// neighbor search using Hierarchical Navigable Small World graphs", arXiv:1603.09320. hnswlib does the work.
struct HnswOptions {
  int64_t m = 16;
  int64_t ef_construction = 200;
  int64_t ef_search = 200;

  void describe(FieldList& v);
};

/// What an index was made of.
struct IndexedCorpus {
  std::string sha256;       ///< over ids and vectors
  std::string stamp;        ///< file_stamp() of the corpus file before it was read; "" when it was in memory
  Fingerprint fingerprint;  ///< of the corpus, to name what differs; empty when not known
  bool operator==(const IndexedCorpus&) const = default;
};

/// An approximate index of a corpus, in memory: vectors in float32 and their links, about 4 D + 8 m + 20 bytes a row.
/// Nearness is the inner product; on vectors of very unequal norms the graph is poor.
class HnswIndex {
 public:
  /// One thread gives the same index each time; several insert side by side, and links then depend on their timing.
  /// throws DataError as search() does for the vectors.
  static HnswIndex build(const VectorSource& corpus, const IdTable& ids, const HnswOptions& options,
                         const std::function<void(int64_t done, int64_t of)>& progress = {});
  HnswIndex(HnswIndex&&) noexcept;
  ~HnswIndex();

  /// PATH as hnswlib writes it (its other bindings read it: inner product, D dimensions, labels are corpus rows), and
  /// PATH.json with the sizes, the checksum of PATH and what it was made of.
  void save(const std::filesystem::path& path, const IndexedCorpus& corpus) const;
  /// throws DataError: a file missing or damaged, or of an older version.
  static HnswIndex load(const std::filesystem::path& path);

  int64_t rows() const noexcept;
  int64_t dim() const noexcept;
  /// What it was built with; ef_search is its default.
  const HnswOptions& options() const noexcept;

  /// Like trireme::search, on this rank alone, but a neighbour may be missed; scores of those found are the same bits.
  /// throws ConfigError: k plus the rows excluded for a query is above ef_search or above the rows, or the graph does
  /// not reach so many rows.
  Neighbours search(const torch::Tensor& queries, const IdTable& ids, int64_t k, int64_t ef_search,
                    const ExcludedRows& excluded = {}) const;

 private:
  struct State;
  explicit HnswIndex(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// What the index at PATH was made of; ask before it is loaded. throws DataError as load().
IndexedCorpus read_indexed_corpus(const std::filesystem::path& path);

/// The share of the exact neighbours that were found: mean over queries of |found and exact| / k.
double recall_of(const Neighbours& found, const Neighbours& exact);

}  // namespace trireme
