#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/sources/line_index.h"
#include "data/sources/pair_source.h"
#include "data/sources/source_config.h"

namespace trireme {

/// Images, each as a pair with itself: the loader augments the two sides apart, and the model learns to find one view
/// by the other. Source: SimCLR, arXiv:2002.05709. From jsonl of plain records {"id", "img_path"[, "concept"]} or of
/// M-BEIR candidates ("did" instead of "id"); lines without an image are passed over, an image that several lines
/// show counts once, and texts are left out. In memory: 16 bytes a view.
class ImageViews final : public PairSource {
 public:
  /// throws DataError, with file and line: not JSON, no id, an image path that leaves the root, no image at all.
  ImageViews(const std::filesystem::path& root, const SourceConfig& config);

  int64_t size() const noexcept override { return static_cast<int64_t>(rows_.size()); }
  const std::vector<std::string>& groups() const noexcept override { return groups_; }
  int64_t group_of(int64_t) const noexcept override { return 0; }
  PairIdentity identity(int64_t row, RandomStream stream) const override;
  PairSize pair_size(int64_t, RandomStream) const override { return {.text_bytes = 0, .images = 2}; }
  /// throws DataError: hard negatives asked for.
  TrainingPair read(int64_t row, RandomStream stream, int64_t hard_negatives) const override;
  std::string first_image() const override { return files_[rows_[0].file].where(rows_[0].line); }
  Record document(std::string_view did, std::string_view where) const override;

 private:
  struct Row {
    uint32_t file, line;
  };
  std::vector<LineIndex> files_;
  std::vector<Row> rows_;
  std::vector<std::string> groups_{"all"};
};

}  // namespace trireme
