#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// A query or candidate as a reader sees it.
struct GalleryItem {
  std::string id, text;              ///< text as the dataset has it, cut to a caption's length
  std::optional<int64_t> picture{};  ///< index into Gallery::pictures
  bool operator==(const GalleryItem&) const = default;
};

struct GalleryHit {
  GalleryItem item;
  double score = 0;  ///< cosine
  bool relevant = false;
  bool operator==(const GalleryHit&) const = default;
};

/// One query, what came first, and what should have.
struct GalleryCase {
  GalleryItem query;
  int64_t rank = 0;  ///< of the first relevant candidate, from 1; 0 = not among the results kept
  std::vector<GalleryHit> top{};
  std::optional<GalleryItem> wanted{};  ///< a relevant candidate, when none is in `top`
  bool operator==(const GalleryCase&) const = default;
};

/// Of one benchmark row, in its local pool: the worst misses first, then some hits.
struct GalleryTask {
  std::string task;  ///< ResultRow::id
  std::string label;
  std::string instruction;  ///< what the queries were asked with; "" = none, or several
  std::vector<GalleryCase> cases{};
  bool operator==(const GalleryTask&) const = default;
};

/// The content of gallery.json: pictures once each, as base64 of WebP.
struct Gallery {
  int64_t depth = 0;  ///< results kept per query
  std::vector<GalleryTask> tasks;
  std::vector<std::string> pictures;
  std::string notice;  ///< whose pictures these are: the dataset's NOTICE
  bool operator==(const Gallery&) const = default;
};

std::string gallery_json(const Gallery& gallery);
/// throws DataError: missing, not JSON, not what gallery_json() writes, a picture that is not base64.
Gallery read_gallery(const std::filesystem::path& file);
Gallery parse_gallery(std::string_view json, std::string_view where);

}  // namespace trireme
