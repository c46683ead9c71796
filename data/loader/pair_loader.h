#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "data/image/preprocess.h"
#include "data/loader/data_config.h"
#include "data/loader/pair_batch.h"
#include "data/loader/training_set.h"
#include "data/tokenizer/tokenizer.h"

namespace trireme {

/// What a checkpoint says about its inputs.
struct ModelInput {
  const Tokenizer& tokenizer;
  int64_t image_token_id = -1;                          ///< config.json; -1 for a text-only model
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
};

/// Which ranks share the global batch.
struct LoaderRank {
  int64_t rank = 0, ranks = 1;
};

/// Gives this rank's share of each step's global batch, in order, from `first_step` on and without end: the trainer
/// says when it is done. Threads of its own read, decode, augment, resize, tokenise and pack up to queued_steps ahead.
/// What a batch holds is a pure function of (files, config, seed, step, ranks), never of threads or timing; the union
/// over ranks does not depend on their number. To resume, start at the step that is next: nothing else is kept.
class PairLoader {
 public:
  /// set and the tokenizer outlive the loader. Starts loading at once.
  /// throws ConfigError: pairs_global is not a multiple of the ranks, or min_pixels is above max_pixels. DataError: the
  /// tokenizer lacks the chat tokens.
  PairLoader(const TrainingSet& set, const DataConfig& config, const ModelInput& model, uint64_t seed, LoaderRank rank,
             int64_t first_step = 0);
  ~PairLoader();  ///< stops the threads, whatever is still to come
  PairLoader(const PairLoader&) = delete;
  PairLoader& operator=(const PairLoader&) = delete;

  /// throws what loading the step threw: under on_error: stop the DataError of the step's first bad row, once the steps
  /// before it were taken; under skip a DataError when a row found no replacement in kMaxReplacements tries.
  PairBatch next();
  /// Seconds that next() has spent waiting, and pairs skipped, so far.
  double waited_s() const noexcept;
  int64_t skipped() const noexcept;

  static constexpr int64_t kMaxReplacements = 16;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
