#include "retrieval/mining/searched_pool.h"

#include <algorithm>

#include <ATen/ops/cat.h>

#include "core/error.h"

namespace trireme {

JoinedSource::JoinedSource(const std::vector<std::filesystem::path>& files) {
  TRIREME_ASSERT(!files.empty(), "no files");
  for (const std::filesystem::path& file : files) {
    readers_.emplace_back(file);
    begin_.push_back(begin_.back() + readers_.back().rows());
    TRIREME_ASSERT(readers_.back().dim() == dim() && readers_.back().dtype() == readers_.front().dtype(),
                   "{} values in a row of file {}, {} in the first", readers_.back().dim(), readers_.size(), dim());
  }
}

std::vector<JoinedSource::Piece> JoinedSource::pieces(int64_t first_row, int64_t count) const {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    const int64_t begin = std::max(first_row, begin_[i]), end = std::min(first_row + count, begin_[i + 1]);
    if (begin < end) pieces.push_back({readers_[i], begin - begin_[i], end - begin});
  }
  return pieces;
}

torch::Tensor JoinedSource::read(int64_t first_row, int64_t count) const {
  std::vector<torch::Tensor> rows;
  for (const Piece& piece : pieces(first_row, count)) rows.push_back(piece.reader.read(piece.first_row, piece.count));
  if (rows.size() == 1) return rows.front();
  return rows.empty() ? readers_.front().read(0, 0) : at::cat(rows);
}

std::vector<std::string> JoinedSource::read_ids(int64_t first_row, int64_t count) const {
  std::vector<std::string> ids;
  for (const Piece& piece : pieces(first_row, count))
    for (std::string& id : piece.reader.read_ids(piece.first_row, piece.count)) ids.push_back(std::move(id));
  return ids;
}

SearchedPool::SearchedPool(const std::vector<std::filesystem::path>& embeddings, std::vector<const RecordFile*> records,
                           const ImageRoot& image_root, PoolFacts::Concepts concepts)
    : vectors_(embeddings),
      ids_(
          vectors_.rows(), [&](int64_t first_row, int64_t count) { return vectors_.read_ids(first_row, count); },
          "mine"),
      facts_(std::move(records), image_root, concepts) {}

}  // namespace trireme
