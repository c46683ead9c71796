#pragma once

#include <cstdint>
#include <memory>

#include "data/loader/data_config.h"
#include "data/loader/model_input.h"
#include "data/loader/pair_batch.h"
#include "data/loader/training_set.h"

namespace trireme {

/// Gives this rank's share of each step's global batch, in order, from `first_step` on and without end: the trainer
/// says when it is done. Threads of its own read, decode, augment, resize, tokenise and pack up to queued_steps ahead.
/// What a batch holds is a pure function of (files, config, seed, step, rank, ranks), never of threads or timing; the
/// union over ranks does not depend on their number. To resume, start at the step that is next: nothing else is kept.
class PairLoader {
 public:
  /// set and the tokenizer outlive the loader. Starts loading at once.
  /// throws ConfigError: pairs_global is not a multiple of the ranks; what PairSampler and PairEncoder refuse.
  PairLoader(const TrainingSet& set, const DataConfig& config, const ModelInput& model, uint64_t seed, LoaderRank rank,
             int64_t first_step = 0);
  ~PairLoader();  ///< stops the threads, whatever is still to come
  PairLoader(const PairLoader&) = delete;
  PairLoader& operator=(const PairLoader&) = delete;

  /// throws what loading the step threw, when it is that step's turn: under on_error: stop the DataError of the share's
  /// first bad row; under skip a DataError when a row found no replacement.
  PairBatch next();
  /// Seconds that next() has spent waiting so far.
  double waited_s() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
