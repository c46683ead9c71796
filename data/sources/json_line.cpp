#include "data/sources/json_line.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/error.h"

namespace trireme {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kMaxJsonDepth = 32;
constexpr std::size_t kShownBytes = 40;

/// One parser a thread: it keeps its buffers from line to line.
dom::parser& line_parser() {
  thread_local dom::parser parser = [] {
    dom::parser p;
    const auto error = p.allocate(4096, kMaxJsonDepth);
    TRIREME_ASSERT(!error, "simdjson: {}", simdjson::error_message(error));
    return p;
  }();
  return parser;
}

}  // namespace

dom::object parse_json_line(std::string_view line, std::string_view where) {
  dom::element element;
  const auto error = line_parser().parse(line.data(), line.size()).get(element);
  TRIREME_CHECK(!error, DataError, where,
                "a line must be one JSON object, UTF-8, nested at most {} deep; got {}; correct or remove the line.",
                kMaxJsonDepth, error == simdjson::EMPTY ? "an empty line" : simdjson::error_message(error));
  dom::object object;
  TRIREME_CHECK(!element.get(object), DataError, where,
                "a line must be a JSON object; got {}; write {{\"id\": .., \"txt\": .., \"img_path\": ..}}.",
                line.substr(0, kShownBytes));
  return object;
}

std::string text_or_empty(dom::object object, std::string_view key, std::string_view where) {
  dom::element element;
  if (object.at_key(key).get(element) || element.is_null()) return {};
  std::string_view value;
  TRIREME_CHECK(!element.get(value), DataError, where, "{} must be a string or null; got {}; correct the line.", key,
                simdjson::minify(element).substr(0, kShownBytes));
  return std::string(value);
}

std::string required_text(dom::object object, std::string_view key, std::string_view where) {
  dom::element element;
  TRIREME_CHECK(!object.at_key(key).get(element), DataError, where, "a line must have {}; got none; add it.", key);
  std::string_view value;
  TRIREME_CHECK(!element.get(value), DataError, where, "{} must be a string; got {}; put it in quotes.", key,
                simdjson::minify(element).substr(0, kShownBytes));
  TRIREME_CHECK(!value.empty(), DataError, where, "{} must not be empty; got \"\"; fill it in or remove the line.",
                key);
  return std::string(value);
}

std::string_view modality_name(Modality modality) {
  switch (modality) {
    case Modality::kText:
      return "text";
    case Modality::kImage:
      return "image";
    case Modality::kImageText:
      return "image,text";
  }
  TRIREME_ASSERT(false, "modality {}", static_cast<int>(modality));
}

Modality modality_of(std::string_view text, std::string_view image, std::string_view keys, std::string_view where) {
  TRIREME_CHECK(!text.empty() || !image.empty(), DataError, where,
                "a record must have text or an image; got neither; fill in {} or remove the line.", keys);
  if (image.empty()) return Modality::kText;
  return text.empty() ? Modality::kImage : Modality::kImageText;
}

void check_modality(dom::object object, std::string_view key, Modality has, std::string_view where) {
  const std::string modality = text_or_empty(object, key, where);
  if (modality.empty()) return;
  TRIREME_CHECK(modality == "text" || modality == "image" || modality == "image,text", DataError, where,
                "{} must be text, image or image,text; got {}; correct the line.", key, modality);
  const bool wants_image = modality != "text", wants_text = modality != "image";
  const bool has_image = has != Modality::kText, has_text = has != Modality::kImage;
  TRIREME_CHECK(wants_image == has_image && (!wants_text || has_text), DataError, where,
                "{} must say what the record holds; got {} for a record with {} text and {} image; correct the line.",
                key, modality, has_text ? "a" : "no", has_image ? "an" : "no");
}

int64_t dataset_of(std::string_view id, std::string_view where) {
  int64_t dataset = -1;
  const auto colon = id.find(':');
  const auto result = std::from_chars(id.data(), id.data() + std::min(colon, id.size()), dataset);
  TRIREME_CHECK(colon != std::string_view::npos && result.ec == std::errc() && result.ptr == id.data() + colon,
                DataError, where, "an M-BEIR id must read dataset:number; got {}; correct the line.", id);
  return dataset;
}

void check_image_path(std::string_view image, std::string_view where) {
  const std::filesystem::path path(image);
  const bool climbs = std::any_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
  TRIREME_CHECK(path.is_relative() && !climbs, DataError, where,
                "an image path must be relative and stay below the image root; got {}; give a path without a leading / "
                "and without ..",
                image);
}

}  // namespace trireme
