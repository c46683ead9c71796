#include "retrieval/search/hnsw.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/json.h"
#include "core/parallel.h"
#include "core/shape.h"
#include "retrieval/search/blocks.h"
#include "retrieval/search/kernels.h"

// Not inline functions at namespace scope: this is the one file that may include it.
#include <hnswlib/hnswlib.h>

namespace trireme {

void HnswOptions::describe(FieldList& v) {
  v.field("m", m, "Links of a vector in each layer, twice as many in the lowest.").at_least(2).at_most(256);
  v.field("ef_construction", ef_construction, "Candidates while building; more: better links, slower.").at_least(1);
  v.field("ef_search", ef_search, "Candidates while searching, at least k; more: higher recall, slower.").at_least(1);
}
static_assert(field_count<HnswOptions>() == 3, "describe() must list every field");
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhere = "hnsw";
constexpr std::string_view kFormat = "hnsw";
constexpr int64_t kVersion = 2;  // 1 was bound to a sample of the vectors only
constexpr std::size_t kSeedOfLayers = 100;

float distance(const void* a, const void* b, const void* dim) {
  return 1.0f -
         float_dot(static_cast<const float*>(a), static_cast<const float*>(b), *static_cast<const int64_t*>(dim));
}

/// hnswlib's own is compiled for the instruction set of the build; ours for the one at hand.
class InnerProduct : public hnswlib::SpaceInterface<float> {
 public:
  explicit InnerProduct(int64_t dim) : dim_(dim) {}
  std::size_t get_data_size() override { return static_cast<std::size_t>(dim_) * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &distance; }
  void* get_dist_func_param() override { return &dim_; }

 private:
  int64_t dim_;
};

using Graph = hnswlib::HierarchicalNSW<float>;

/// Bytes of the file that Graph::saveIndex() writes; it does not tell when the disk was full.
std::uintmax_t saved_bytes(const Graph& graph) {
  constexpr std::uintmax_t kHeader =
      10 * sizeof(std::size_t) + sizeof(int) + sizeof(hnswlib::tableint) + sizeof(double);
  std::uintmax_t bytes = kHeader;
  for (std::size_t i = 0; i < graph.cur_element_count; ++i)
    bytes += graph.size_data_per_element_ + sizeof(unsigned) +
             graph.size_links_per_element_ * static_cast<std::size_t>(graph.element_levels_[i]);
  return bytes;
}

fs::path description_path(const fs::path& path) {
  fs::path described = path;
  described += ".json";
  return described;
}

nlohmann::json read_description(const fs::path& path) {
  const fs::path described = description_path(path);
  nlohmann::json json = try_parse_json(read_text_file(described));
  constexpr std::array kNumbers = {"format_version", "rows", "dim", "m", "ef_construction", "ef_search"};
  constexpr std::array kTexts = {"trireme_format", "corpus_sha256", "corpus_stamp", "index_sha256"};
  const bool whole =
      json.is_object() &&
      std::all_of(kNumbers.begin(), kNumbers.end(),
                  [&](const char* key) { return json.contains(key) && json[key].is_number_integer(); }) &&
      std::all_of(kTexts.begin(), kTexts.end(),
                  [&](const char* key) { return json.contains(key) && json[key].is_string(); }) &&
      json.contains("corpus_fingerprint");
  TRIREME_CHECK(
      whole && json["trireme_format"] == kFormat && json["format_version"] == kVersion, DataError, kWhere,
      "{} must describe an index (trireme_format \"{}\", version {}); got something else, or another version; "
      "remove both files to build it again.",
      quote_path(described), kFormat, kVersion);
  return json;
}

}  // namespace

struct HnswIndex::State {
  State(int64_t dim, const HnswOptions& how) : options(how), space(dim) {}
  HnswOptions options;
  InnerProduct space;
  std::unique_ptr<Graph> graph;

  int64_t dim() { return static_cast<int64_t>(space.get_data_size() / sizeof(float)); }
};

HnswIndex::HnswIndex(std::unique_ptr<State> state) : state_(std::move(state)) {}
HnswIndex::HnswIndex(HnswIndex&&) noexcept = default;
HnswIndex::~HnswIndex() = default;

int64_t HnswIndex::rows() const noexcept { return static_cast<int64_t>(state_->graph->cur_element_count); }
int64_t HnswIndex::dim() const noexcept { return state_->dim(); }
const HnswOptions& HnswIndex::options() const noexcept { return state_->options; }

HnswIndex HnswIndex::build(const VectorSource& corpus, const IdTable& ids, const HnswOptions& options,
                           const std::function<void(int64_t done, int64_t of)>& progress) {
  constexpr int64_t kBlockRows = 4096;
  TRIREME_ASSERT(corpus.rows() == ids.rows(), "{} ids of {} rows", ids.rows(), corpus.rows());
  auto state = std::make_unique<State>(corpus.dim(), options);
  state->graph = std::make_unique<Graph>(&state->space, static_cast<std::size_t>(std::max<int64_t>(corpus.rows(), 1)),
                                         static_cast<std::size_t>(options.m),
                                         static_cast<std::size_t>(options.ef_construction), kSeedOfLayers);
  BlockReader reader(corpus, {0, corpus.rows()}, kBlockRows);
  while (const auto block = reader.next()) {
    checked_largest_norm(*block, corpus, ids);
    const auto* const vectors = block->vectors.const_data_ptr<float>();
    const auto insert = [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        state->graph->addPoint(vectors + row * corpus.dim(), static_cast<std::size_t>(block->first_row + row));
    };
    const int64_t rows = block->vectors.size(0), alone = block->first_row == 0 ? 1 : 0;
    insert(0, alone);  // the first one has nothing to be linked to, and the others need it
    parallel_for(rows - alone, 1, [&](int64_t begin, int64_t end) { insert(begin + alone, end + alone); });
    if (progress) progress(block->first_row + rows, corpus.rows());
  }
  return HnswIndex(std::move(state));
}

void HnswIndex::save(const fs::path& path, const IndexedCorpus& corpus) const {
  AtomicFile index(path), description(description_path(path));
  state_->graph->saveIndex(index.temporary_path());
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(index.temporary_path(), error), expected = saved_bytes(*state_->graph);
  TRIREME_CHECK(!error && bytes == expected, DataError, kWhere, "{} needs {} bytes; got {} written; free some space.",
                quote_path(path), expected, error ? 0 : bytes);
  const std::array files{index.temporary_path()};
  const HnswOptions& how = state_->options;
  const nlohmann::ordered_json json = {{"trireme_format", kFormat},
                                       {"format_version", kVersion},
                                       {"rows", rows()},
                                       {"dim", dim()},
                                       {"m", how.m},
                                       {"ef_construction", how.ef_construction},
                                       {"ef_search", how.ef_search},
                                       {"corpus_sha256", corpus.sha256},
                                       {"corpus_stamp", corpus.stamp},
                                       {"corpus_fingerprint", parse_ordered_json(corpus.fingerprint.json())},
                                       {"index_sha256", sha256_hex_of_files(files)}};
  description.write(dump_json(json, 2) + "\n");
  index.commit();
  description.commit();
}

IndexedCorpus read_indexed_corpus(const fs::path& path) {
  const nlohmann::json json = read_description(path);
  return {
      .sha256 = json["corpus_sha256"],
      .stamp = json["corpus_stamp"],
      .fingerprint = Fingerprint::from_json(dump_json(json["corpus_fingerprint"]), description_path(path).string())};
}

HnswIndex HnswIndex::load(const fs::path& path) {
  const nlohmann::json json = read_description(path);
  const std::array files{path};
  // hnswlib trusts the bytes that it reads, so they are those that were written, or they are not read.
  TRIREME_CHECK(json["index_sha256"] == sha256_hex_of_files(files), DataError, kWhere,
                "{} must have the checksum that stands in {}; got another; build the index again.", quote_path(path),
                quote_path(description_path(path)));
  auto state = std::make_unique<State>(json["dim"].get<int64_t>(),
                                       HnswOptions{json["m"], json["ef_construction"], json["ef_search"]});
  state->graph = std::make_unique<Graph>(&state->space, path.string());
  return HnswIndex(std::move(state));
}

Neighbours HnswIndex::search(const torch::Tensor& queries, const IdTable& ids, int64_t k, int64_t ef_search,
                             const ExcludedRows& excluded) const {
  constexpr int64_t kQueriesPerThread = 4;
  const c10::InferenceMode no_gradient;
  TRIREME_CHECK(
      queries.dim() == 2 && queries.is_cpu() && is_searchable(queries.scalar_type()) && queries.size(1) == dim(),
      ShapeError, kWhere,
      "queries must be [Q, {}] float32 or float16 on the CPU, as the index; got {}; embed both alike.", dim(),
      shape_string(queries));
  TRIREME_ASSERT(ids.rows() == rows() && (excluded.empty() || std::ssize(excluded) == queries.size(0)),
                 "{} ids, {} rows, {} lists", ids.rows(), rows(), excluded.size());
  std::size_t most_excluded = 0;
  for (const auto& list : excluded) most_excluded = std::max(most_excluded, list.size());
  const int64_t wanted = k + static_cast<int64_t>(most_excluded);
  TRIREME_CHECK(k >= 1 && wanted <= std::min(rows(), ef_search), ConfigError, kWhere,
                "k plus the rows excluded must be from 1 to ef_search and the corpus size; got {}, {} and {}; "
                "lower --k or raise --hnsw.ef-search.",
                wanted, ef_search, rows());
  const torch::Tensor vectors = queries.to(torch::kFloat32).contiguous();
  checked_norms(vectors, /*unit_length=*/false, [](int64_t row) { return fmt::format("query row {}", row); });

  Graph& graph = *state_->graph;
  graph.setEf(static_cast<std::size_t>(ef_search));
  Neighbours found{at::empty({queries.size(0), k}, torch::kInt64), at::empty({queries.size(0), k}, torch::kFloat32)};
  auto* const rows_out = found.rows.mutable_data_ptr<int64_t>();
  auto* const scores_out = found.scores.mutable_data_ptr<float>();
  struct Entry {
    float score;
    int64_t row;
  };
  parallel_for(queries.size(0), kQueriesPerThread, [&](int64_t begin, int64_t end) {
    std::vector<Entry> entries;
    for (int64_t q = begin; q < end; ++q) {
      const float* const query = vectors.const_data_ptr<float>() + q * dim();
      entries.clear();
      std::unordered_set<int64_t> left_out;
      if (!excluded.empty()) {
        const auto& list = excluded[static_cast<std::size_t>(q)];
        left_out.insert(list.begin(), list.end());
      }
      for (auto nearest = graph.searchKnn(query, static_cast<std::size_t>(wanted)); !nearest.empty(); nearest.pop()) {
        const auto row = static_cast<int64_t>(nearest.top().second);
        if (left_out.contains(row)) continue;
        const char* const vector = graph.getDataByInternalId(graph.label_lookup_.at(nearest.top().second));
        entries.push_back({static_cast<float>(exact_dot(query, reinterpret_cast<const float*>(vector), dim())), row});
      }
      TRIREME_CHECK(std::ssize(entries) >= k, ConfigError, kWhere,
                    "the graph must lead to k = {} rows from query {}; got {}; raise --hnsw.ef-search or --hnsw.m.", k,
                    q, entries.size());
      std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
        return a.score != b.score ? a.score > b.score : ids.place(a.row) < ids.place(b.row);
      });
      for (int64_t i = 0; i < k; ++i) {
        rows_out[q * k + i] = entries[static_cast<std::size_t>(i)].row;
        scores_out[q * k + i] = entries[static_cast<std::size_t>(i)].score;
      }
    }
  });
  return found;
}

double recall_of(const Neighbours& found, const Neighbours& exact) {
  TRIREME_ASSERT(found.rows.sizes() == exact.rows.sizes() && found.rows.numel() > 0, "{} and {}",
                 shape_string(found.rows), shape_string(exact.rows));
  const int64_t queries = exact.rows.size(0), k = exact.rows.size(1);
  const auto* const a = found.rows.const_data_ptr<int64_t>();
  const auto* const b = exact.rows.const_data_ptr<int64_t>();
  int64_t hits = 0;
  for (int64_t q = 0; q < queries; ++q) {
    std::vector<int64_t> mine(a + q * k, a + (q + 1) * k);
    std::sort(mine.begin(), mine.end());
    for (int64_t i = 0; i < k; ++i) hits += std::binary_search(mine.begin(), mine.end(), b[q * k + i]) ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(queries * k);
}

}  // namespace trireme
