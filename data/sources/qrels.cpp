#include "data/sources/qrels.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/text.h"
#include "data/sources/records.h"

namespace trireme {
namespace {

std::vector<std::string_view> columns_of(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  std::vector<std::string_view> columns;
  for (std::size_t begin = line.find_first_not_of(kBlanks); begin != line.npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
    columns.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlanks, end);
  }
  return columns;
}

int64_t integer(std::string_view text, std::string_view what, std::string_view where) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  TRIREME_CHECK(error == std::errc() && end == text.data() + text.size(), DataError, where,
                "{} must be an integer; got {}; correct the line.", what, text);
  return value;
}

}  // namespace

Qrels::Qrels(std::span<const std::filesystem::path> files) {
  for (const std::filesystem::path& file : files) read(file);
}

void Qrels::read(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const std::string_view text = utf8_text(mapped.text(), file);
  int64_t judgements = 0;
  for (std::size_t begin = 0, line = 1; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    add(text.substr(begin, end - begin), fmt::format("{}:{}", file.string(), line));
    begin = end + 1;
    ++judgements;
  }
  TRIREME_CHECK(judgements > 0, DataError, file.string(),
                "a qrels file must hold at least one judgement; got an empty file; check the path.");
}

void Qrels::add(std::string_view line, const std::string& where) {
  const auto columns = columns_of(line);
  TRIREME_CHECK(columns.size() == 4 || columns.size() == 5, DataError, where,
                "a line must read \"qid 0 did relevance\", with a task id after it in M-BEIR; got {} columns; correct "
                "the line.",
                columns.size());
  JudgedDocument judgement{std::string(columns[2]), integer(columns[3], "relevance", where)};
  std::optional<int64_t> task;
  if (columns.size() == 5) {
    task = integer(columns[4], "the task id", where);
    candidate_modality_of_task(*task, where);
  }
  const auto [entry, added] = by_query_.try_emplace(std::string(columns[0]));
  Query& query = entry->second;
  if (added) {
    queries_.push_back(entry->first);
    query.task = task;
    query.where = where;
  }
  if (const auto before = query.relevance_of(judgement.did)) {
    TRIREME_CHECK(*before == judgement.relevance, DataError, where,
                  "a document must have one relevance for a query; got {} and {} for {} and {}; remove one line.",
                  *before, judgement.relevance, entry->first, judgement.did);
    return;
  }
  query.add(std::move(judgement));
}

std::optional<int64_t> Qrels::Query::relevance_of(const std::string& did) const {
  if (!relevance.empty()) {
    const auto found = relevance.find(did);
    return found == relevance.end() ? std::nullopt : std::optional(found->second);
  }
  for (const auto* list : {&relevant, &others})
    for (const JudgedDocument& judged : *list)
      if (judged.did == did) return judged.relevance;
  return std::nullopt;
}

void Qrels::Query::add(JudgedDocument judgement) {
  constexpr std::size_t kScanned = 16;  // most queries have fewer, and need no table
  if (!relevance.empty()) relevance.emplace(judgement.did, judgement.relevance);
  (judgement.relevance > 0 ? relevant : others).push_back(std::move(judgement));
  if (relevance.empty() && relevant.size() + others.size() > kScanned)
    for (const auto* list : {&relevant, &others})
      for (const JudgedDocument& judged : *list) relevance.emplace(judged.did, judged.relevance);
}

std::span<const JudgedDocument> Qrels::relevant(std::string_view qid) const {
  const auto found = by_query_.find(std::string(qid));
  if (found == by_query_.end()) return {};
  return found->second.relevant;
}

std::optional<int64_t> Qrels::task(std::string_view qid) const {
  const auto found = by_query_.find(std::string(qid));
  return found == by_query_.end() ? std::nullopt : found->second.task;
}

MissingJudgements Qrels::check_pool(const std::function<bool(std::string_view)>& pool_has, std::string_view pool_name,
                                    bool allowed) const {
  MissingJudgements missing;
  for (const std::string& qid : queries_) {
    const Query& query = by_query_.at(qid);
    int64_t absent = 0;
    for (const JudgedDocument& judgement : query.relevant) {
      if (pool_has(judgement.did)) continue;
      TRIREME_CHECK(allowed, DataError, query.where,
                    "a relevant document must be in the candidate pool {}; got {} of query {}, which is not; take the "
                    "pool of the same task, or allow missing documents.",
                    pool_name, judgement.did, qid);
      ++absent;
    }
    missing.judgements += absent;
    missing.queries += absent > 0;
    missing.unreachable += absent > 0 && absent == std::ssize(query.relevant);
  }
  return missing;
}

}  // namespace trireme
