#include "retrieval/mining/pool_facts.h"

#include <algorithm>

#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/parallel.h"
#include "data/sources/candidate_pool.h"
#include "data/sources/json_line.h"

namespace trireme {

PoolFacts::PoolFacts(std::vector<const RecordFile*> files, ImageRoot image_root, Concepts concepts)
    : files_(std::move(files)), image_root_(std::move(image_root)) {
  for (const RecordFile* file : files_) begin_.push_back(begin_.back() + file->size());
  if (concepts == Concepts::kIgnored) return;
  concepts_.resize(static_cast<std::size_t>(begin_.back()));
  parallel_for(begin_.back(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Place place = place_of(row);
      const std::string_view line = place.file.line(place.row);
      if (line.find("\"concept\"") == line.npos) continue;  // most pools have none: not parsed again
      const std::string where = place.file.where(place.row);
      const std::string text = text_or_empty(parse_json_line(line, where), "concept", where);
      concepts_[static_cast<std::size_t>(row)] = text.empty() ? 0 : document_id(text);
    }
  });
}

PoolFacts::Place PoolFacts::place_of(int64_t row) const {
  TRIREME_ASSERT(row >= 0 && row < begin_.back(), "row {} of {}", row, begin_.back());
  const auto file = static_cast<std::size_t>(std::upper_bound(begin_.begin(), begin_.end(), row) - begin_.begin()) - 1;
  return {*files_[file], row - begin_[file]};
}

int64_t PoolFacts::concept_of(int64_t row) const {
  return concepts_.empty() ? 0 : concepts_[static_cast<std::size_t>(row)];
}

void PoolFacts::hash_pictures(std::vector<int64_t> rows, PictureComparison comparison, Communicator& communicator) {
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  std::erase_if(rows, [&](int64_t row) {
    const Place place = place_of(row);
    return hash_of_row_.contains(row) || place.file.read(place.row).image.empty();
  });
  const int64_t count = std::ssize(rows), ranks = communicator.size();
  auto hashes = at::zeros({count}, torch::kInt64);
  auto* const values = hashes.mutable_data_ptr<int64_t>();
  // Each rank hashes every R-th, so that the sum over ranks has all.
  parallel_for((count + ranks - 1) / ranks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * ranks + communicator.rank(); i < std::min(count, end * ranks); i += ranks) {
      const Place place = place_of(rows[static_cast<std::size_t>(i)]);
      const std::string where = place.file.where(place.row);
      const std::string image = place.file.read(place.row).image;
      values[i] = static_cast<int64_t>(
          picture_hash(resolve_image(image_root_, image, where), comparison, fmt::format("{}, {}", where, image)));
    }
  });
  if (ranks > 1 && count > 0) communicator.all_reduce(hashes, ReduceOp::kSum).wait();
  for (int64_t i = 0; i < count; ++i)
    hash_of_row_.emplace(rows[static_cast<std::size_t>(i)], static_cast<uint64_t>(values[i]));
}

bool PoolFacts::same_picture(int64_t a, int64_t b, PictureComparison comparison, int64_t dhash_bits) const {
  const auto of_a = hash_of_row_.find(a), of_b = hash_of_row_.find(b);
  if (of_a == hash_of_row_.end() || of_b == hash_of_row_.end()) return false;
  return same_picture_hash(of_a->second, of_b->second, comparison, dhash_bits);
}

}  // namespace trireme
