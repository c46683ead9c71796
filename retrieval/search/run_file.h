#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/io/fingerprint.h"
#include "core/tensor.h"

namespace trireme {

class Hdf5Writer;

/// What stands in a run file's root attributes (docs/formats.md): whose scores these are.
struct RunInfo {
  std::string method;                  ///< "exact", "hnsw"; rerankers name themselves
  std::string model;                   ///< of the embeddings, or of the reranker
  std::string model_sha256;            ///< of the weights; "" when unknown
  std::string adapter_sha256;          ///< "" without an adapter
  std::string config_sha256;           ///< over the resolved options that change values
  int64_t candidates = 0;              ///< documents that a list could have held at most; 0 when unknown
  Fingerprint fingerprint = {};        ///< of the corpus that was searched, or of the reranker; empty when unknown
  Fingerprint query_fingerprint = {};  ///< of the queries' embeddings
  bool operator==(const RunInfo&) const = default;
};

/// Ranked lists of up to K documents, best first. Behind the end of a shorter one, that of a query which a small pool
/// has no more for, ids are "" and scores -infinity.
struct Run {
  std::vector<std::string> query_ids;  ///< [Q], distinct
  std::vector<std::string> doc_ids;    ///< [Q * K], row-major: list q begins at q * K; distinct within a list
  torch::Tensor scores;                ///< [Q, K] float32 on the CPU, contiguous, falling along each row
  RunInfo info;
  int64_t queries() const noexcept { return static_cast<int64_t>(query_ids.size()); }
  int64_t depth() const noexcept { return scores.size(1); }
  /// The documents of one list, without what is behind its end.
  std::span<const std::string> docs_of(int64_t query) const;
};

/// HDF5 file with /query_id [Q], /doc_id [Q, K] and /score [Q, K] float32, written in blocks of queries and appearing
/// under its name only at commit(). One rank writes.
/// throws DataError: not writable, disk full, an id that is not UTF-8.
class RunWriter {
 public:
  RunWriter(const std::filesystem::path& path, int64_t queries, int64_t depth);
  RunWriter(RunWriter&&) noexcept;
  ~RunWriter();
  /// The next query_ids.size() lists; doc_ids row-major, scores [n, K] float32.
  void write(std::span<const std::string> query_ids, std::span<const std::string> doc_ids, const torch::Tensor& scores);
  /// For datasets and attributes that a kind of run has beside those of every run.
  Hdf5Writer& file();
  /// Every query must have been written.
  void commit(const RunInfo& info);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void write_run(const std::filesystem::path& path, const Run& run);

/// throws DataError: missing, not HDF5, truncated, another trireme_format, shapes that contradict each other, NaN or
/// rising scores, a list without documents, a document behind a list's end, a query twice, a document twice in one
/// list (each names the file and the query).
Run read_run(const std::filesystem::path& path);

/// TREC's text form, "qid Q0 did rank score tag" per line, ranks from 1, scores with the 9 digits that give the same
/// float32 back. Written whole or not at all, block by block.
/// throws DataError: an id that is empty or holds white space (the columns would shift), disk full. ConfigError: such
/// a tag.
class TrecWriter {
 public:
  TrecWriter(const std::filesystem::path& path, std::string tag);
  TrecWriter(TrecWriter&&) noexcept;
  ~TrecWriter();
  void write(std::span<const std::string> query_ids, std::span<const std::string> doc_ids, const torch::Tensor& scores);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
