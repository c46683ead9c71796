#include "data/sources/hard_negatives_file.h"

#include <cmath>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <ATen/ops/from_blob.h>

#include "core/error.h"
#include "core/io/hdf5.h"
#include "core/io/quote.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr const char* kQueryId = "query_id";
constexpr const char* kDocOffset = "doc_offset";
constexpr const char* kDocId = "doc_id";
constexpr const char* kScore = "score";
constexpr const char* kGold = "gold";
constexpr const char* kGoldOffset = "gold_offset";
constexpr const char* kGoldId = "gold_id";
constexpr const char* kGoldScore = "gold_score";
constexpr std::string_view kFormat = "hard_negatives";
constexpr int64_t kHardNegativesVersion = 2;  // 1 has no fingerprint

/// The counts and their attributes.
struct Count {
  const char* attribute;
  int64_t MiningCounts::*value;
};
constexpr Count kCounts[] = {{"dropped_by_rank_window", &MiningCounts::rank_window},
                             {"dropped_by_absolute_margin", &MiningCounts::absolute_margin},
                             {"dropped_by_relative_margin", &MiningCounts::relative_margin},
                             {"dropped_as_near_duplicate", &MiningCounts::near_duplicate},
                             {"dropped_as_known_positive", &MiningCounts::known_positive},
                             {"dropped_by_balance", &MiningCounts::balance},
                             {"emptied_queries_dropped", &MiningCounts::emptied_dropped},
                             {"emptied_queries_unfiltered", &MiningCounts::emptied_unfiltered},
                             {"gold_missing_from_pool", &MiningCounts::missing_positives},
                             {"goldless_queries_dropped", &MiningCounts::queries_without_positives}};
static_assert(sizeof(MiningCounts) == std::size(kCounts) * sizeof(int64_t), "every count has an attribute");

void write_info(Hdf5Writer& file, const HardNegativesInfo& info) {
  file.set_format({std::string(kFormat), kHardNegativesVersion, info.config_sha256});
  file.set_attribute("model", info.model);
  file.set_attribute("model_sha256", info.model_sha256);
  file.set_attribute("adapter_sha256", info.adapter_sha256);
  file.set_attribute("rope_mode", info.rope_mode);
  file.set_attribute("corpus", info.corpus);
  file.set_attribute("corpus_sha256", info.corpus_sha256);
  file.set_attribute("filters", info.filters);
  file.set_attribute("fingerprint", info.fingerprint.json());
  file.set_attribute("depth", info.depth);
  file.set_attribute("document_prior_accuracy", info.prior.accuracy);
  file.set_attribute("document_prior_nats", info.prior.nats);
  for (const Count& count : kCounts) file.set_attribute(count.attribute, info.counts.*count.value);
}

HardNegativesInfo read_info(const Hdf5Reader& file) {
  const Hdf5Format format = file.require_format(kFormat, kHardNegativesVersion);
  HardNegativesInfo info{
      .model = file.string_attribute("model"),
      .model_sha256 = file.string_attribute("model_sha256"),
      .adapter_sha256 = file.string_attribute("adapter_sha256"),
      .rope_mode = file.string_attribute("rope_mode"),
      .corpus = file.string_attribute("corpus"),
      .corpus_sha256 = file.string_attribute("corpus_sha256"),
      .filters = file.string_attribute("filters"),
      .config_sha256 = format.config_sha256,
      .depth = file.int_attribute("depth"),
      .counts = {},
      .prior = {file.double_attribute("document_prior_accuracy"), file.double_attribute("document_prior_nats")}};
  for (const Count& count : kCounts) info.counts.*count.value = file.int_attribute(count.attribute);
  if (format.version >= 2)
    info.fingerprint = Fingerprint::from_json(file.string_attribute("fingerprint"), quote_path(file.path()));
  return info;
}

/// Writes values as rows of a growing dataset.
template <class T>
void append(Hdf5Writer& file, const char* name, int64_t first_row, std::vector<T>& values) {
  const auto rows = static_cast<int64_t>(values.size());
  file.write(name, first_row, at::from_blob(values.data(), {rows}, c10::CppTypeToScalarType<T>::value));
}

int64_t strings_in(const Hdf5Reader& file, const char* name) {
  const std::vector<int64_t> shape = file.shape(name);
  TRIREME_CHECK(shape.size() == 1 && !file.dtype(name), DataError, "hard negatives",
                "{}: /{} must be a list of strings; got {} {}; check that it is the right file.",
                quote_path(file.path()), name, shape_string(shape), file.dtype(name) ? "numbers" : "strings");
  return shape[0];
}

void require_numbers(const Hdf5Reader& file, const char* name, c10::ScalarType dtype, int64_t rows) {
  const std::vector<int64_t> shape = file.shape(name);
  const std::optional<c10::ScalarType> stored = file.dtype(name);
  TRIREME_CHECK(stored == dtype && shape == std::vector{rows}, DataError, "hard negatives",
                "{}: /{} must be [{}] {}; got {} {}; mine again.", quote_path(file.path()), name, rows,
                dtype_name(dtype), shape_string(shape), stored ? dtype_name(*stored) : "strings");
}

/// [lists + 1], from 0 to `rows`, never falling.
std::vector<int64_t> read_offsets(const Hdf5Reader& file, const char* name, int64_t lists, int64_t rows) {
  require_numbers(file, name, torch::kInt64, lists + 1);
  const torch::Tensor table = file.read(name, 0, lists + 1);
  const auto* const values = table.const_data_ptr<int64_t>();
  std::vector<int64_t> offsets(values, values + lists + 1);
  bool ordered = offsets.front() == 0 && offsets.back() == rows;
  for (std::size_t i = 1; i < offsets.size(); ++i) ordered &= offsets[i - 1] <= offsets[i];
  TRIREME_CHECK(ordered, DataError, "hard negatives",
                "{}: /{} must rise from 0 to the {} rows that it divides; got other values; mine again.",
                quote_path(file.path()), name, rows);
  return offsets;
}

/// The first id that two entries share; nullptr when all differ.
template <class T>
const std::string* repeated(const std::vector<T>& entries) {
  std::unordered_set<std::string_view> seen;
  for (const T& entry : entries)
    if (!seen.insert(entry.id).second) return &entry.id;
  return nullptr;
}

void check_query(const MinedQuery& query, const std::filesystem::path& path) {
  bool ordered = true;
  for (std::size_t i = 0; i < query.documents.size(); ++i)
    ordered &=
        std::isfinite(query.documents[i].score) && (i == 0 || query.documents[i].score <= query.documents[i - 1].score);
  for (const ScoredPositive& positive : query.positives) ordered &= std::isfinite(positive.score);
  TRIREME_CHECK(ordered, DataError, "hard negatives",
                "{}: scores must be finite and fall along each list; got others for query {}; mine again.",
                quote_path(path), quote_text(query.id));
  const std::string* twice = repeated(query.documents);
  if (twice == nullptr) twice = repeated(query.positives);
  TRIREME_CHECK(twice == nullptr, DataError, "hard negatives",
                "{}: a document must be once in a list; got {} twice for query {}; mine again.", quote_path(path),
                quote_text(*twice), quote_text(query.id));
  std::unordered_set<std::string_view> positives;
  for (const ScoredPositive& each : query.positives) positives.insert(each.id);
  for (const MinedDocument& each : query.documents)
    TRIREME_CHECK(each.positive == positives.contains(each.id), DataError, "hard negatives",
                  "{}: /gold must mark the documents of /gold_id; got {} for document {} of query {}; mine again.",
                  quote_path(path), int{each.positive}, quote_text(each.id), quote_text(query.id));
}

}  // namespace

MiningCounts& MiningCounts::operator+=(const MiningCounts& other) {
  for (const Count& count : kCounts) this->*count.value += other.*count.value;
  return *this;
}

struct HardNegativesWriter::State {
  explicit State(const std::filesystem::path& path) : file(path) {}
  Hdf5Writer file;
  int64_t queries = 0, documents = 0, positives = 0;
};

std::string in_words(const DocumentPrior& prior) {
  return fmt::format("a document alone, without its query, tells gold from negative in {:.1f} % ({:.3f} nats of 0.693)",
                     100 * prior.accuracy, prior.nats);
}

HardNegativesWriter::HardNegativesWriter(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {
  Hdf5Writer& file = state_->file;
  for (const char* name : {kQueryId, kDocId, kGoldId}) file.create_strings(name, {kGrowingRows});
  for (const char* name : {kDocOffset, kGoldOffset}) file.create(name, torch::kInt64, {kGrowingRows});
  for (const char* name : {kScore, kGoldScore}) file.create(name, torch::kFloat32, {kGrowingRows});
  file.create(kGold, torch::kInt32, {kGrowingRows});
  std::vector<int64_t> zero{0};
  for (const char* name : {kDocOffset, kGoldOffset}) append(file, name, 0, zero);
}

HardNegativesWriter::HardNegativesWriter(HardNegativesWriter&&) noexcept = default;
HardNegativesWriter::~HardNegativesWriter() = default;

void HardNegativesWriter::write(std::span<const MinedQuery> queries) {
  if (queries.empty()) return;
  State& state = *state_;
  std::vector<std::string> query_ids, doc_ids, positive_ids;
  std::vector<int64_t> doc_offsets, positive_offsets;
  std::vector<float> scores, positive_scores;
  std::vector<int32_t> marks;
  for (const MinedQuery& query : queries) {
    TRIREME_ASSERT(!query.positives.empty(), "query {} has no gold", quote_text(query.id));
    query_ids.push_back(query.id);
    for (const MinedDocument& document : query.documents) {
      doc_ids.push_back(document.id);
      scores.push_back(document.score);
      marks.push_back(int32_t{document.positive});
    }
    for (const ScoredPositive& document : query.positives) {
      positive_ids.push_back(document.id);
      positive_scores.push_back(document.score);
    }
    doc_offsets.push_back(state.documents + std::ssize(doc_ids));
    positive_offsets.push_back(state.positives + std::ssize(positive_ids));
  }
  state.file.write_strings(kQueryId, state.queries, query_ids);
  append(state.file, kDocOffset, state.queries + 1, doc_offsets);
  append(state.file, kGoldOffset, state.queries + 1, positive_offsets);
  state.file.write_strings(kDocId, state.documents, doc_ids);
  append(state.file, kScore, state.documents, scores);
  append(state.file, kGold, state.documents, marks);
  state.file.write_strings(kGoldId, state.positives, positive_ids);
  append(state.file, kGoldScore, state.positives, positive_scores);
  state.queries += std::ssize(queries);
  state.documents = doc_offsets.back();
  state.positives = positive_offsets.back();
}

void HardNegativesWriter::commit(const HardNegativesInfo& info) {
  write_info(state_->file, info);
  state_->file.commit();
}

struct HardNegativesFile::State {
  explicit State(const std::filesystem::path& path) : file(path), info(read_info(file)) {
    const int64_t queries = strings_in(file, kQueryId), documents = strings_in(file, kDocId);
    const int64_t positive_documents = strings_in(file, kGoldId);
    require_numbers(file, kScore, torch::kFloat32, documents);
    require_numbers(file, kGold, torch::kInt32, documents);
    require_numbers(file, kGoldScore, torch::kFloat32, positive_documents);
    doc_offsets = read_offsets(file, kDocOffset, queries, documents);
    positive_offsets = read_offsets(file, kGoldOffset, queries, positive_documents);
    query_ids = file.read_strings(kQueryId, 0, queries);
    place.reserve(query_ids.size());
    for (int64_t query = 0; query < queries; ++query)
      TRIREME_CHECK(place.emplace(query_ids[static_cast<std::size_t>(query)], query).second, DataError,
                    "hard negatives", "{}: a query must have one list; got two for {}; mine again.", quote_path(path),
                    quote_text(query_ids[static_cast<std::size_t>(query)]));
  }

  Hdf5Reader file;
  std::mutex mutex;  ///< of `file`
  HardNegativesInfo info;
  std::vector<int64_t> doc_offsets, positive_offsets;  ///< [Q + 1]
  std::vector<std::string> query_ids;
  std::unordered_map<std::string_view, int64_t> place;  ///< keys are views of query_ids
};

HardNegativesFile::HardNegativesFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
HardNegativesFile::HardNegativesFile(HardNegativesFile&&) noexcept = default;
HardNegativesFile::~HardNegativesFile() = default;

HardNegativesFile HardNegativesFile::open(const std::filesystem::path& path) {
  return HardNegativesFile(std::make_unique<State>(path));
}

const HardNegativesInfo& HardNegativesFile::info() const noexcept { return state_->info; }
int64_t HardNegativesFile::queries() const noexcept { return std::ssize(state_->query_ids); }

std::optional<int64_t> HardNegativesFile::find(std::string_view query_id) const {
  const auto found = state_->place.find(query_id);
  return found == state_->place.end() ? std::nullopt : std::optional(found->second);
}

MinedQuery HardNegativesFile::read(int64_t query) const { return std::move(read(query, 1).front()); }

std::vector<MinedQuery> HardNegativesFile::read(int64_t first_query, int64_t count) const {
  State& state = *state_;
  TRIREME_ASSERT(first_query >= 0 && count >= 0 && first_query <= queries() - count, "queries [{}, {}) of {}",
                 first_query, first_query + count, queries());
  const auto first = static_cast<std::size_t>(first_query), end = static_cast<std::size_t>(first_query + count);
  const int64_t first_doc = state.doc_offsets[first], docs = state.doc_offsets[end] - first_doc;
  const int64_t first_positive = state.positive_offsets[first],
                positives = state.positive_offsets[end] - first_positive;
  std::unique_lock lock(state.mutex);
  std::vector<std::string> doc_ids = state.file.read_strings(kDocId, first_doc, docs);
  std::vector<std::string> positive_ids = state.file.read_strings(kGoldId, first_positive, positives);
  const torch::Tensor scores = state.file.read(kScore, first_doc, docs);
  const torch::Tensor marks = state.file.read(kGold, first_doc, docs);
  const torch::Tensor positive_scores = state.file.read(kGoldScore, first_positive, positives);
  lock.unlock();

  std::vector<MinedQuery> result;
  result.reserve(static_cast<std::size_t>(count));
  for (std::size_t query = first; query < end; ++query) {
    MinedQuery& mined = result.emplace_back();
    mined.id = state.query_ids[query];
    for (int64_t i = state.doc_offsets[query] - first_doc; i < state.doc_offsets[query + 1] - first_doc; ++i)
      mined.documents.push_back({std::move(doc_ids[static_cast<std::size_t>(i)]), scores.const_data_ptr<float>()[i],
                                 marks.const_data_ptr<int32_t>()[i] != 0});
    for (int64_t i = state.positive_offsets[query] - first_positive;
         i < state.positive_offsets[query + 1] - first_positive; ++i)
      mined.positives.push_back(
          {std::move(positive_ids[static_cast<std::size_t>(i)]), positive_scores.const_data_ptr<float>()[i]});
    check_query(mined, state.file.path());
  }
  return result;
}

}  // namespace trireme
