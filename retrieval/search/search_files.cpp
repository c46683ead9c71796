#include "retrieval/search/search_files.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include <ATen/ops/tensor.h>

#include "core/config/choice.h"
#include "core/config/field_list.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/rng.h"
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
}
static_assert(field_count<SearchFilesOptions>() == 12, "describe() must list every field");
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhere = "search";

IdTable ids_of(const fs::path& path, const EmbeddingsReader& file) {
  return {file.rows(), [&](int64_t first, int64_t count) { return file.read_ids(first, count); }, path.string()};
}

/// What tells one corpus from another as far as an index of it goes: who embedded it, its ids, and some of its vectors.
std::string corpus_sha256(const EmbeddingsReader& file, const IdTable& ids) {
  constexpr int64_t kSamples = 16;
  const EmbeddingsInfo& info = file.info();
  std::string facts = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{} {} {}\n", info.model, info.model_sha256,
                                  info.adapter_sha256, info.rope_mode, info.config_sha256, info.normalized, file.rows(),
                                  file.dim(), static_cast<int>(file.dtype()));
  for (int64_t row = 0; row < ids.rows(); ++row) facts.append(ids[row]).push_back('\0');
  for (int64_t sample = 0; sample < std::min(kSamples, file.rows()); ++sample) {
    const torch::Tensor row = file.read(sample * file.rows() / std::min(kSamples, file.rows()), 1);
    facts.append(static_cast<const char*>(row.const_data_ptr()), row.nbytes());
  }
  return sha256_hex(std::as_bytes(std::span(facts)));
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
    require_comparable(options.queries, queries, options.corpus, corpus);
    TRIREME_CHECK(queries.rows() > 0, DataError, kWhere, "{} must hold queries; got none; embed some.",
                  quote_path(options.queries));
    TRIREME_CHECK(options.k <= corpus.rows(), ConfigError, kWhere,
                  "k must be at most the corpus size; got k = {} and {} rows; lower --k.", options.k, corpus.rows());
    query_ids.emplace(ids_of(options.queries, queries));
    corpus_ids.emplace(ids_of(options.corpus, corpus));
    if (options.exclude_same_id) excluded = same_ids(*query_ids, *corpus_ids);
    most_excluded = most_excluded_of(excluded);
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
  std::optional<IdTable> query_ids, corpus_ids;
  ExcludedRows excluded;
  int64_t most_excluded = 0;  ///< of one query
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
  const EmbeddingsSource corpus(inputs.corpus);
  const auto index = [&] {
    if (!options.index_file)
      return HnswIndex::build(corpus, *inputs.corpus_ids, options.hnsw, progress_of(progress, "build"));
    const std::string sha256 = corpus_sha256(inputs.corpus, *inputs.corpus_ids);
    if (fs::exists(*options.index_file)) return HnswIndex::load(*options.index_file, sha256);
    HnswIndex built = HnswIndex::build(corpus, *inputs.corpus_ids, options.hnsw, progress_of(progress, "build"));
    built.save(*options.index_file, sha256);
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

Run run_of(const Neighbours& neighbours, const std::vector<std::string>& query_ids, const IdTable& corpus_ids,
           RunInfo info) {
  TRIREME_ASSERT(std::ssize(query_ids) == neighbours.rows.size(0), "{} ids of {} queries", query_ids.size(),
                 neighbours.rows.size(0));
  return {query_ids, doc_ids(neighbours, corpus_ids, 0, std::ssize(query_ids)), neighbours.scores, std::move(info)};
}

SearchReport search_files(const SearchFilesOptions& options, const std::string& config_sha256,
                          Communicator& communicator, const SearchProgress& progress) {
  const auto begin = Clock::now();
  const Inputs inputs(options);
  SearchReport report;
  report.queries = inputs.queries.rows();
  report.corpus_rows = inputs.corpus.rows();
  report.dim = inputs.corpus.dim();
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
                   .candidates = inputs.corpus.rows() - inputs.most_excluded});
  communicator.barrier();
  report.write_s = seconds_since(write_begin);
  return report;
}

}  // namespace trireme
