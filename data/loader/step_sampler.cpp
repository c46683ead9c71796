#include "data/loader/step_sampler.h"

#include "core/error.h"
#include "data/loader/apportion.h"

namespace trireme {

StepSampler::StepSampler(const TrainingSet& set, const DataConfig& config, uint64_t seed, LoaderRank rank,
                         TokensOf tokens_of)
    : set_(set),
      hard_negatives_(config.hard_negatives),
      on_error_(config.on_error),
      rank_(rank),
      tokens_of_(std::move(tokens_of)),
      sampler_(set, config, seed) {
  TRIREME_ASSERT(rank.ranks >= 1 && rank.rank >= 0 && rank.rank < rank.ranks, "rank {} of {}", rank.rank, rank.ranks);
  TRIREME_CHECK(
      config.sampler.pairs_global % rank.ranks == 0, ConfigError, "data.sampler",
      "pairs_global must be a multiple of the number of ranks; got {} pairs and {} ranks; change one of them.",
      config.sampler.pairs_global, rank.ranks);
}

StepShare StepSampler::share(int64_t step) {
  const std::lock_guard lock(mutex_);
  const GlobalBatch global = sampler_.batch(step);
  std::vector<int64_t> sizes(global.pairs.size(), 1);
  if (rank_.ranks > 1) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const SampledPair& pair = global.pairs[i];
      sizes[i] = tokens_of_(set_.source(pair.source).pair_size(pair.row, sampler_.stream_of(pair)));
    }
  }
  StepShare share{.step = step, .clashes = global.clashes, .global_rows = {}, .pairs = {}};
  share.global_rows = balanced_share(sizes, rank_.rank, rank_.ranks);
  for (const int64_t row : share.global_rows) share.pairs.push_back(global.pairs[static_cast<std::size_t>(row)]);
  return share;
}

std::vector<SkippedPair> StepSampler::read(const StepShare& share, std::size_t row,
                                           const std::function<void(Row)>& take) {
  const int64_t global_row = share.global_rows[row];
  std::vector<SkippedPair> skipped;
  SampledPair pair = share.pairs[row];
  int64_t attempt = 0;
  for (;;) {
    try {
      TrainingPair read_pair = read(pair, hard_negatives_);
      const std::string query_id = read_pair.query.id;
      take({std::move(read_pair), pair, set_.source(pair.source), share.step, global_row});
      for (SkippedPair& left_out : skipped) left_out.replacement = query_id;
      return skipped;
    } catch (const DataError& error) {
      if (on_error_ == OnDataError::kStop) throw;
      skipped.push_back({global_row, read(pair, 0).query.id, error.what(), {}});
      pair = replacement(share.step, global_row, attempt);
    }
  }
}

TrainingPair StepSampler::read(const SampledPair& pair, int64_t hard_negatives) const {
  return set_.source(pair.source).read(pair.row, sampler_.stream_of(pair), hard_negatives);
}

SampledPair StepSampler::replacement(int64_t step, int64_t global_row, int64_t& attempt) {
  const std::lock_guard lock(mutex_);
  while (attempt < kMaxReplacements) {
    if (const auto pair = sampler_.replacement(step, global_row, attempt++)) return *pair;
  }
  throw DataError("data.on_error", fmt::format("a pair that cannot be read must find a replacement in {} tries; got "
                                               "none for row {} of step {}; most of its group cannot be read, or is "
                                               "in the batch already; check the images.",
                                               kMaxReplacements, global_row, step));
}

}  // namespace trireme
