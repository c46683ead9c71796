#include "retrieval/search/search_files.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include <ATen/ops/tensor.h>

#include "core/config/choice.h"
#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/io/file_stamp.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/rng.h"
#include "core/shape.h"
#include "retrieval/search/blocks.h"

namespace trireme {

void SearchFilesOptions::describe(FieldList& v) {
  v.field("queries", queries, "Embeddings file of the queries.").required().no_effect_on_values();
  v.field("corpus", corpus, "Embeddings file to search in.").required().no_effect_on_values();
  v.field("out", out, "Run file (HDF5) to write; replaced only on success.").required().no_effect_on_values();
  v.field("trec", trec, "The run in TREC's text form too.").no_effect_on_values();
  v.field("tag", tag, "Last column of that form.").no_effect_on_values();
  v.field("k", k, "Documents of each query.").at_least(1);
  v.field("index", index, "Exact search, or an approximate index.");
  v.field("index_file", index_file, "HNSW index to use; built and written when there is none.").no_effect_on_values();
  v.field("exclude_same_id", exclude_same_id, "Never give a query the document that has its id.");
  v.field("recall_queries", recall_queries, "Queries that recall against exact search is measured on; 0: none.")
      .at_least(0)
      .no_effect_on_values();
  v.field("hnsw", hnsw, "The approximate index.");
  v.field("exact", exact, "How exact search works.");
  v.field("may_differ", may_differ,
          "What queries and corpus may differ in, as system_prompt where a model wants another one for queries.")
      .no_effect_on_values();
}
static_assert(field_count<SearchFilesOptions>() == 13, "describe() must list every field");
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhere = "search";

IdTable ids_of(const fs::path& path, const EmbeddingsReader& file) {
  return {file.rows(), [&](int64_t first, int64_t count) { return file.read_ids(first, count); }, path.string()};
}

/// A corpus, hashed as it is read: what tells it from another, as far as an index of it goes, is ids and every vector.
class HashedCorpus : public VectorSource {
 public:
  HashedCorpus(const EmbeddingsReader& file, const IdTable& ids) : source_(file) {
    hash_.add(fmt::format("{} {} {}\n", file.rows(), file.dim(), dtype_name(file.dtype())));
    for (int64_t row = 0; row < ids.rows(); ++row) {
      hash_.add(ids[row]);
      hash_.add(std::string_view("\0", 1));
    }
  }
  int64_t rows() const override { return source_.rows(); }
  int64_t dim() const override { return source_.dim(); }
  bool claims_unit_length() const override { return source_.claims_unit_length(); }
  /// Every row once, in order.
  torch::Tensor read(int64_t first_row, int64_t count) const override {
    TRIREME_ASSERT(first_row == hashed_, "row {} after {}", first_row, hashed_);
    torch::Tensor rows = source_.read(first_row, count).contiguous();
    hash_.add(std::span(static_cast<const std::byte*>(rows.const_data_ptr()), rows.nbytes()));
    hashed_ += count;
    return rows;
  }
  /// Once. Reads what was not read yet.
  std::string sha256() {
    constexpr int64_t kRowsAtOnce = 4096;
    while (hashed_ < rows()) read(hashed_, std::min(kRowsAtOnce, rows() - hashed_));
    return hash_.hex();
  }

 private:
  EmbeddingsSource source_;
  mutable Sha256 hash_;
  mutable int64_t hashed_ = 0;
};

/// throws DataError: `indexed` is of other ids or vectors than the corpus; names what differs, as far as that is known.
void require_indexed(const IndexedCorpus& indexed, const fs::path& index, const EmbeddingsReader& corpus,
                     const fs::path& corpus_path, const IdTable& ids) {
  if (indexed.stamp == file_stamp(corpus_path)) return;
  if (HashedCorpus(corpus, ids).sha256() == indexed.sha256) return;
  const Fingerprint& now = corpus.info().fingerprint;
  const auto parts = differing_parts(indexed.fingerprint, now, all_fingerprint_parts());
  throw DataError(
      kWhere,
      fmt::format("{} must be an index of this corpus, {}; got one of another: {}; build it again: remove it and "
                  "its .json.",
                  quote_path(index), quote_path(corpus_path),
                  parts.empty() ? "vectors or ids differ" : difference_of(indexed.fingerprint, now, parts)));
}

ExcludedRows same_ids(const IdTable& queries, const IdTable& corpus) {
  ExcludedRows excluded(static_cast<std::size_t>(queries.rows()));
  for (int64_t q = 0; q < queries.rows(); ++q)
    if (const auto row = corpus.find(queries[q])) excluded[static_cast<std::size_t>(q)].push_back(*row);
  return excluded;
}

int64_t most_excluded_of(const ExcludedRows& excluded) {
  int64_t most = 0;
  for (const auto& list : excluded) most = std::max(most, std::ssize(list));
  return most;
}

/// Both files, checked against each other before anything large is read.
struct Inputs {
  explicit Inputs(const SearchFilesOptions& options) : queries(options.queries), corpus(options.corpus) {
    warning = require_comparable(options.queries, queries, options.corpus, corpus, options.may_differ);
    TRIREME_CHECK(queries.rows() > 0, DataError, kWhere, "{} must hold queries; got none; embed some.",
                  quote_path(options.queries));
    TRIREME_CHECK(options.k <= corpus.rows(), ConfigError, kWhere,
                  "k must be at most the corpus size; got k = {} and {} rows; lower --k.", options.k, corpus.rows());
    query_ids.emplace(ids_of(options.queries, queries));
    corpus_ids.emplace(ids_of(options.corpus, corpus));
    if (options.exclude_same_id) excluded = same_ids(*query_ids, *corpus_ids);
    const int64_t most_excluded = most_excluded_of(excluded);
    TRIREME_CHECK(
        options.k <= corpus.rows() - most_excluded, ConfigError, kWhere,
        "k must be at most the corpus size less the rows excluded; got k = {} and {} rows, {} excluded; lower --k.",
        options.k, corpus.rows(), most_excluded);
    query_vectors = queries.read(0, queries.rows()).to(torch::kFloat32);
    checked_norms(query_vectors, queries.info().normalized, [&](int64_t row) {
      return fmt::format("id {} (row {} of {})", quote_text((*query_ids)[row]), row, quote_path(options.queries));
    });
  }
  EmbeddingsReader queries, corpus;
  std::string warning;
  std::optional<IdTable> query_ids, corpus_ids;
  ExcludedRows excluded;
  torch::Tensor query_vectors;
};

std::function<void(int64_t, int64_t)> progress_of(const SearchProgress& progress, std::string_view phase) {
  if (!progress) return {};
  return [&progress, phase](int64_t done, int64_t of) { progress(phase, done, of); };
}

/// Recall of the neighbours that an index found, on queries drawn by a fixed stream.
double measured_recall(const SearchFilesOptions& options, const Inputs& inputs, const Neighbours& found,
                       Communicator& communicator, const SearchProgress& progress) {
  std::vector<int64_t> sample(static_cast<std::size_t>(inputs.queries.rows()));
  std::iota(sample.begin(), sample.end(), int64_t{0});
  random_stream(0, "search.recall").shuffle(std::span(sample));
  sample.resize(static_cast<std::size_t>(std::min(options.recall_queries, inputs.queries.rows())));
  ExcludedRows excluded;
  if (!inputs.excluded.empty())
    for (const int64_t q : sample) excluded.push_back(inputs.excluded[static_cast<std::size_t>(q)]);
  const torch::Tensor index = at::tensor(sample, torch::kInt64);
  const Neighbours exact =
      search(inputs.query_vectors.index_select(0, index), EmbeddingsSource(inputs.corpus), *inputs.corpus_ids,
             options.k, options.exact, communicator, excluded, progress_of(progress, "recall"));
  return recall_of({found.rows.index_select(0, index), found.scores.index_select(0, index)}, exact);
}

Neighbours search_approximately(const SearchFilesOptions& options, const Inputs& inputs, Communicator& communicator,
                                const SearchProgress& progress, SearchReport& report) {
  TRIREME_CHECK(communicator.size() == 1, ConfigError, kWhere,
                "an HNSW index is searched by one rank, on all its threads; got {} ranks; start it without mpirun, or "
                "use --index exact.",
                communicator.size());
  const auto begin = Clock::now();
  const IdTable& ids = *inputs.corpus_ids;
  const auto index = [&] {
    if (!options.index_file)
      return HnswIndex::build(EmbeddingsSource(inputs.corpus), ids, options.hnsw, progress_of(progress, "build"));
    if (fs::exists(*options.index_file)) {
      require_indexed(read_indexed_corpus(*options.index_file), *options.index_file, inputs.corpus, options.corpus,
                      ids);
      return HnswIndex::load(*options.index_file);
    }
    // Before the file is read: who writes to it meanwhile changes its stamp.
    IndexedCorpus indexed{
        .sha256 = {}, .stamp = file_stamp(options.corpus), .fingerprint = inputs.corpus.info().fingerprint};
    HashedCorpus corpus(inputs.corpus, ids);
    HnswIndex built = HnswIndex::build(corpus, ids, options.hnsw, progress_of(progress, "build"));
    indexed.sha256 = corpus.sha256();
    built.save(*options.index_file, indexed);
    return built;
  }();
  report.index_s = seconds_since(begin);
  const auto search_begin = Clock::now();
  const Neighbours found =
      index.search(inputs.query_vectors, *inputs.corpus_ids, options.k, options.hnsw.ef_search, inputs.excluded);
  report.search_s = seconds_since(search_begin);
  if (options.recall_queries > 0) report.recall = measured_recall(options, inputs, found, communicator, progress);
  return found;
}

/// Ids in place of rows, for queries [first, first + count).
std::vector<std::string> doc_ids(const Neighbours& neighbours, const IdTable& ids, int64_t first, int64_t count) {
  const int64_t k = neighbours.rows.size(1);
  const auto* const rows = neighbours.rows.const_data_ptr<int64_t>() + first * k;
  std::vector<std::string> docs;
  docs.reserve(static_cast<std::size_t>(count * k));
  for (int64_t i = 0; i < count * k; ++i) docs.emplace_back(rows[i] < 0 ? std::string_view() : ids[rows[i]]);
  return docs;
}

void write_outputs(const SearchFilesOptions& options, const Inputs& inputs, const Neighbours& found,
                   const RunInfo& info) {
  constexpr int64_t kQueriesAtOnce = 1024;
  const int64_t queries = inputs.queries.rows();
  RunWriter run(options.out, queries, options.k);
  std::optional<TrecWriter> trec;
  if (options.trec) trec.emplace(*options.trec, options.tag);
  for (int64_t first = 0; first < queries; first += kQueriesAtOnce) {
    const int64_t count = std::min(kQueriesAtOnce, queries - first);
    std::vector<std::string> query_ids;
    for (int64_t q = first; q < first + count; ++q) query_ids.emplace_back((*inputs.query_ids)[q]);
    const std::vector<std::string> docs = doc_ids(found, *inputs.corpus_ids, first, count);
    const torch::Tensor scores = found.scores.narrow(0, first, count);
    run.write(query_ids, docs, scores);
    if (trec) trec->write(query_ids, docs, scores);
  }
  run.commit(info);
  if (trec) trec->commit();
}

}  // namespace

int64_t candidates_of(const IdTable& corpus_ids, const ExcludedRows& excluded) {
  int64_t fewest = excluded.empty() ? 0 : corpus_ids.rows();
  for (const auto& list : excluded) fewest = std::min(fewest, std::ssize(list));
  return corpus_ids.rows() - fewest;
}

Run run_of(const Neighbours& neighbours, const IdTable& query_ids, const IdTable& corpus_ids,
           const ExcludedRows& excluded) {
  const int64_t queries = neighbours.rows.size(0);
  TRIREME_ASSERT(query_ids.rows() == queries, "{} ids of {} queries", query_ids.rows(), queries);
  Run run{{}, doc_ids(neighbours, corpus_ids, 0, queries), neighbours.scores, {}};
  for (int64_t query = 0; query < queries; ++query) run.query_ids.emplace_back(query_ids[query]);
  run.info.candidates = candidates_of(corpus_ids, excluded);
  return run;
}

SearchReport search_files(const SearchFilesOptions& options, const std::string& config_sha256,
                          Communicator& communicator, const SearchProgress& progress) {
  const auto begin = Clock::now();
  const Inputs inputs(options);
  SearchReport report;
  report.queries = inputs.queries.rows();
  report.corpus_rows = inputs.corpus.rows();
  report.dim = inputs.corpus.dim();
  report.warning = inputs.warning;
  report.prepare_s = seconds_since(begin);

  const auto search_begin = Clock::now();
  const Neighbours found = [&] {
    if (options.index == SearchIndex::kHnsw)
      return search_approximately(options, inputs, communicator, progress, report);
    Neighbours exact = search(inputs.query_vectors, EmbeddingsSource(inputs.corpus), *inputs.corpus_ids, options.k,
                              options.exact, communicator, inputs.excluded, progress_of(progress, "search"));
    report.search_s = seconds_since(search_begin);
    return exact;
  }();

  const auto write_begin = Clock::now();
  const EmbeddingsInfo& embedded = inputs.corpus.info();
  if (communicator.rank() == 0)
    write_outputs(options, inputs, found,
                  {.method = std::string(choice_name(options.index)),
                   .model = embedded.model,
                   .model_sha256 = embedded.model_sha256,
                   .adapter_sha256 = embedded.adapter_sha256,
                   .config_sha256 = config_sha256,
                   .candidates = candidates_of(*inputs.corpus_ids, inputs.excluded),
                   .fingerprint = embedded.fingerprint,
                   .query_fingerprint = inputs.queries.info().fingerprint});
  communicator.barrier();
  report.write_s = seconds_since(write_begin);
  return report;
}

}  // namespace trireme
