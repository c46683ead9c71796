#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "evaluation/eval_set.h"
#include "retrieval/report/gallery.h"
#include "retrieval/search/search.h"

namespace trireme {

class FieldList;

/// [gallery] What a report shows of each task.
struct GalleryConfig {
  int64_t misses = 6, hits = 2;
  int64_t shown = 5;
  int64_t thumbnail_pixels = 64;

  void describe(FieldList& v);
};

/// Picks what a reader should see of each search in a local pool, and makes the thumbnails. Misses: first the queries
/// whose answer was not found at all, among them those with the most certain wrong answer first; then by falling rank.
/// One rank builds it.
class GalleryBuilder {
 public:
  /// set outlives the builder. depth: results kept per query.
  GalleryBuilder(const EvalSet& set, GalleryConfig config, int64_t depth);
  /// A search in a global pool is passed over.
  void add(const EvalSearch& search, const Neighbours& found);
  Gallery take() { return std::move(gallery_); }

 private:
  GalleryItem item_of(std::size_t file, int64_t row);
  int64_t image_of(const std::string& image, const std::string& where);
  GalleryCase case_of(const EvalSearch& search, const Neighbours& found, int64_t query, int64_t rank);

  const EvalSet& set_;
  GalleryConfig config_;
  Gallery gallery_;
  std::map<std::string, int64_t> pictures_;  ///< by path
};

}  // namespace trireme
