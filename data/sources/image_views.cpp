#include "data/sources/image_views.h"

#include <limits>
#include <unordered_set>

#include "core/error.h"
#include "data/sources/candidate_pool.h"
#include "data/sources/json_line.h"

namespace trireme {
namespace {

struct ViewedImage {
  std::string id, path, concept_key;
  int64_t concept_id() const { return document_id(concept_key.empty() ? id : concept_key); }
};

ViewedImage parse_image(std::string_view line, std::string_view where) {
  const simdjson::dom::object object = parse_json_line(line, where);
  simdjson::dom::element did;
  ViewedImage view{.id = required_text(object, object.at_key("did").get(did) ? "id" : "did", where),
                   .path = text_or_empty(object, "img_path", where),
                   .concept_key = text_or_empty(object, "concept", where)};
  if (!view.path.empty()) check_image_path(view.path, where);
  return view;
}

}  // namespace

ImageViews::ImageViews(const std::filesystem::path& root, const SourceConfig& config) {
  std::unordered_set<std::string> images;
  for (const std::filesystem::path& path : config.files) {
    const auto file = static_cast<uint32_t>(files_.size());
    files_.push_back(LineIndex::of_lines(root / path));
    const LineIndex& lines = files_.back();
    TRIREME_CHECK(lines.size() < std::numeric_limits<int32_t>::max(), DataError, lines.path().string(),
                  "a file must have fewer than 2^31 lines; got {}; split it.", lines.size());
    for (uint32_t line = 0; line < lines.size(); ++line) {
      const ViewedImage view = parse_image(lines[line], lines.where(line));
      if (!view.path.empty() && images.insert(view.path).second) rows_.push_back({file, line});
    }
  }
  TRIREME_CHECK(size() > 0, DataError, files_.at(0).path().string(),
                "a source of views must have pictures; got texts only; name another file.");
}

PairIdentity ImageViews::identity(int64_t row, RandomStream) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  const ViewedImage view = parse_image(files_[at.file][at.line], files_[at.file].where(at.line));
  const int64_t target = document_id(view.id);
  return {.target_id = target, .concept_id = view.concept_id(), .positive_ids = {target}};
}

TrainingPair ImageViews::read(int64_t row, RandomStream, int64_t hard_negatives) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  TrainingPair pair;
  pair.where = files_[at.file].where(at.line);
  TRIREME_CHECK(hard_negatives == 0, DataError, pair.where,
                "data.hard_negatives must be 0 with a source of views; got {}; it has none.", hard_negatives);
  const ViewedImage view = parse_image(files_[at.file][at.line], pair.where);
  pair.target_id = document_id(view.id);
  pair.concept_id = view.concept_id();
  pair.positive_ids = {pair.target_id};
  pair.query = pair.target = {view.id, {}, view.path};
  return pair;
}

Record ImageViews::document(std::string_view did, std::string_view where) const {
  TRIREME_ASSERT(false, "{}: views have no pool with {}", where, did);
}

}  // namespace trireme
