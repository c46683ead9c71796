#include "data/sources/text_pairs.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/io/text.h"
#include "core/printable.h"
#include "core/utf8.h"
#include "data/sources/candidate_pool.h"
#include "data/sources/json_line.h"

namespace trireme {
namespace {

/// Texts as documents: kept apart from ids that read the same.
int64_t text_id(std::string_view text) { return document_id(fmt::format("text:{}", text)); }

constexpr std::size_t kShownLineBytes = 120;

void require_utf8(std::string_view line, std::string_view where) {
  TRIREME_CHECK(is_valid_utf8(line), DataError, where,
                "a record must be UTF-8; got {}; save the file as UTF-8 (in Excel, \"CSV UTF-8\").",
                first_bad_byte(line));
}

int64_t concept_of(const TextPairLine& pair) {
  return pair.concept_key.empty() ? text_id(pair.positive) : document_id(pair.concept_key);
}

}  // namespace

TextPairLine parse_text_pair(std::string_view line, std::string_view where) {
  const simdjson::dom::object object = parse_json_line(line, where);
  return {.id = text_or_empty(object, "id", where),
          .anchor = required_text(object, "anchor", where),
          .positive = required_text(object, "positive", where),
          .negative = text_or_empty(object, "negative", where),
          .concept_key = text_or_empty(object, "concept", where)};
}

std::vector<std::string> csv_fields(std::string_view record, std::string_view where) {
  if (record.ends_with('\r')) record.remove_suffix(1);
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < record.size(); ++i) {
    if (record[i] == ',') {
      fields.emplace_back();
      continue;
    }
    if (record[i] != '"' || !fields.back().empty()) {
      fields.back().push_back(record[i]);
      continue;
    }
    for (++i; i < record.size(); ++i) {
      if (record[i] != '"') {
        fields.back().push_back(record[i]);
      } else if (i + 1 < record.size() && record[i + 1] == '"') {
        fields.back().push_back(record[i++]);
      } else {
        break;
      }
    }
    TRIREME_CHECK(i + 1 >= record.size() || record[i + 1] == ',', DataError, where,
                  "a quoted field must end at a comma or at the end of the line; got {} after it; double the quotes "
                  "inside a field.",
                  printable(record.substr(i + 1, 20)));
  }
  return fields;
}

NliColumns parse_nli_header(std::string_view line, std::string_view where) {
  require_utf8(line, where);
  const std::vector<std::string> names = csv_fields(line, where);
  const auto column = [&](std::string_view name) -> std::optional<std::size_t> {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names.begin());
  };
  const auto anchor = column("sent0"), positive = column("sent1");
  TRIREME_CHECK(anchor && positive, DataError, where,
                "the header must name the columns sent0 and sent1, with commas between them; got {}; take "
                "nli_for_simcse.csv, or name them.",
                printable(line.substr(0, kShownLineBytes)));
  return {names.size(), *anchor, *positive, column("hard_neg")};
}

TextPairLine parse_nli_line(std::string_view line, const NliColumns& columns, std::string_view where) {
  require_utf8(line, where);
  std::vector<std::string> fields = csv_fields(line, where);
  TRIREME_CHECK(fields.size() == columns.count, DataError, where,
                "a record must have {} fields as the header does; got {}; quote fields that hold commas.",
                columns.count, fields.size());
  TextPairLine pair{.id = {},
                    .anchor = std::move(fields[columns.anchor]),
                    .positive = std::move(fields[columns.positive]),
                    .negative = columns.negative ? std::move(fields[*columns.negative]) : std::string(),
                    .concept_key = {}};
  TRIREME_CHECK(!pair.anchor.empty() && !pair.positive.empty(), DataError, where,
                "sent0 and sent1 must not be empty; got \"{}\" and \"{}\"; remove the record.", pair.anchor,
                pair.positive);
  return pair;
}

TextPairSource::TextPairSource(const std::filesystem::path& root, const SourceConfig& config) {
  const bool nli = config.kind == SourceKind::kNli;
  for (const std::filesystem::path& path : config.files) {
    const auto file = static_cast<uint32_t>(files_.size());
    files_.push_back(nli ? LineIndex::of_csv(root / path) : LineIndex::of_lines(root / path));
    const LineIndex& lines = files_.back();
    TRIREME_CHECK(lines.size() < std::numeric_limits<int32_t>::max(), DataError, lines.path().string(),
                  "a file must have fewer than 2^31 lines; got {}; split it.", lines.size());
    if (nli) columns_.push_back(parse_nli_header(lines[0], lines.where(0)));
    for (auto line = static_cast<uint32_t>(nli); line < lines.size(); ++line) {
      const TextPairLine pair = at({file, line});
      rows_.push_back({file, line, std::ssize(pair.anchor) + std::ssize(pair.positive)});
    }
  }
  TRIREME_CHECK(size() > 0, DataError, files_.at(0).path().string(),
                "a source must have at least one pair; got a header alone; check the file.");
}

TextPairLine TextPairSource::at(Row row) const {
  const LineIndex& lines = files_[row.file];
  const std::string place = lines.where(row.line);
  TextPairLine pair = columns_.empty() ? parse_text_pair(lines[row.line], place)
                                       : parse_nli_line(lines[row.line], columns_[row.file], place);
  if (pair.id.empty()) pair.id = fmt::format("{}:{}", lines.path().stem().string(), row.line + 1);
  return pair;
}

PairIdentity TextPairSource::identity(int64_t row, RandomStream) const {
  const TextPairLine pair = at(rows_[static_cast<std::size_t>(row)]);
  const int64_t target = text_id(pair.positive);
  return {.target_id = target, .concept_id = concept_of(pair), .positive_ids = {target}};
}

PairSize TextPairSource::pair_size(int64_t row, RandomStream) const {
  return {.text_bytes = rows_[static_cast<std::size_t>(row)].text_bytes, .images = 0};
}

TrainingPair TextPairSource::read(int64_t row, RandomStream, int64_t hard_negatives) const {
  const Row place = rows_[static_cast<std::size_t>(row)];
  TextPairLine texts = at(place);
  TrainingPair pair;
  pair.where = where(place);
  pair.target_id = text_id(texts.positive);
  pair.concept_id = concept_of(texts);
  pair.positive_ids = {pair.target_id};
  TRIREME_CHECK(hard_negatives <= int64_t{!texts.negative.empty()}, DataError, pair.where,
                "pair {} must have {} hard negatives; got {}; lower data.hard_negatives.", texts.id, hard_negatives,
                texts.negative.empty() ? 0 : 1);
  if (hard_negatives == 1) {
    pair.hard_negative_ids.push_back(text_id(texts.negative));
    pair.hard_negative_concepts = pair.hard_negative_ids;
    pair.hard_negatives.push_back({texts.id + "/negative", std::move(texts.negative), {}});
  }
  pair.target = {texts.id + "/positive", std::move(texts.positive), {}};
  pair.query = {std::move(texts.id), std::move(texts.anchor), {}};
  return pair;
}

Record TextPairSource::document(std::string_view did, std::string_view where) const {
  TRIREME_ASSERT(false, "{}: text pairs have no pool with {}", where, did);
}

}  // namespace trireme
