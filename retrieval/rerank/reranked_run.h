#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "retrieval/rerank/fusion.h"
#include "retrieval/rerank/rank_scores.h"
#include "retrieval/search/run_file.h"

namespace trireme {

/// Whose scores they are.
struct RerankedWith {
  std::string model;             ///< the reranker's folder
  std::string model_sha256;      ///< of its weights
  std::string adapter_sha256;    ///< "" without an adapter
  Fingerprint fingerprint = {};  ///< empty when unknown
  bool operator==(const RerankedWith&) const = default;
};

/// A run as its retriever ranked it and what a reranker said of the head of each list: all that fusing needs.
struct ScoredRun {
  Run run;
  RankScores scores;  ///< of the first documents of each list, those there are equally deep
  RerankedWith reranker;
  std::string config_sha256;  ///< over what changes its scores; how they are fused is not part of it
  int64_t depth() const { return (scores.pointwise.defined() ? scores.pointwise : scores.listwise).size(1); }
};

/// The run in its new order, `lists` of which fuse() made of it.
Run reordered(const Run& run, const FusedLists& lists);

/// Fused lists as a run file (docs/formats.md): any reader of runs takes it. Beside a run's own datasets it holds what
/// read_scored_run() needs. Equal arguments give equal bytes.
/// throws as RunWriter.
Run write_reranked_run(const std::filesystem::path& path, const ScoredRun& scored, RerankModes modes,
                       const Fusion& fusion);

/// The retriever's lists and the scores out of such a file: fuse them anew with another weight.
/// throws DataError: a run that was not reranked (names its method), and as read_run().
ScoredRun read_scored_run(const std::filesystem::path& path);

}  // namespace trireme
