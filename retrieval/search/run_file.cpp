#include "retrieval/search/run_file.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/error.h"
#include "core/io/hdf5.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "retrieval/search/search.h"

namespace trireme {
namespace {

constexpr const char* kQueryId = "query_id";
constexpr const char* kDocId = "doc_id";
constexpr const char* kScore = "score";
constexpr std::string_view kFormat = "run";
constexpr int64_t kVersion = 2;  // 1 has no fingerprints

struct Shape {
  int64_t queries, depth;
};

Shape check_shapes(const Hdf5Reader& file) {
  const std::vector<int64_t> queries = file.shape(kQueryId), docs = file.shape(kDocId), scores = file.shape(kScore);
  TRIREME_CHECK(scores.size() == 2 && file.dtype(kScore) == torch::kFloat32, DataError, "run",
                "{}: /score must be [Q, K] float32; got {} {}; check that it is the right file.",
                quote_path(file.path()), shape_string(scores),
                file.dtype(kScore) ? dtype_name(*file.dtype(kScore)) : "strings");
  TRIREME_CHECK(!file.dtype(kQueryId) && queries == std::vector{scores[0]}, DataError, "run",
                "{}: /query_id must be [{}] strings, one per row of /score; got {} {}; make the file again.",
                quote_path(file.path()), scores[0], shape_string(queries),
                file.dtype(kQueryId) ? "numbers" : "strings");
  TRIREME_CHECK(!file.dtype(kDocId) && docs == scores, DataError, "run",
                "{}: /doc_id must be {} strings, one per score; got {} {}; make the file again.",
                quote_path(file.path()), shape_string(scores), shape_string(docs),
                file.dtype(kDocId) ? "numbers" : "strings");
  return {scores[0], scores[1]};
}

/// The first value twice in a list; nullptr when all differ.
const std::string* repeated(std::span<const std::string> values) {
  std::unordered_set<std::string_view> seen;
  for (const std::string& value : values)
    if (!seen.insert(value).second) return &value;
  return nullptr;
}

void check_contents(const Run& run, const std::filesystem::path& path) {
  const std::string* twice = repeated(run.query_ids);
  TRIREME_CHECK(twice == nullptr, DataError, "run", "{}: a query must have one list; got two for {}; make it again.",
                quote_path(path), quote_text(*twice));
  const float* const scores = run.scores.const_data_ptr<float>();
  for (int64_t q = 0; q < run.queries(); ++q) {
    const float* const row = scores + q * run.depth();
    const int64_t length = list_length(run.scores, q);
    bool ordered = length > 0 || run.depth() == 0;
    for (int64_t i = 0; i < length; ++i) ordered &= std::isfinite(row[i]) && (i == 0 || row[i] <= row[i - 1]);
    TRIREME_CHECK(ordered, DataError, "run",
                  "{}: scores must be finite and fall along each list; got others for query {}; make the file again.",
                  quote_path(path), quote_text(run.query_ids[static_cast<std::size_t>(q)]));
    const auto rest = std::span(run.doc_ids)
                          .subspan(static_cast<std::size_t>(q * run.depth() + length),
                                   static_cast<std::size_t>(run.depth() - length));
    TRIREME_CHECK(std::all_of(rest.begin(), rest.end(), [](const std::string& id) { return id.empty(); }), DataError,
                  "run", "{}: no document must have the score -inf; got one for query {}; make the file again.",
                  quote_path(path), quote_text(run.query_ids[static_cast<std::size_t>(q)]));
    twice = repeated(run.docs_of(q));
    TRIREME_CHECK(twice == nullptr, DataError, "run",
                  "{}: a document must be once in a list; got {} twice for query {}; make the file again.",
                  quote_path(path), quote_text(*twice), quote_text(run.query_ids[static_cast<std::size_t>(q)]));
  }
}

}  // namespace

std::span<const std::string> Run::docs_of(int64_t query) const {
  return std::span(doc_ids).subspan(static_cast<std::size_t>(query * depth()),
                                    static_cast<std::size_t>(list_length(scores, query)));
}

struct RunWriter::State {
  State(const std::filesystem::path& path, int64_t query_count, int64_t list_depth)
      : file(path), queries(query_count), depth(list_depth) {}
  Hdf5Writer file;
  int64_t queries, depth, written = 0;
};

RunWriter::RunWriter(const std::filesystem::path& path, int64_t queries, int64_t depth)
    : state_(std::make_unique<State>(path, queries, depth)) {
  state_->file.create_strings(kQueryId, {queries});
  state_->file.create_strings(kDocId, {queries, depth});
  state_->file.create(kScore, torch::kFloat32, {queries, depth});
}
RunWriter::RunWriter(RunWriter&&) noexcept = default;
RunWriter::~RunWriter() = default;

void RunWriter::write(std::span<const std::string> query_ids, std::span<const std::string> doc_ids,
                      const torch::Tensor& scores) {
  const int64_t count = std::ssize(query_ids);
  TRIREME_ASSERT(std::ssize(doc_ids) == count * state_->depth &&
                     scores.sizes() == c10::IntArrayRef({count, state_->depth}) &&
                     state_->written + count <= state_->queries,
                 "{} queries, {} documents, scores {}", count, doc_ids.size(), shape_string(scores));
  state_->file.write_strings(kQueryId, state_->written, query_ids);
  state_->file.write_strings(kDocId, state_->written, doc_ids);
  state_->file.write(kScore, state_->written, scores);
  state_->written += count;
}

Hdf5Writer& RunWriter::file() { return state_->file; }

void RunWriter::commit(const RunInfo& info) {
  TRIREME_ASSERT(state_->written == state_->queries, "{} of {} lists are written", state_->written, state_->queries);
  state_->file.set_format({std::string(kFormat), kVersion, info.config_sha256});
  state_->file.set_attribute("method", info.method);
  state_->file.set_attribute("model", info.model);
  state_->file.set_attribute("model_sha256", info.model_sha256);
  state_->file.set_attribute("adapter_sha256", info.adapter_sha256);
  state_->file.set_attribute("candidates", info.candidates);
  state_->file.set_attribute("fingerprint", info.fingerprint.json());
  state_->file.set_attribute("query_fingerprint", info.query_fingerprint.json());
  state_->file.commit();
}

void write_run(const std::filesystem::path& path, const Run& run) {
  RunWriter writer(path, run.queries(), run.depth());
  writer.write(run.query_ids, run.doc_ids, run.scores);
  writer.commit(run.info);
}

Run read_run(const std::filesystem::path& path) {
  const Hdf5Reader file(path);
  const Hdf5Format format = file.require_format(kFormat, kVersion);
  const Shape shape = check_shapes(file);
  Run run;
  run.info = {.method = file.string_attribute("method"),
              .model = file.string_attribute("model"),
              .model_sha256 = file.string_attribute("model_sha256"),
              .adapter_sha256 = file.string_attribute("adapter_sha256"),
              .config_sha256 = format.config_sha256,
              .candidates = file.int_attribute("candidates")};
  if (format.version >= 2) {
    run.info.fingerprint = Fingerprint::from_json(file.string_attribute("fingerprint"), quote_path(path));
    run.info.query_fingerprint = Fingerprint::from_json(file.string_attribute("query_fingerprint"), quote_path(path));
  }
  run.query_ids = file.read_strings(kQueryId, 0, shape.queries);
  run.doc_ids = file.read_strings(kDocId, 0, shape.queries);
  run.scores = file.read(kScore, 0, shape.queries);
  check_contents(run, path);
  return run;
}

}  // namespace trireme
