#include "data/sources/records.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <simdjson.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "data/sources/mbeir_text.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

constexpr std::size_t kMaxJsonDepth = 32;

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

dom::object parse_object(std::string_view line, std::string_view where) {
  dom::element element;
  const auto error = line_parser().parse(line.data(), line.size()).get(element);
  TRIREME_CHECK(!error, DataError, where,
                "a line must be one JSON object, UTF-8, nested at most {} deep; got {}; correct or remove the line.",
                kMaxJsonDepth, error == simdjson::EMPTY ? "an empty line" : simdjson::error_message(error));
  dom::object object;
  TRIREME_CHECK(!element.get(object), DataError, where,
                "a line must be a JSON object; got {}; write {{\"id\": .., \"txt\": .., \"img_path\": ..}}.",
                line.substr(0, 40));
  return object;
}

/// The string under `key`; null and an absent key are "".
std::string text_or_empty(dom::object object, std::string_view key, std::string_view where) {
  dom::element element;
  if (object.at_key(key).get(element) || element.is_null()) return {};
  std::string_view value;
  TRIREME_CHECK(!element.get(value), DataError, where, "{} must be a string or null; got {}; correct the line.", key,
                simdjson::minify(element).substr(0, 40));
  return std::string(value);
}

struct Modality {
  bool text = false, image = false;
};

/// M-BEIR's modality field against what the record holds; an absent field says nothing.
void check_modality(dom::object object, std::string_view key, Modality has, std::string_view where) {
  const std::string modality = text_or_empty(object, key, where);
  if (modality.empty()) return;
  TRIREME_CHECK(modality == "text" || modality == "image" || modality == "image,text", DataError, where,
                "{} must be text, image or image,text; got {}; correct the line.", key, modality);
  const bool wants_image = modality != "text", wants_text = modality != "image";
  TRIREME_CHECK(wants_image == has.image && (!wants_text || has.text), DataError, where,
                "{} must say what the record holds; got {} for a record with {} text and {} image; correct the line.",
                key, modality, has.text ? "a" : "no", has.image ? "an" : "no");
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
  const fs::path path(image);
  const bool climbs = std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  TRIREME_CHECK(path.is_relative() && !climbs, DataError, where,
                "an image path must be relative and stay below the image root; got {}; give a path without a leading / "
                "and without ..",
                image);
}

std::string instruction_key(int64_t dataset_id, std::string_view query, std::string_view candidate) {
  return fmt::format("{}, {}, {}", dataset_id, query, candidate);
}

}  // namespace

std::string_view candidate_modality_of_task(int64_t task_id, std::string_view where) {
  switch (task_id) {
    case 0:
    case 4:
    case 7:
      return "image";
    case 1:
    case 3:
    case 6:
      return "text";
    case 2:
    case 8:
      return "image,text";
    default:
      break;
  }
  throw DataError(where,
                  fmt::format("task_id must be one of 0, 1, 2, 3, 4, 6, 7, 8; got {}; correct the line.", task_id));
}

fs::path resolve_image(const fs::path& image_root, std::string_view image, std::string_view where) {
  check_image_path(image, where);
  const fs::path path = image_root / image;
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  TRIREME_CHECK(!error, DataError, where, "the image must exist below {}; got {} ({}); check --image-root.",
                image_root.string(), image, error.message());
  const fs::path root = fs::canonical(image_root, error);
  const auto [root_end, unused] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  TRIREME_CHECK(root_end == root.end(), DataError, where,
                "the image must lie below {}; got {}, a link to {}; copy the file below the root.", image_root.string(),
                image, real.string());
  return real;
}

InstructionTable::InstructionTable(const fs::path& tsv) : path_(tsv) {
  const std::string text = read_text_file(tsv);
  std::size_t begin = text.find('\n');  // the first line is the header
  for (int64_t line_number = 2; begin != std::string::npos && begin + 1 < text.size(); ++line_number) {
    const std::size_t end = std::min(text.find('\n', begin + 1), text.size());
    std::string_view line(text.data() + begin + 1, end - begin - 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end;
    const std::string where = fmt::format("{}:{}", tsv.string(), line_number);

    std::vector<std::string_view> columns;
    for (std::size_t from = 0; from <= line.size();) {
      const std::size_t tab = std::min(line.find('\t', from), line.size());
      columns.push_back(line.substr(from, tab - from));
      from = tab + 1;
    }
    TRIREME_CHECK(columns.size() >= 5, DataError, where,
                  "an instruction line must have query_modality, cand_modality, dataset_name, dataset_id and prompts, "
                  "separated by tabs; got {} columns; correct the line.",
                  columns.size());
    int64_t dataset_id = -1;
    const auto [end_of_number, error] =
        std::from_chars(columns[3].data(), columns[3].data() + columns[3].size(), dataset_id);
    TRIREME_CHECK(error == std::errc() && end_of_number == columns[3].data() + columns[3].size(), DataError, where,
                  "dataset_id must be a number; got {}; correct the fourth column.", columns[3]);
    auto& prompts = prompts_[instruction_key(dataset_id, columns[0], columns[1])];
    for (std::size_t i = 4; i < columns.size(); ++i) {
      if (!columns[i].empty()) prompts.emplace_back(columns[i]);
    }
  }
}

const std::vector<std::string>& InstructionTable::prompts(int64_t dataset_id, std::string_view query_modality,
                                                          std::string_view candidate_modality,
                                                          std::string_view where) const {
  const auto found = prompts_.find(instruction_key(dataset_id, query_modality, candidate_modality));
  TRIREME_CHECK(found != prompts_.end() && !found->second.empty(), DataError, where,
                "{} must hold an instruction for dataset {}, query {}, candidate {}; got none; add the line.",
                path_.string(), dataset_id, query_modality, candidate_modality);
  return found->second;
}

RecordFile::RecordFile(const fs::path& jsonl, RecordOptions options) : file_(jsonl), options_(std::move(options)) {
  const std::string_view text = file_.text();
  TRIREME_CHECK(!text.empty(), DataError, jsonl.string(),
                "a record file must hold at least one record; got an empty file; check the path.");
  for (std::size_t begin = 0; begin < text.size();) {
    line_begin_.push_back(begin);
    begin = std::min(text.find('\n', begin), text.size()) + 1;
  }

  struct IdHash {
    uint64_t hash;
    int64_t row;
  };
  std::vector<IdHash> ids(line_begin_.size());
  for (int64_t row = 0; row < size(); ++row) {
    const Record record = read(row);
    if (!record.image.empty() && !first_image_row_) first_image_row_ = row;
    ids[static_cast<std::size_t>(row)] = {xxh3_64(std::as_bytes(std::span(record.id))), row};
  }
  std::sort(ids.begin(), ids.end(),
            [](const IdHash& a, const IdHash& b) { return a.hash != b.hash ? a.hash < b.hash : a.row < b.row; });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t j = i + 1; j < ids.size() && ids[j].hash == ids[i].hash; ++j) {
      const std::string id = read(ids[i].row).id;
      TRIREME_CHECK(id != read(ids[j].row).id, DataError, where(ids[j].row),
                    "ids must be unique in a file; got {} again, first at line {}; rename or remove one.", id,
                    ids[i].row + 1);
    }
  }
}

std::string RecordFile::where(int64_t row) const { return fmt::format("{}:{}", file_.path().string(), row + 1); }

Record RecordFile::read(int64_t row) const {
  TRIREME_ASSERT(row >= 0 && row < size(), "row {} of {}", row, size());
  const std::string_view text = file_.text();
  const auto i = static_cast<std::size_t>(row);
  const uint64_t end = i + 1 < line_begin_.size() ? line_begin_[i + 1] - 1 : text.size();
  std::string_view line = text.substr(line_begin_[i], end - line_begin_[i]);
  if (line.ends_with('\n')) line.remove_suffix(1);
  return parse(line, row);
}

Record RecordFile::parse(std::string_view line, int64_t row) const {
  const std::string at = where(row);
  const dom::object object = parse_object(line, at);

  std::string_view id_key;
  for (std::string_view key : {"id", "did", "qid"}) {
    dom::element element;
    if (object.at_key(key).get(element)) continue;
    TRIREME_CHECK(id_key.empty(), DataError, at, "a record must have one of id, did and qid; got {} and {}; keep one.",
                  id_key, key);
    TRIREME_CHECK(element.is_string(), DataError, at, "{} must be a string; got {}; put it in quotes.", key,
                  simdjson::minify(element).substr(0, 40));
    id_key = key;
  }
  TRIREME_CHECK(
      !id_key.empty(), DataError, at,
      "a record must have an id (plain), a did (M-BEIR candidate) or a qid (M-BEIR query); got none; add one.");

  const bool query = id_key == "qid";
  Record record{text_or_empty(object, id_key, at), text_or_empty(object, query ? "query_txt" : "txt", at),
                text_or_empty(object, query ? "query_img_path" : "img_path", at)};
  TRIREME_CHECK(!record.id.empty(), DataError, at, "an id must not be empty; got \"\"; name the record.");
  if (!record.image.empty()) check_image_path(record.image, at);
  if (id_key == "did") {
    record.text = format_string(record.text);
    check_modality(object, "modality", {!record.text.empty(), !record.image.empty()}, at);
  }
  const Modality has{!record.text.empty(), !record.image.empty()};
  TRIREME_CHECK(has.text || has.image, DataError, at,
                "a record must have text or an image; got neither; fill in {} or remove the line.",
                query ? "query_txt or query_img_path" : "txt or img_path");
  if (!query) return record;

  check_modality(object, "query_modality", has, at);
  TRIREME_CHECK(options_.instructions.has_value(), DataError, at,
                "M-BEIR queries need their instructions; got none; give --instructions query_instructions.tsv.");
  int64_t task_id = -1;
  TRIREME_CHECK(!object.at_key("task_id").get(task_id), DataError, at,
                "a query must have an integer task_id; got none; add it.");
  const std::string_view query_modality = has.image ? (has.text ? "image,text" : "image") : "text";
  const auto& prompts = options_.instructions->prompts(dataset_of(record.id, at), query_modality,
                                                       candidate_modality_of_task(task_id, at), at);
  TRIREME_CHECK(options_.prompt_number >= 1 && options_.prompt_number <= std::ssize(prompts), ConfigError, at,
                "the prompt number must be from 1 to {}; got {}; change --prompt-number.", prompts.size(),
                options_.prompt_number);
  record.text = format_query(prompts[static_cast<std::size_t>(options_.prompt_number - 1)], record.text);
  return record;
}

}  // namespace trireme
