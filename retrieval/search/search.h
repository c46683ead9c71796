#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "core/tensor.h"
#include "retrieval/search/id_table.h"

namespace trireme {

class FieldList;

/// Vectors to be searched, read in blocks of rows: a tensor in memory, or a file larger than memory.
class VectorSource {
 public:
  virtual ~VectorSource() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t dim() const = 0;
  /// [count, D] float32 or float16 on the CPU. Called from one thread at a time, not always the same.
  virtual torch::Tensor read(int64_t first_row, int64_t count) const = 0;
  /// Whether every row is said to have unit length; then one that has not is refused.
  virtual bool claims_unit_length() const { return false; }
};

class TensorSource : public VectorSource {
 public:
  /// vectors [N, D] float32 or float16 on the CPU. throws ShapeError: anything else.
  explicit TensorSource(torch::Tensor vectors);
  int64_t rows() const override { return vectors_.size(0); }
  int64_t dim() const override { return vectors_.size(1); }
  torch::Tensor read(int64_t first_row, int64_t count) const override { return vectors_.narrow(0, first_row, count); }

 private:
  torch::Tensor vectors_;
};

class EmbeddingsSource : public VectorSource {
 public:
  /// `reader` outlives the source.
  explicit EmbeddingsSource(const EmbeddingsReader& reader) : reader_(reader) {}
  int64_t rows() const override { return reader_.rows(); }
  int64_t dim() const override { return reader_.dim(); }
  torch::Tensor read(int64_t first_row, int64_t count) const override { return reader_.read(first_row, count); }
  bool claims_unit_length() const override { return reader_.info().normalized; }

 private:
  const EmbeddingsReader& reader_;
};

/// How exact search works, never what it finds: the lists are the same bytes for every block size, rank and thread
/// count.
struct SearchOptions {
  int64_t block_rows = 32768;

  void describe(FieldList& v);
};

/// Corpus rows that a query must not be given (its own picture, its positives): [Q] lists, or none at all.
using ExcludedRows = std::vector<std::vector<int64_t>>;

/// A query that may be given fewer than k rows has a shorter list: behind its end rows are -1, scores -infinity.
struct Neighbours {
  torch::Tensor rows;    ///< [Q, k] int64, corpus rows, best first
  torch::Tensor scores;  ///< [Q, k] float32
};
/// Of one list in scores [Q, k] float32 on the CPU: how many are above -infinity. cost: what lies behind its end.
int64_t list_length(const torch::Tensor& scores, int64_t query);

/// The k corpus rows with the largest inner product for every query: exact, whatever the corpus's size.
///   score = q.d, products and sum in float64 in a fixed order, rounded once to float32; equal scores are ordered by
///   ascending bytes of the ids. So the answer is a function of (q, d, ids) alone.
///   A float32 matrix product only proposes: its error is at most g ||q|| ||d||, g = D u / (1 - D u), u = 2^-24, in any
///   order of summation (Higham, "Accuracy and stability of numerical algorithms", 2nd ed., eq. 3.5), so every row
///   within twice that of the k-th best is kept, and the scores above decide.
/// queries   [Q, D] float32 or float16, the same on every rank.    corpus, ids  the same on every rank; N rows.
/// excluded  empty, or [Q] lists of rows.
/// progress  called now and then with the corpus rows of this rank that are done, and that it has in all.
/// collective: each rank searches a share of the rows; every rank returns the same, all lists merged.
/// memory    queries in float32, 2 blocks of block_rows, about 24 k bytes a query; ids. Not the corpus.
/// return    lists of k rows; of N less the rows excluded for a query where that is less.
/// throws    ShapeError: D differs, other dtypes. ConfigError: k < 1 or above N. DataError: NaN or infinity in a vector
///           (names its id or row), a norm above 1e18 or not as claimed, what reading throws.
Neighbours search(const torch::Tensor& queries, const VectorSource& corpus, const IdTable& ids, int64_t k,
                  const SearchOptions& options, Communicator& communicator, const ExcludedRows& excluded = {},
                  const std::function<void(int64_t done, int64_t of)>& progress = {});

/// Embeddings can be searched with one another: all of kComparableParts that both know are equal but those in
/// `may_differ`, and the same normalisation. Where one of them has no fingerprint: the same weights, adapter weights
/// and rope mode. Returns "", or a warning that says what could not be compared.
/// throws DataError naming both files and what differs. ShapeError: D differs.
std::string require_comparable(const std::filesystem::path& queries_path, const EmbeddingsReader& queries,
                               const std::filesystem::path& corpus_path, const EmbeddingsReader& corpus,
                               const std::vector<FingerprintPart>& may_differ = {});

}  // namespace trireme
