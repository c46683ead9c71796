#include "data/sources/json_line.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/error.h"
#include "core/io/json_text.h"
#include "core/printable.h"

namespace trireme {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kMaxJsonDepth = 32;
constexpr std::size_t kShownFieldBytes = 40;

dom::parser new_parser(std::size_t depth) {
  dom::parser parser;
  const auto error = parser.allocate(4096, depth);
  TRIREME_ASSERT(!error, "simdjson: {}", simdjson::error_message(error));
  return parser;
}

/// One parser a thread: it keeps its buffers from line to line.
simdjson::simdjson_result<dom::element> parse_strictly(std::string_view line) {
  thread_local dom::parser parser = new_parser(kMaxJsonDepth);
  return parser.parse(line.data(), line.size());
}

/// A line that the strict parser refused, its odd values apart: they are one level deeper than they were.
simdjson::simdjson_result<dom::element> parse_with_odd_values(const std::string& line) {
  thread_local dom::parser parser = new_parser(kMaxJsonDepth + 1);
  return parser.parse(line);
}

std::string beginning(std::string_view text) {
  if (text.size() <= kShownFieldBytes) return printable(text);
  std::size_t end = kShownFieldBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a character
  return printable(text.substr(0, end)) + "..";
}

[[noreturn]] void refuse(std::string_view line, simdjson::error_code error, std::string_view where) {
  JsonFault fault = json_fault(line, simdjson::error_message(error));
  if (line.find_first_not_of(" \t\r") == line.npos) fault.what = "an empty line";
  throw DataError(where, fmt::format("a line must be one JSON object, UTF-8, nested at most {} deep; got {}; {}.",
                                     kMaxJsonDepth, fault.what,
                                     fault.of_several_lines
                                         ? "write each object on one line of its own, without commas between them "
                                           "(jq -c '.[]' OLD > NEW)"
                                         : "correct or remove the line"));
}

}  // namespace

dom::object parse_json_line(std::string_view line, std::string_view where) {
  dom::element element;
  auto error = parse_strictly(line).get(element);
  if (error) [[unlikely]] {
    const auto apart = with_odd_values_apart(line);
    if (apart) error = parse_with_odd_values(*apart).get(element);
    if (error) refuse(line, error, where);
  }
  dom::object object;
  TRIREME_CHECK(!element.get(object), DataError, where,
                "a line must be a JSON object; got {}; write {{\"id\": .., \"txt\": .., \"img_path\": ..}}.",
                beginning(line));
  return object;
}

std::string shown(dom::element element) {
  dom::object object;
  std::string_view odd;
  if (!element.get(object) && object.size() == 1 && !object.at_key(kOddValueKey).get(odd)) return beginning(odd);
  return beginning(simdjson::minify(element));
}

std::string text_or_empty(dom::object object, std::string_view key, std::string_view where) {
  dom::element element;
  if (object.at_key(key).get(element) || element.is_null()) return {};
  std::string_view value;
  TRIREME_CHECK(!element.get(value), DataError, where, "{} must be a string or null; got {}; correct the line.", key,
                shown(element));
  return std::string(value);
}

std::string required_text(dom::object object, std::string_view key, std::string_view where) {
  dom::element element;
  TRIREME_CHECK(!object.at_key(key).get(element), DataError, where, "a line must have {}; got none; add it.", key);
  std::string_view value;
  TRIREME_CHECK(!element.get(value), DataError, where, "{} must be a string; got {}; put it in quotes.", key,
                shown(element));
  TRIREME_CHECK(!value.empty(), DataError, where, "{} must not be empty; got \"\"; fill it in or remove the line.",
                key);
  return std::string(value);
}

int64_t task_of(dom::object object, std::string_view where) {
  dom::element element;
  int64_t task_id = -1;
  const bool absent = object.at_key("task_id").get(element) != simdjson::SUCCESS;
  TRIREME_CHECK(!absent && !element.get(task_id), DataError, where,
                "a query must have an integer task_id; got {}; write the number of M-BEIR's task.",
                absent ? "none" : shown(element));
  return task_id;
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

Modality check_modality(dom::object object, std::string_view key, Modality has, bool mismatch_allowed,
                        std::string_view where) {
  const std::string modality = text_or_empty(object, key, where);
  if (modality.empty()) return has;
  TRIREME_CHECK(modality == "text" || modality == "image" || modality == "image,text", DataError, where,
                "{} must be text, image or image,text; got {}; correct the line.", key, beginning(modality));
  const bool wants_image = modality != "text", wants_text = modality != "image";
  const bool has_image = has != Modality::kText, has_text = has != Modality::kImage;
  if (wants_image == has_image && (!wants_text || has_text)) return has;
  TRIREME_CHECK(mismatch_allowed, DataError, where,
                "{} must say what the record holds; got {} for a record with {} text and {} image; correct the line, "
                "or set allow_modality_mismatch to take and count such records.",
                key, modality, has_text ? "a" : "no", has_image ? "an" : "no");
  return wants_image ? wants_text ? Modality::kImageText : Modality::kImage : Modality::kText;
}

void check_id(std::string_view id, std::string_view where) {
  TRIREME_CHECK(!id.empty(), DataError, where, "an id must not be empty; got \"\"; name the record.");
  TRIREME_CHECK(id.find('\0') == id.npos, DataError, where,
                "an id must hold no zero character; got {}; rename the record.", beginning(id));
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
