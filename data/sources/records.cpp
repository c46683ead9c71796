#include "data/sources/records.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/text.h"
#include "core/rng.h"
#include "data/sources/json_line.h"
#include "data/sources/mbeir_text.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;

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

fs::path resolve_image(const ImageRoot& image_root, std::string_view image, std::string_view where) {
  check_image_path(image, where);
  const fs::path path = image_root.folder / image;
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  TRIREME_CHECK(!error, DataError, where, "the image must exist below {}; got {} ({}); check image_root and the path.",
                image_root.folder.string(), image, error.message());
  if (image_root.follow_links) return real;
  const fs::path root = fs::canonical(image_root.folder, error);
  const auto [root_end, unused] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  TRIREME_CHECK(root_end == root.end(), DataError, where,
                "the image must lie below {}; got {}, a link to {}; copy the file below the root, or set follow_links.",
                image_root.folder.string(), image, real.string());
  return real;
}

InstructionTable::InstructionTable(const fs::path& tsv) : path_(tsv) {
  const std::string text = read_utf8_file(tsv);
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

RecordFile::RecordFile(const fs::path& jsonl, RecordOptions options, const Visit& visit)
    : lines_(LineIndex::of_lines(jsonl)), options_(std::move(options)) {
  struct IdHash {
    uint64_t hash;
    int64_t row;
  };
  std::vector<IdHash> ids(static_cast<std::size_t>(size()));
  for (int64_t row = 0; row < size(); ++row) {
    const auto [record, instruction, modality_fits] = parse(row);
    if (!record.image.empty() && !first_image_row_) first_image_row_ = row;
    modality_mismatches_ += !modality_fits;
    if (visit) visit(row, record);
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

void RecordFile::keep(std::vector<int64_t> rows) {
  TRIREME_ASSERT(!rows.empty() && std::ranges::is_sorted(rows) && rows.front() >= 0 && rows.back() < size(),
                 "{} rows of {}", rows.size(), size());
  for (int64_t& row : rows) row = line_of(row);
  kept_ = std::move(rows);
  first_image_row_.reset();
  for (int64_t row = 0; row < size() && !first_image_row_; ++row) {
    if (!read(row).image.empty()) first_image_row_ = row;
  }
}

Record RecordFile::read(int64_t row) const {
  Parsed parsed = parse(line_of(row));
  if (parsed.instruction != nullptr) parsed.record.text = format_query(*parsed.instruction, parsed.record.text);
  return std::move(parsed.record);
}

RecordContents RecordFile::contents() const {
  constexpr std::string_view kEnd("\0", 1);
  Sha256 records, instructions;
  bool instructed = false;
  for (int64_t row = 0; row < size(); ++row) {
    const Parsed parsed = parse(line_of(row));
    for (const std::string* text : {&parsed.record.id, &parsed.record.text, &parsed.record.image}) {
      records.add(*text);
      records.add(kEnd);
    }
    instructed |= parsed.instruction != nullptr;
    if (parsed.instruction != nullptr) instructions.add(*parsed.instruction);
    instructions.add(kEnd);
  }
  return {records.hex(), instructed ? instructions.hex() : "none"};
}

RecordFile::Parsed RecordFile::parse(int64_t line) const {
  const std::string at = lines_.where(line);
  const dom::object object = parse_json_line(lines_[line], at);

  std::string_view id_key;
  for (std::string_view key : {"id", "did", "qid"}) {
    dom::element element;
    if (object.at_key(key).get(element)) continue;
    TRIREME_CHECK(id_key.empty(), DataError, at, "a record must have one of id, did and qid; got {} and {}; keep one.",
                  id_key, key);
    TRIREME_CHECK(element.is_string(), DataError, at, "{} must be a string; got {}; put it in quotes.", key,
                  shown(element));
    id_key = key;
  }
  TRIREME_CHECK(
      !id_key.empty(), DataError, at,
      "a record must have an id (plain), a did (M-BEIR candidate) or a qid (M-BEIR query); got none; add one.");

  const bool query = id_key == "qid";
  Record record{text_or_empty(object, id_key, at), text_or_empty(object, query ? "query_txt" : "txt", at),
                text_or_empty(object, query ? "query_img_path" : "img_path", at)};
  check_id(record.id, at);
  if (!record.image.empty()) check_image_path(record.image, at);
  if (id_key == "did") record.text = format_string(record.text);
  const Modality modality =
      modality_of(record.text, record.image, query ? "query_txt or query_img_path" : "txt or img_path", at);
  const bool allowed = options_.allow_modality_mismatch;
  if (id_key == "did")
    return {std::move(record), nullptr, check_modality(object, "modality", modality, allowed, at) == modality};
  if (!query) return {std::move(record)};

  const Modality said = check_modality(object, "query_modality", modality, allowed, at);
  if (options_.plain_queries) {
    record.text = format_string(record.text);
    return {std::move(record), nullptr, said == modality};
  }
  TRIREME_CHECK(options_.instructions.has_value(), DataError, at,
                "M-BEIR queries need their instructions; got none; give query_instructions.tsv.");
  const int64_t task_id = task_of(object, at);
  const auto& prompts = options_.instructions->prompts(dataset_of(record.id, at), modality_name(said),
                                                       candidate_modality_of_task(task_id, at), at);
  TRIREME_CHECK(options_.prompt_number >= 1 && options_.prompt_number <= std::ssize(prompts), ConfigError, at,
                "prompt_number must be from 1 to {}; got {}; change it.", prompts.size(), options_.prompt_number);
  auto prompt = static_cast<std::size_t>(options_.prompt_number - 1);
  if (options_.instruction_seed)
    prompt = random_stream(*options_.instruction_seed, "records.instruction", line).uniform_below(prompts.size());
  return {std::move(record), &prompts[prompt], said == modality};
}

}  // namespace trireme
