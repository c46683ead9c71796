#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "evaluation/evaluate.h"
#include "evaluation/rerank_config.h"
#include "evaluation/rerank_searches.h"
#include "retrieval/report/results.h"
#include "retrieval/rerank/fusion_config.h"
#include "retrieval/rerank/position_bias.h"

namespace trireme {

struct EvalConfig;

/// What reranking did in an evaluation, of all ranks.
struct RerankEvalReport {
  int64_t candidates = 0;      ///< scored
  int64_t unread_answers = 0;  ///< listwise answers that could not be read
  PromptCounts counts;
  double score_s = 0;
  std::map<std::string, PositionBias> position_bias;  ///< by task, in its own pool; where it was asked for
  std::optional<FusionFile> fitted;
  std::string warning;  ///< when weights were read that were fitted for others
};

/// The columns of an evaluation behind the retriever's: the lists of every search scored by a reranker, and fused with
/// weights that are given, read, or fitted on another split first.
///   RerankedColumns columns(config, set, communicator, progress);
///   columns.load(info);
///   if (columns.fit_set()) columns.fit(vectors);
///   evaluate_columns(set, .., columns.reorder, ..);
class RerankedColumns {
 public:
  /// Units done of all that there are, on this rank.
  using Progress = std::function<void(const std::string& phase, int64_t done, int64_t of)>;

  /// Checks everything that can be wrong before weights are read. `config`, whose rerank is set, and `set` outlive the
  /// columns. throws what CheckpointReranker, read_fusion() and EvalSet throw; ConfigError: no such metric in fit.
  RerankedColumns(const EvalConfig& config, const EvalSet& set, Communicator& communicator, Progress progress,
                  c10::Device device);
  ~RerankedColumns();
  /// Reads the weights, and says what of the files is not used. retriever: whose embeddings the lists are found with.
  /// Collective.
  std::vector<std::string> load(const EmbeddingsInfo& retriever);

  /// What weights are fitted on; null where they are not. Its files are to be embedded as those of `set`.
  EvalSet* fit_set() const;
  /// Collective.
  void fit(const SetVectors& vectors);

  /// The fused lists of one search, one for each of config.rerank.modes. Collective.
  std::vector<Neighbours> reorder(const EvalSearch& search, const Neighbours& found);
  /// Which reranker made the column of a mode.
  RerankedBy reranked_by(RerankModes mode) const;

  RerankEvalReport report() const;
  /// fusion.yaml and position_bias.json, where there are such. One rank calls it.
  void write() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
