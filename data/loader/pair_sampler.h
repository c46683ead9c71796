#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "data/loader/data_config.h"
#include "data/loader/training_set.h"

namespace trireme {

/// One pair of a global batch, not read yet.
struct SampledPair {
  int64_t source = 0, row = 0;  ///< row of TrainingSet::source(source)
  int64_t stream = 0;           ///< which stream of pairs it was drawn from
  int64_t epoch = 0;            ///< of that stream; below 0 for a replacement
  bool operator==(const SampledPair&) const = default;
};

/// A step's pairs over all ranks; a pair's place is its global row.
struct GlobalBatch {
  std::vector<SampledPair> pairs;
  int64_t clashes = 0;  ///< pairs that share with another what SamplerConfig::distinct forbids: there was no way round
};

/// Global batches: that of step s is a pure function of (files, config, seed, s), whatever the ranks, and whatever was
/// asked before.
/// Pairs come in streams, each drawn without replacement, epoch by epoch, in the order of a Permutation: one stream of
/// everything; with weights, one for each source or group, which fill every batch in proportion (apportion()); under
/// batch_from: one_group, one for each group, which fill whole batches in turn. Where the last pairs of an epoch would
/// not fill a batch they are left out (not with weights: there epochs end within a batch).
/// With `distinct`, pairs change places within their epoch and a window of up to kWindowBatches batches until no two of
/// a batch clash.
class PairSampler {
 public:
  /// set outlives the sampler.
  /// throws ConfigError: fewer pairs than a batch (or its share) takes; group weights that name no group, leave one out
  /// or are all 0.
  PairSampler(const TrainingSet& set, const DataConfig& config, uint64_t seed);

  /// cost: a permutation's lookup a pair; with `distinct` also their identities, for a window of steps at once, which
  /// is kept for the next call. One thread at a time.
  GlobalBatch batch(int64_t step);

  /// Another pair of the stream that pair `global_row` came from, for one that cannot be read; drawn at random. Empty
  /// when this attempt's pair would clash with the batch. A pure function like batch(). One thread at a time.
  std::optional<SampledPair> replacement(int64_t step, int64_t global_row, int64_t attempt);

  /// What read() draws from.
  RandomStream stream_of(const SampledPair& pair) const;

  static constexpr int64_t kWindowBatches = 64;

 private:
  struct Part {
    int64_t source = 0, begin = 0, count = 0;
    std::vector<uint32_t> rows;  ///< empty: all rows of the source
  };
  struct Stream {
    std::string name;
    std::vector<Part> parts;
    int64_t size = 0;
    double weight = 0;
  };
  /// Consecutive positions of a stream; position / size is the epoch.
  struct Run {
    int64_t stream = 0, first = 0, count = 0;
  };
  /// Whose batch a step has, and the number of that batch: a stream's, counted by stream, or, in the order of steps, a
  /// batch of all of them.
  struct Turn {
    int64_t stream = 0, number = 0;
  };
  static constexpr int64_t kAllStreams = -1;
  /// Batches among which pairs change places.
  struct Window {
    int64_t stream = 0, first = 0, end = 0;
    std::vector<GlobalBatch> batches;
  };

  void add_streams(const TrainingSet& set, const DataConfig& config);
  void check_sizes() const;
  double weight_of_source(int64_t source, const DataConfig& config) const;
  Turn turn_of(int64_t step) const;
  std::vector<Run> runs(Turn turn) const;
  Window window_of(Turn turn) const;
  SampledPair pair_at(int64_t stream, int64_t position);
  SampledPair pair_of(int64_t stream, int64_t index, int64_t epoch) const;
  std::vector<SampledPair> natural_batch(Turn turn);
  std::vector<int64_t> keys_of(const SampledPair& pair) const;
  const Window& window_with(Turn turn);

  const TrainingSet& set_;
  int64_t pairs_global_;
  BatchFrom batch_from_;
  Distinct distinct_;
  uint64_t seed_;
  std::vector<Stream> streams_;
  std::vector<double> weights_;
  std::vector<std::string> pair_stream_names_, order_names_;
  std::map<std::pair<int64_t, int64_t>, Permutation> orders_;  ///< of (stream, epoch), those in use
  std::deque<Window> windows_;  ///< the latest few: a replacement may ask for a step behind the one that is next
};

}  // namespace trireme
