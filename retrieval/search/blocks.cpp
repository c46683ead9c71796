#include "retrieval/search/blocks.h"

#include <algorithm>
#include <cmath>

#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/parallel.h"
#include "core/shape.h"
#include "retrieval/search/kernels.h"

namespace trireme {
namespace {

constexpr std::string_view kWhere = "search";
constexpr double kLargestNorm = 1e18;
constexpr double kUnitTolerance = 0.01;

Block read_block(const VectorSource& corpus, int64_t first, int64_t count) {
  const c10::InferenceMode no_gradient;
  const torch::Tensor read = corpus.read(first, count);
  TRIREME_CHECK(read.sizes() == c10::IntArrayRef({count, corpus.dim()}) && is_searchable(read.scalar_type()),
                ShapeError, kWhere, "a block must be [{}, {}] float32 or float16; got {}; check the corpus.", count,
                corpus.dim(), shape_string(read));
  return {first, read.to(torch::kFloat32).contiguous()};
}

}  // namespace

RowRange share_of_rank(int64_t rows, int64_t rank, int64_t ranks) {
  const int64_t each = rows / ranks, more = rows % ranks;
  const int64_t begin = rank * each + std::min(rank, more);
  return {begin, begin + each + (rank < more ? 1 : 0)};
}

BlockReader::BlockReader(const VectorSource& corpus, RowRange range, int64_t block_rows)
    : blocks_(
          [&corpus, range, block_rows](int64_t number) -> std::optional<ItemWork<Block>> {
            const int64_t first = range.begin + number * block_rows, count = std::min(block_rows, range.end - first);
            if (count <= 0) return std::nullopt;
            return ItemWork<Block>{.parts = 0, .do_part = {}, .finish = [&corpus, first, count] {
                                     return read_block(corpus, first, count);
                                   }};
          },
          {.threads = 1, .queued = 1}) {}

bool is_searchable(c10::ScalarType dtype) { return dtype == torch::kFloat32 || dtype == torch::kFloat16; }

std::vector<double> checked_norms(const torch::Tensor& vectors, bool unit_length,
                                  const std::function<std::string(int64_t)>& name) {
  constexpr int64_t kRowsPerThread = 256;
  const int64_t rows = vectors.size(0), dim = vectors.size(1);
  std::vector<double> norms(static_cast<std::size_t>(rows));
  const float* const values = vectors.const_data_ptr<float>();
  parallel_for(rows, kRowsPerThread, [&](int64_t begin, int64_t end) {
    row_norms(values + begin * dim, end - begin, dim, norms.data() + begin);
  });
  for (int64_t row = 0; row < rows; ++row) {
    const double norm = norms[static_cast<std::size_t>(row)];
    TRIREME_CHECK(std::isfinite(norm), DataError, kWhere,
                  "every embedding must be finite; got NaN or infinity for {}; embed it again.", name(row));
    TRIREME_CHECK(norm <= kLargestNorm, DataError, kWhere,
                  "embeddings must have norms up to {:g}; got {:g} for {}; normalise them.", kLargestNorm, norm,
                  name(row));
    TRIREME_CHECK(!unit_length || std::abs(norm - 1) <= kUnitTolerance, DataError, kWhere,
                  "rows of a file with normalized = 1 must have norm 1; got {:.3g} for {}; normalise them, or write 0.",
                  norm, name(row));
  }
  return norms;
}

double checked_largest_norm(const Block& block, const VectorSource& corpus, const IdTable& ids) {
  const std::vector<double> norms = checked_norms(block.vectors, corpus.claims_unit_length(), [&](int64_t row) {
    const int64_t in_corpus = block.first_row + row;
    return fmt::format("id {} (row {} of the corpus)", quote_text(ids[in_corpus]), in_corpus);
  });
  return *std::max_element(norms.begin(), norms.end());
}

}  // namespace trireme
