#include "data/sources/mbeir_source.h"

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_set>

#include "core/error.h"
#include "data/sources/mbeir_text.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

std::string group_name(GroupBy by, const QueryLine& query) {
  switch (by) {
    case GroupBy::kNone:
      return "all";
    case GroupBy::kTask:
      return fmt::format("task{}", query.task);
    case GroupBy::kDataset:
      return fmt::format("dataset{}", query.dataset);
    case GroupBy::kDatasetAndTask:
      return fmt::format("dataset{}_task{}", query.dataset, query.task);
  }
  TRIREME_ASSERT(false, "group_by {}", static_cast<int>(by));
}

int64_t concept_of(const std::string& of_query, const std::string& of_target, int64_t target_id) {
  if (!of_query.empty()) return document_id(of_query);
  return of_target.empty() ? target_id : document_id(of_target);
}

/// What a query's text adds to its instruction in the text that is read: format_query() puts the two together with a
/// space, and what it does to the text's end does not depend on the instruction (one that is all blanks apart, which
/// this takes for some bytes more than it has).
int32_t text_bytes_of(const std::string& text, bool instructed, const std::string& where) {
  constexpr std::string_view kAny = "X.";
  const int64_t bytes =
      instructed ? std::ssize(format_query(kAny, text)) - std::ssize(kAny) : std::ssize(format_string(text));
  TRIREME_CHECK(bytes <= std::numeric_limits<int32_t>::max(), DataError, where,
                "a query's text must be shorter than 2 GiB; got {} bytes; cut it.", bytes);
  return static_cast<int32_t>(bytes);
}

}  // namespace

MbeirSource::MbeirSource(const fs::path& root, const SourceConfig& config, std::shared_ptr<const CandidatePool> pool,
                         const HardNegatives* hard_negatives)
    : pool_(std::move(pool)),
      instruction_choice_(config.instruction_choice),
      prompt_number_(config.prompt_number),
      hard_negatives_(hard_negatives),
      allow_modality_mismatch_(config.allow_modality_mismatch) {
  if (instruction_choice_ != InstructionChoice::kNone) instructions_.emplace(root / config.instructions.value());
  for (const fs::path& file : config.files) files_.push_back(LineIndex::of_lines(root / file));
  for (std::size_t file = 0; file < files_.size(); ++file) index_file(file, config);
  TRIREME_CHECK(size() > 0, DataError, files_.at(0).path().string(),
                "a source must have at least one query of the tasks asked for{}; got none; check files and tasks.",
                hard_negatives_ ? " that negatives were mined for" : "");
  TRIREME_CHECK(size() <= std::numeric_limits<int32_t>::max(), DataError, files_[0].path().string(),
                "a source must have fewer than 2^31 queries; got {}; split it.", size());
}

void MbeirSource::index_file(std::size_t file, const SourceConfig& config) {
  const LineIndex& lines = files_[file];
  std::set<std::string, std::less<>> checked;
  for (int64_t line = 0; line < lines.size(); ++line) {
    const std::string where = lines.where(line);
    const QueryLine query = parse_query(lines[line], where, allow_modality_mismatch_);
    if (!config.tasks.empty() && std::find(config.tasks.begin(), config.tasks.end(), query.task) == config.tasks.end())
      continue;
    if (hard_negatives_ && !hard_negatives_->covers(query.qid)) {
      ++without_negatives_;
      continue;
    }
    const std::size_t before = positive_rows_.size();
    bool has_image = query.modality != Modality::kText;
    for (const std::string& did : query.positives) {
      const auto row = pool_->find(did);
      TRIREME_CHECK(row || config.allow_missing_positives, DataError, where,
                    "a positive must be in the candidate pool {}; got {}, which is not; take the pool of the same "
                    "queries, or set allow_missing_positives.",
                    pool_->path().string(), did);
      if (!row) {
        ++missing_positives_;
        continue;
      }
      positive_rows_.push_back(static_cast<uint32_t>(*row));
      const Modality target = pool_->modality(*row);
      has_image = has_image || target != Modality::kText;
      const auto key = fmt::format("{}, {}, {}", query.dataset, modality_name(query.modality), modality_name(target));
      if (checked.insert(key).second) check_instructions(query, target, config, where);
    }
    if (positive_rows_.size() == before) {
      ++dropped_queries_;
      continue;
    }
    if (has_image && first_image_.empty()) first_image_ = where;
    modality_mismatches_ += !query.modality_fits;
    rows_.push_back({.file = static_cast<uint32_t>(file),
                     .line = static_cast<uint32_t>(line),
                     .text_bytes = text_bytes_of(query.text, instructions_.has_value(), where),
                     .kind = kind_of(query),
                     .has_image = !query.image.empty()});
    positive_begin_.push_back(positive_rows_.size());
    const std::string group = group_name(config.group_by, query);
    const auto found = std::find(groups_.begin(), groups_.end(), group);
    group_of_row_.push_back(static_cast<uint16_t>(found - groups_.begin()));
    if (found == groups_.end()) groups_.push_back(group);
  }
}

void MbeirSource::check_instructions(const QueryLine& query, Modality target, const SourceConfig& config,
                                     const std::string& where) const {
  if (!instructions_) return;
  const auto& prompts =
      instructions_->prompts(query.dataset, modality_name(query.modality), modality_name(target), where);
  TRIREME_CHECK(config.instruction_choice == InstructionChoice::kRandom || config.prompt_number <= std::ssize(prompts),
                ConfigError, where, "prompt_number must be from 1 to {}; got {}; lower it.", prompts.size(),
                config.prompt_number);
}

std::span<const uint32_t> MbeirSource::positives(int64_t row) const {
  const auto i = static_cast<std::size_t>(row);
  return std::span(positive_rows_).subspan(positive_begin_[i], positive_begin_[i + 1] - positive_begin_[i]);
}

QueryLine MbeirSource::query_at(int64_t row) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  return parse_query(files_[at.file][at.line], files_[at.file].where(at.line), allow_modality_mismatch_);
}

int64_t MbeirSource::draw_target(int64_t row, RandomStream& stream) const {
  const auto choices = positives(row);
  return choices[stream.uniform_below(choices.size())];
}

PairIdentity MbeirSource::identity(int64_t row, RandomStream stream) const {
  const int64_t target = draw_target(row, stream);
  PairIdentity identity{.target_id = pool_->document_id(target), .concept_id = 0, .positive_ids = {}};
  identity.concept_id = concept_of(query_at(row).concept_key, pool_->read(target).concept_key, identity.target_id);
  for (uint32_t positive : positives(row)) identity.positive_ids.push_back(pool_->document_id(positive));
  return identity;
}

PairSize MbeirSource::pair_size(int64_t row, RandomStream stream) const {
  const Row& at = rows_[static_cast<std::size_t>(row)];
  const int64_t target = draw_target(row, stream);
  int64_t text_bytes = at.text_bytes + pool_->text_bytes(target);
  if (instructions_) {
    const std::string& instruction =
        draw_instruction(kinds_[at.kind], pool_->modality(target), stream, files_[at.file].path().native());
    text_bytes += std::ssize(format_query(instruction, {}));
  }
  return {.text_bytes = text_bytes, .images = int64_t{at.has_image} + int64_t{pool_->has_image(target)}};
}

TrainingPair MbeirSource::read(int64_t row, RandomStream stream, int64_t hard_negatives) const {
  const Row at = rows_[static_cast<std::size_t>(row)];
  const int64_t target_row = draw_target(row, stream);
  const Candidate target = pool_->read(target_row);
  const QueryLine query = query_at(row);
  TrainingPair pair;
  pair.where = files_[at.file].where(at.line);
  pair.query = {query.qid, instructed(query, target.modality, stream, pair.where), query.image};
  pair.target = target.record;
  pair.target_id = pool_->document_id(target_row);
  pair.concept_id = concept_of(query.concept_key, target.concept_key, pair.target_id);
  for (uint32_t positive : positives(row)) pair.positive_ids.push_back(pool_->document_id(positive));
  for (const int64_t negative_row : draw_hard_negatives(query, row, hard_negatives, stream, pair.where)) {
    Candidate negative = pool_->read(negative_row);
    pair.hard_negative_ids.push_back(pool_->document_id(negative_row));
    pair.hard_negative_concepts.push_back(concept_of({}, negative.concept_key, pair.hard_negative_ids.back()));
    pair.hard_negatives.push_back(std::move(negative.record));
  }
  return pair;
}

const std::string& MbeirSource::draw_instruction(const QueryKind& kind, Modality target, RandomStream& stream,
                                                 std::string_view where) const {
  const auto& prompts =
      instructions_->prompts(kind.dataset, modality_name(kind.modality), modality_name(target), where);
  const bool fixed = instruction_choice_ == InstructionChoice::kFixed;
  const uint64_t drawn = stream.uniform_below(prompts.size());
  return prompts[fixed ? static_cast<std::size_t>(prompt_number_ - 1) : drawn];
}

std::string MbeirSource::instructed(const QueryLine& query, Modality target, RandomStream& stream,
                                    const std::string& where) const {
  if (!instructions_) return format_string(query.text);
  return format_query(draw_instruction({query.dataset, query.modality}, target, stream, where), query.text);
}

uint16_t MbeirSource::kind_of(const QueryLine& query) {
  const QueryKind kind{query.dataset, query.modality};
  const auto place = std::find(kinds_.begin(), kinds_.end(), kind) - kinds_.begin();
  if (place == std::ssize(kinds_)) kinds_.push_back(kind);
  TRIREME_CHECK(place <= std::numeric_limits<uint16_t>::max(), DataError, files_.at(0).path().string(),
                "a source must have at most 65,536 kinds of queries (dataset and modality); got more; check the qids.");
  return static_cast<uint16_t>(place);
}

int64_t MbeirSource::row_of_negative(std::string_view did, std::string_view where) const {
  const auto row = pool_->find(did);
  TRIREME_CHECK(row.has_value(), DataError, where,
                "a hard negative must be in the candidate pool {}; got {}, which is not; mine in the same pool.",
                pool_->path().string(), did);
  return *row;
}

Record MbeirSource::document(std::string_view did, std::string_view where) const {
  return pool_->read(row_of_negative(did, where)).record;
}

std::vector<int64_t> MbeirSource::draw_hard_negatives(const QueryLine& query, int64_t row, int64_t count,
                                                      RandomStream& stream, const std::string& where) const {
  if (count == 0) return {};
  const std::vector<std::string> dids = hard_negatives_ ? hard_negatives_->of(query.qid) : query.negatives;
  const auto known = positives(row);
  const std::unordered_set<uint32_t> is_positive(known.begin(), known.end());
  std::vector<int64_t> rows;
  for (const std::string& did : dids) {
    const int64_t found = row_of_negative(did, where);
    if (!is_positive.contains(static_cast<uint32_t>(found))) rows.push_back(found);
  }
  TRIREME_CHECK(std::ssize(rows) >= count, DataError, where,
                "query {} must have {} hard negatives besides its positives; got {}; mine deeper, or lower "
                "data.hard_negatives.",
                query.qid, count, rows.size());
  stream.shuffle(std::span(rows));
  rows.resize(static_cast<std::size_t>(count));
  return rows;
}

}  // namespace trireme
