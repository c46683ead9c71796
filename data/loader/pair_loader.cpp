#include "data/loader/pair_loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include <ATen/ops/empty.h>

#include "core/error.h"
#include "data/loader/apportion.h"
#include "data/loader/pair_encoder.h"
#include "data/loader/pair_sampler.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

torch::Tensor int64_tensor(const std::vector<int64_t>& values) {
  torch::Tensor tensor = at::empty({std::ssize(values)}, torch::kInt64);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

/// This rank's share of one step while it is loaded.
struct StepInWork {
  int64_t step = 0;
  int64_t clashes = 0;
  std::vector<int64_t> global_rows;
  std::vector<SampledPair> pairs;
  std::vector<EncodedPair> encoded;
  std::vector<std::vector<SkippedPair>> skipped;  ///< by row
  std::size_t claimed = 0, done = 0;
  std::exception_ptr failure;  ///< of the first row that failed
  std::size_t failed_row = std::numeric_limits<std::size_t>::max();
  std::optional<PairBatch> batch;
  bool ready = false;  ///< batch or failure is there

  std::size_t rows() const { return pairs.size(); }
};

PairBatch assemble(StepInWork& work, const PackOptions& options) {
  PairBatch batch;
  batch.step = work.step;
  batch.clashes_global = work.clashes;
  std::vector<EncodedSequence> sequences, targets, negatives;
  std::vector<int64_t> target_ids, concept_ids, offsets{0}, positive_ids, negative_ids;
  for (EncodedPair& row : work.encoded) {
    sequences.push_back(std::move(row.query));
    targets.push_back(std::move(row.target));
    std::move(row.hard_negatives.begin(), row.hard_negatives.end(), std::back_inserter(negatives));
    target_ids.push_back(row.pair.target_id);
    concept_ids.push_back(row.pair.concept_id);
    positive_ids.insert(positive_ids.end(), row.pair.positive_ids.begin(), row.pair.positive_ids.end());
    offsets.push_back(std::ssize(positive_ids));
    negative_ids.insert(negative_ids.end(), row.pair.hard_negative_ids.begin(), row.pair.hard_negative_ids.end());
    batch.query_ids.push_back(std::move(row.pair.query.id));
    batch.target_ids.push_back(std::move(row.pair.target.id));
  }
  for (auto* others : {&targets, &negatives}) std::ranges::move(*others, std::back_inserter(sequences));
  batch.sequences = pack(sequences, options);
  batch.global_row = int64_tensor(work.global_rows);
  batch.target_id = int64_tensor(target_ids);
  batch.concept_id = int64_tensor(concept_ids);
  batch.positive_offset = int64_tensor(offsets);
  batch.positive_id = int64_tensor(positive_ids);
  const auto rows = std::ssize(work.encoded);
  batch.hard_negative_id = int64_tensor(negative_ids).view({rows, std::ssize(negative_ids) / rows});
  for (auto& skipped : work.skipped) std::move(skipped.begin(), skipped.end(), std::back_inserter(batch.skipped));
  return batch;
}

}  // namespace

struct PairLoader::State {
  State(const TrainingSet& training_set, const DataConfig& data_config, const ModelInput& model, uint64_t seed,
        LoaderRank loader_rank, int64_t first_step)
      : set(training_set),
        config(data_config),
        rank(loader_rank),
        encoder(config, model, seed),
        sampler(set, config, seed),
        next_step(first_step) {}

  /// A loading thread: rows of the earliest step that has some left, else a further step is opened.
  void load() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (const auto work = next_with_rows()) {
        const std::size_t begin = work->claimed;
        work->claimed = std::min(begin + kRowsClaimed, work->rows());
        const std::size_t end = work->claimed;
        lock.unlock();
        for (std::size_t row = begin; row < end; ++row) load_row(*work, row);
        finish_rows(*work, end - begin);
        lock.lock();
      } else if (!opening && !failed && std::ssize(steps) < config.queued_steps) {
        opening = true;
        const int64_t step = next_step++;
        lock.unlock();
        std::shared_ptr<StepInWork> opened = open(step);
        lock.lock();
        failed = failed || opened->ready;
        steps.push_back(std::move(opened));
        opening = false;
        changed.notify_all();
      } else {
        changed.wait(lock);
      }
    }
  }

  std::shared_ptr<StepInWork> next_with_rows() const {
    for (const auto& work : steps) {
      if (work->claimed < work->rows()) return work;
    }
    return nullptr;
  }

  std::shared_ptr<StepInWork> open(int64_t step) {
    auto work = std::make_shared<StepInWork>();
    work->step = step;
    try {
      const std::lock_guard sampling(sampler_mutex);
      const GlobalBatch global = sampler.batch(step);
      work->clashes = global.clashes;
      std::vector<int64_t> sizes(global.pairs.size(), 1);
      if (rank.ranks > 1) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
          const SampledPair& pair = global.pairs[i];
          sizes[i] = encoder.estimated_tokens(set.source(pair.source).pair_size(pair.row, sampler.stream_of(pair)));
        }
      }
      work->global_rows = balanced_share(sizes, rank.rank, rank.ranks);
      for (const int64_t row : work->global_rows) work->pairs.push_back(global.pairs[static_cast<std::size_t>(row)]);
      work->encoded.resize(work->rows());
      work->skipped.resize(work->rows());
    } catch (...) {
      work->pairs.clear();
      work->failure = std::current_exception();
      work->ready = true;
    }
    return work;
  }

  void load_row(StepInWork& work, std::size_t row) {
    try {
      const SampledPair& pair = work.pairs[row];
      const int64_t global_row = work.global_rows[row];
      if (config.on_error == OnDataError::kStop) {
        work.encoded[row] = encode(pair, work.step, global_row);
      } else {
        encode_or_replace(work, row, pair, global_row);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (row < work.failed_row) {
        work.failed_row = row;
        work.failure = std::current_exception();
      }
    }
  }

  EncodedPair encode(const SampledPair& pair, int64_t step, int64_t global_row) {
    return encoder.encode(set.source(pair.source).read(pair.row, sampler.stream_of(pair), config.hard_negatives), step,
                          global_row);
  }

  void encode_or_replace(StepInWork& work, std::size_t row, const SampledPair& first, int64_t global_row) {
    SampledPair pair = first;
    int64_t attempt = 0;
    for (;;) {
      try {
        work.encoded[row] = encode(pair, work.step, global_row);
        break;
      } catch (const DataError& error) {
        const TrainingPair bad = set.source(pair.source).read(pair.row, sampler.stream_of(pair), 0);
        work.skipped[row].push_back({global_row, bad.query.id, error.what(), {}});
        pair = replacement(work.step, global_row, attempt);
      }
    }
    for (SkippedPair& skipped : work.skipped[row]) skipped.replacement = work.encoded[row].pair.query.id;
  }

  SampledPair replacement(int64_t step, int64_t global_row, int64_t& attempt) {
    const std::lock_guard sampling(sampler_mutex);
    while (attempt < kMaxReplacements) {
      if (const auto pair = sampler.replacement(step, global_row, attempt++)) return *pair;
    }
    throw DataError("data.on_error", fmt::format("a pair that cannot be read must find a replacement in {} tries; got "
                                                 "none for row {} of step {}; most of its group cannot be read, or is "
                                                 "in the batch already; check the images.",
                                                 kMaxReplacements, global_row, step));
  }

  void finish_rows(StepInWork& work, std::size_t count) {
    {
      const std::lock_guard lock(mutex);
      work.done += count;
      if (work.done < work.rows()) return;
    }
    // The last rows are in: nobody else touches the step until it is ready.
    if (!work.failure) {
      try {
        work.batch = assemble(work, encoder.pack_options());
      } catch (...) {
        work.failure = std::current_exception();
      }
    }
    work.encoded.clear();
    const std::lock_guard lock(mutex);
    failed = failed || work.failure;
    work.ready = true;
    changed.notify_all();
  }

  static constexpr std::size_t kRowsClaimed = 4;

  const TrainingSet& set;
  const DataConfig config;
  const LoaderRank rank;
  PairEncoder encoder;
  std::mutex sampler_mutex;
  PairSampler sampler;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<StepInWork>> steps;  ///< in order
  int64_t next_step;
  bool opening = false, failed = false, stopping = false;
  double waited_s = 0;
  std::vector<std::jthread> threads;  // last: joined before what they use goes
};

PairLoader::PairLoader(const TrainingSet& set, const DataConfig& config, const ModelInput& model, uint64_t seed,
                       LoaderRank rank, int64_t first_step) {
  TRIREME_ASSERT(rank.ranks >= 1 && rank.rank >= 0 && rank.rank < rank.ranks && first_step >= 0,
                 "rank {} of {}, step {}", rank.rank, rank.ranks, first_step);
  TRIREME_CHECK(
      config.sampler.pairs_global % rank.ranks == 0, ConfigError, "data.sampler",
      "pairs_global must be a multiple of the number of ranks; got {} pairs and {} ranks; change one of them.",
      config.sampler.pairs_global, rank.ranks);
  state_ = std::make_unique<State>(set, config, model, seed, rank, first_step);
  State& state = *state_;
  for (int64_t i = 0; i < config.loader_threads; ++i) state.threads.emplace_back([&state] { state.load(); });
}

PairLoader::~PairLoader() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

PairBatch PairLoader::next() {
  State& state = *state_;
  const auto begin = Clock::now();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return !state.steps.empty() && state.steps.front()->ready; });
  const double waited = std::chrono::duration<double>(Clock::now() - begin).count();
  state.waited_s += waited;
  if (state.steps.front()->failure) std::rethrow_exception(state.steps.front()->failure);
  PairBatch batch = std::move(state.steps.front()->batch.value());
  state.steps.pop_front();
  state.changed.notify_all();
  batch.waited_s = waited;
  return batch;
}

double PairLoader::waited_s() const noexcept { return state_->waited_s; }

LoaderSpeed measure_loader(PairLoader& loader, const DataConfig& config, int64_t steps) {
  for (int64_t i = 0; i <= config.queued_steps; ++i) loader.next();
  LoaderSpeed speed;
  const auto begin = Clock::now();
  for (; speed.steps < steps; ++speed.steps) {
    const PairBatch batch = loader.next();
    const PairBatchCounts counts = counts_of(batch);
    speed.records += counts.sequences;
    speed.images += counts.images;
    speed.tokens += counts.tokens;
    speed.pairs += batch.target_id.size(0);
    speed.skipped += std::ssize(batch.skipped);
    speed.clashes_global += batch.clashes_global;
  }
  speed.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return speed;
}

}  // namespace trireme
