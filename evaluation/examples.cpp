#include "evaluation/examples.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_set>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/file.h"
#include "data/sources/json_line.h"
#include "retrieval/report/thumbnail.h"

namespace trireme {

void GalleryConfig::describe(FieldList& v) {
  v.field("misses", misses, "Queries shown whose answer is not among the first, worst first.").between(0, 1000);
  v.field("hits", hits, "Queries shown whose answer is first or near it.").between(0, 1000);
  v.field("shown", shown, "Candidates shown of each query.").between(1, 10);
  v.field("thumbnail_pixels", thumbnail_pixels, "Longest side of a picture.").between(16, 512);
}
static_assert(field_count<GalleryConfig>() == 4, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCaptionBytes = 240;
constexpr std::size_t kNoticeBytes = 20'000;

/// At most `bytes` of UTF-8 text, cut between characters.
std::string cut(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes) + "…";
}

/// How a query fared: what the choice of examples goes by.
struct Outcome {
  int64_t query = 0;
  int64_t rank = 0;  ///< of the first relevant candidate, from 1; 0 = not among those kept
  float first_score = 0;
};

std::vector<Outcome> outcomes_of(const EvalSearch& search, const EvalFile& pool, const Neighbours& found) {
  const auto rows = found.rows.accessor<int64_t, 2>();
  const auto scores = found.scores.accessor<float, 2>();
  std::vector<Outcome> outcomes;
  for (int64_t query = 0; query < rows.size(0); ++query) {
    std::unordered_set<std::string_view> relevant;
    for (const RelevantDocument& document : search.relevant[static_cast<std::size_t>(query)])
      relevant.insert(document.did);
    Outcome outcome{query, 0, scores[query][0]};
    const int64_t length = list_length(found.scores, query);
    for (int64_t i = 0; i < length && outcome.rank == 0; ++i) {
      if (relevant.contains(pool.ids[rows[query][i]])) outcome.rank = i + 1;
    }
    outcomes.push_back(outcome);
  }
  return outcomes;
}

/// Worst first.
bool is_worse(const Outcome& a, const Outcome& b) {
  if ((a.rank == 0) != (b.rank == 0)) return a.rank == 0;
  if (a.rank != b.rank) return a.rank > b.rank;
  return a.first_score > b.first_score;
}

}  // namespace

GalleryBuilder::GalleryBuilder(const EvalSet& set, GalleryConfig config, int64_t depth) : set_(set), config_(config) {
  gallery_.depth = depth;
  const fs::path notice = set.benchmark().root / "NOTICE";
  if (fs::is_regular_file(notice)) gallery_.notice = cut(read_text_file(notice), kNoticeBytes);
}

void GalleryBuilder::add(const EvalSearch& search, const Neighbours& found) {
  if (search.scope != PoolScope::kLocal || config_.misses + config_.hits == 0) return;
  std::vector<Outcome> misses, hits;
  for (const Outcome& outcome : outcomes_of(search, *set_.files()[search.pool], found)) {
    const bool is_hit = outcome.rank > 0 && outcome.rank <= config_.shown;
    (is_hit ? hits : misses).push_back(outcome);
  }
  std::stable_sort(misses.begin(), misses.end(), is_worse);
  std::stable_sort(hits.begin(), hits.end(), [](const Outcome& a, const Outcome& b) { return is_worse(b, a); });
  misses.resize(std::min(misses.size(), static_cast<std::size_t>(config_.misses)));
  hits.resize(std::min(hits.size(), static_cast<std::size_t>(config_.hits)));

  const EvalTask& task = set_.benchmark().tasks[search.task].task;
  GalleryTask shown{task.id, task.label, search.instruction};
  for (const auto* list : {&misses, &hits}) {
    for (const Outcome& outcome : *list) shown.cases.push_back(case_of(search, found, outcome.query, outcome.rank));
  }
  gallery_.tasks.push_back(std::move(shown));
}

GalleryCase GalleryBuilder::case_of(const EvalSearch& search, const Neighbours& found, int64_t query, int64_t rank) {
  const EvalFile& pool = *set_.files()[search.pool];
  const auto& relevant = search.relevant[static_cast<std::size_t>(query)];
  GalleryCase example{item_of(search.queries, query), rank};
  const auto rows = found.rows.accessor<int64_t, 2>();
  const auto scores = found.scores.accessor<float, 2>();
  const int64_t shown = std::min(config_.shown, list_length(found.scores, query));
  for (int64_t i = 0; i < shown; ++i) {
    GalleryItem item = item_of(search.pool, rows[query][i]);
    const bool is_relevant =
        std::any_of(relevant.begin(), relevant.end(), [&](const auto& document) { return document.did == item.id; });
    // Four digits, as shown: the last bits of an embedding may differ between numbers of ranks.
    example.top.push_back({std::move(item), std::round(double{scores[query][i]} * 1e4) / 1e4, is_relevant});
  }
  if (rank > 0 && rank <= config_.shown) return example;
  for (const RelevantDocument& document : relevant) {
    const auto row = rank > 0 ? std::optional(rows[query][rank - 1]) : pool.ids.find(document.did);
    if (!row) continue;
    example.wanted = item_of(search.pool, *row);
    break;
  }
  return example;
}

GalleryItem GalleryBuilder::item_of(std::size_t file, int64_t row) {
  const RecordFile& records = set_.files()[file]->records;
  const std::string where = records.where(row);
  const Record record = records.read(row);
  const auto object = parse_json_line(records.line(row), where);
  const std::string text = text_or_empty(object, object["query_txt"].error() ? "txt" : "query_txt", where);
  GalleryItem item{record.id, cut(text, kCaptionBytes)};
  if (!record.image.empty()) item.picture = image_of(record.image, where);
  return item;
}

int64_t GalleryBuilder::image_of(const std::string& image, const std::string& where) {
  const auto [known, is_new] = pictures_.try_emplace(image, std::ssize(gallery_.pictures));
  if (is_new) {
    const fs::path path = resolve_image(set_.benchmark().image_root, image, where);
    gallery_.pictures.push_back(thumbnail_base64(path, config_.thumbnail_pixels));
  }
  return known->second;
}

}  // namespace trireme
