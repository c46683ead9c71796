#include "retrieval/rerank/reranked_run.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>

#include "core/config/choice.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/hdf5.h"
#include "core/io/quote.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr std::string_view kMethod = "rerank ";
constexpr const char* kRetrieverScore = "retriever_score";
constexpr const char* kRetrieverRank = "retriever_rank";
constexpr const char* kPointwise = "pointwise_score";
constexpr const char* kListwise = "listwise_score";

std::string fused_sha256(const ScoredRun& scored, RerankModes mode, const Fusion& fusion) {
  const std::string of = fmt::format("{}\n{}\n{}", scored.config_sha256, choice_name(mode), fusion_text(fusion));
  return sha256_hex(std::as_bytes(std::span(of)));
}

/// The scores of each list in the order of another tensor of places, or put back from it.
torch::Tensor taken(const torch::Tensor& scores, const torch::Tensor& order) { return scores.gather(1, order); }
torch::Tensor put_back(const torch::Tensor& scores, const torch::Tensor& order) {
  return at::empty_like(scores).scatter_(1, order, scores);
}

/// Ranks in the file are those of people, from 1. [Q, D] int64 places.
torch::Tensor read_places(const Hdf5Reader& file, int64_t queries) {
  const std::vector<int64_t> shape = file.shape(kRetrieverRank);
  TRIREME_CHECK(shape.size() == 2 && shape[0] == queries && file.dtype(kRetrieverRank) == torch::kInt32, DataError,
                "run", "{}: /{} must be [{}, D] int32; got {}; make the file again.", quote_path(file.path()),
                kRetrieverRank, queries, shape_string(shape));
  const torch::Tensor places = file.read(kRetrieverRank, 0, queries).to(torch::kInt64) - 1;
  const torch::Tensor sorted = std::get<0>(places.sort(1));
  TRIREME_CHECK(at::equal(sorted, at::arange(shape[1]).expand_as(sorted)), DataError, "run",
                "{}: each row of /{} must be 1 to {} in some order; got others; make the file again.",
                quote_path(file.path()), kRetrieverRank, shape[1]);
  return places;
}

torch::Tensor read_scores(const Hdf5Reader& file, const char* name, int64_t queries, int64_t depth) {
  const std::vector<int64_t> shape = file.shape(name);
  TRIREME_CHECK((shape == std::vector{queries, depth}) && file.dtype(name) == torch::kFloat32, DataError, "run",
                "{}: /{} must be [{}, {}] float32; got {}; make the file again.", quote_path(file.path()), name,
                queries, depth, shape_string(shape));
  return file.read(name, 0, queries);
}

}  // namespace

Run reordered(const Run& run, const FusedLists& lists) {
  Run fused{.query_ids = run.query_ids, .doc_ids = {}, .scores = lists.scores, .info = run.info};
  fused.doc_ids.reserve(run.doc_ids.size());
  const auto order = lists.order.accessor<int64_t, 2>();
  for (int64_t query = 0; query < run.queries(); ++query) {
    for (int64_t i = 0; i < run.depth(); ++i)
      fused.doc_ids.push_back(run.doc_ids[static_cast<std::size_t>(query * run.depth() + order[query][i])]);
  }
  return fused;
}

Run write_reranked_run(const std::filesystem::path& path, const ScoredRun& scored, RerankModes mode,
                       const Fusion& fusion) {
  const IdAt id = [&](int64_t query, int64_t place) -> std::string_view {
    return scored.run.docs_of(query)[static_cast<std::size_t>(place)];
  };
  const FusedLists lists = fuse(scored.run.scores, rank_score(scored.scores, mode), id, fusion);
  Run fused = reordered(scored.run, lists);
  fused.info = {.method = fmt::format("{}{}, {}", kMethod, choice_name(mode), fusion_text(fusion)),
                .model = scored.reranker.model,
                .model_sha256 = scored.reranker.model_sha256,
                .adapter_sha256 = scored.reranker.adapter_sha256,
                .config_sha256 = fused_sha256(scored, mode, fusion),
                .candidates = scored.run.info.candidates,
                .fingerprint = scored.reranker.fingerprint,
                .query_fingerprint = scored.run.info.query_fingerprint};
  const int64_t queries = fused.queries(), depth = scored.depth();
  const torch::Tensor head = lists.order.narrow(1, 0, depth);
  RunWriter writer(path, queries, fused.depth());
  Hdf5Writer& file = writer.file();
  file.create(kRetrieverScore, torch::kFloat32, {queries, fused.depth()});
  file.create(kRetrieverRank, torch::kInt32, {queries, depth});
  if (scored.scores.pointwise.defined()) file.create(kPointwise, torch::kFloat32, {queries, depth});
  if (scored.scores.listwise.defined()) file.create(kListwise, torch::kFloat32, {queries, depth});
  writer.write(fused.query_ids, fused.doc_ids, fused.scores);
  file.write(kRetrieverScore, 0, taken(scored.run.scores, lists.order));
  file.write(kRetrieverRank, 0, (head + 1).to(torch::kInt32));
  if (scored.scores.pointwise.defined()) file.write(kPointwise, 0, taken(scored.scores.pointwise, head));
  if (scored.scores.listwise.defined()) file.write(kListwise, 0, taken(scored.scores.listwise, head));
  const RunInfo& retriever = scored.run.info;
  file.set_attribute("rerank_config_sha256", scored.config_sha256);
  file.set_attribute("has_pointwise", int64_t{scored.scores.pointwise.defined()});
  file.set_attribute("has_listwise", int64_t{scored.scores.listwise.defined()});
  file.set_attribute("retriever_method", retriever.method);
  file.set_attribute("retriever_model", retriever.model);
  file.set_attribute("retriever_model_sha256", retriever.model_sha256);
  file.set_attribute("retriever_adapter_sha256", retriever.adapter_sha256);
  file.set_attribute("retriever_config_sha256", retriever.config_sha256);
  file.set_attribute("retriever_fingerprint", retriever.fingerprint.json());
  writer.commit(fused.info);
  return fused;
}

ScoredRun read_scored_run(const std::filesystem::path& path) {
  const Run fused = read_run(path);
  TRIREME_CHECK(fused.info.method.starts_with(kMethod), DataError, "run",
                "{} must be a run that trireme rerank wrote, with the scores of a reranker; got one of method {}; give "
                "--model to rerank it.",
                quote_path(path), quote_text(fused.info.method));
  const Hdf5Reader file(path);
  const int64_t queries = fused.queries();
  const torch::Tensor places = read_places(file, queries);
  const int64_t depth = places.size(1);
  const torch::Tensor scores = read_scores(file, kRetrieverScore, queries, fused.depth());
  ScoredRun scored{
      .run = {},
      .scores = {},
      .reranker = {fused.info.model, fused.info.model_sha256, fused.info.adapter_sha256, fused.info.fingerprint},
      .config_sha256 = file.string_attribute("rerank_config_sha256")};
  if (file.int_attribute("has_pointwise") != 0)
    scored.scores.pointwise = put_back(read_scores(file, kPointwise, queries, depth), places);
  if (file.int_attribute("has_listwise") != 0)
    scored.scores.listwise = put_back(read_scores(file, kListwise, queries, depth), places);
  // Behind the head nothing moved.
  FusedLists back{at::arange(fused.depth()).expand({queries, fused.depth()}).clone(), scores.clone()};
  const torch::Tensor at = at::arange(depth).expand({queries, depth});
  back.order.narrow(1, 0, depth).scatter_(1, places, at);
  back.scores.narrow(1, 0, depth).copy_(put_back(scores.narrow(1, 0, depth).contiguous(), places));
  scored.run = reordered(fused, back);
  scored.run.info = {.method = file.string_attribute("retriever_method"),
                     .model = file.string_attribute("retriever_model"),
                     .model_sha256 = file.string_attribute("retriever_model_sha256"),
                     .adapter_sha256 = file.string_attribute("retriever_adapter_sha256"),
                     .config_sha256 = file.string_attribute("retriever_config_sha256"),
                     .candidates = fused.info.candidates,
                     .fingerprint = {},
                     .query_fingerprint = fused.info.query_fingerprint};
  if (file.int_attribute("format_version") >= 2)
    scored.run.info.fingerprint =
        Fingerprint::from_json(file.string_attribute("retriever_fingerprint"), quote_path(path));
  return scored;
}

}  // namespace trireme
