#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/read_ahead.h"
#include "data/loader/step_sampler.h"

namespace trireme {

/// A recipe's batches: this rank's share of each step's global batch, in order, from the first step on and without end;
/// the trainer says when it is done. Threads of its own read and encode rows and assemble batches ahead of next().
/// What a batch holds is a pure function of what its parts are made from and the step, never of threads or timing; the
/// union over ranks does not depend on their number. To resume, begin at the step that is next: nothing else is kept.
/// Batch is a StepBatch.
template <class Batch>
class BatchStream {
 public:
  /// sampler   as StepSampler: share(step) and read(share, row, take).
  /// encode    (Sampler::Row) -> what a row of the batch is made of. Rows of a step at the same time on several
  ///           threads.
  /// assemble  (the encoded rows, the share) -> Batch, but for what StepBatch says, `query_ids` and `target_ids`
  ///           excepted. Steps at the same time on several threads.
  /// options   items are steps. Loading begins at once.
  template <class Sampler, class Encode, class Assemble>
  BatchStream(std::shared_ptr<Sampler> sampler, Encode encode, Assemble assemble, const ReadAheadOptions& options)
      : batches_([sampler = std::move(sampler), encode = std::move(encode),
                  assemble = std::move(assemble)](int64_t step) { return work_of(step, sampler, encode, assemble); },
                 options) {}

  /// throws what loading the step threw, when it is that step's turn: under on_error: stop the DataError of the share's
  /// first bad row; under skip a DataError when a row found no replacement.
  Batch next() {
    Batch batch = *batches_.next();
    batch.waited_s = batches_.last_wait_s();
    return batch;
  }
  /// Seconds that next() has spent waiting so far.
  double waited_s() const noexcept { return batches_.waited_s(); }

 private:
  template <class Sampler, class Encode, class Assemble>
  static std::optional<ItemWork<Batch>> work_of(int64_t step, const std::shared_ptr<Sampler>& sampler,
                                                const Encode& encode, const Assemble& assemble) {
    using SamplerRow = typename Sampler::Row;
    using Row = std::invoke_result_t<const Encode&, SamplerRow>;
    struct Loaded {
      decltype(sampler->share(step)) share;
      std::vector<Row> rows;
      std::vector<std::vector<SkippedPair>> skipped;  ///< by row
    };
    const auto loaded = std::make_shared<Loaded>(Loaded{sampler->share(step), {}, {}});
    const std::size_t count = loaded->share.global_rows.size();
    loaded->rows.resize(count);
    loaded->skipped.resize(count);
    return ItemWork<Batch>{.parts = count,
                           .do_part =
                               [=](std::size_t i) {
                                 loaded->skipped[i] = sampler->read(loaded->share, i, [&](SamplerRow row) {
                                   loaded->rows[i] = encode(std::move(row));
                                 });
                               },
                           .finish =
                               [=] {
                                 Batch batch = assemble(std::move(loaded->rows), std::as_const(loaded->share));
                                 batch.step = step;
                                 batch.clashes_global = loaded->share.clashes;
                                 for (auto& skipped : loaded->skipped)
                                   batch.skipped.insert(batch.skipped.end(), skipped.begin(), skipped.end());
                                 return batch;
                               }};
  }

  ReadAhead<Batch> batches_;
};

}  // namespace trireme
