#include "data/loader/training_set.h"

#include "core/config/choice.h"
#include "data/sources/open_source.h"

namespace trireme {

TrainingSet::TrainingSet(const DataConfig& config, const HardNegatives* hard_negatives)
    : pairs_global_(config.sampler.pairs_global) {
  for (OpenedSource& opened : open_sources(config.root, config.sources, hard_negatives)) {
    const SourceConfig& source = config.sources[sources_.size()];
    summaries_.push_back({.name = source.name.empty() ? std::string(choice_name(source.kind)) : source.name,
                          .pairs = opened.pairs->size(),
                          .candidates = opened.candidates,
                          .missing_positives = opened.missing_positives,
                          .dropped_queries = opened.dropped_queries,
                          .without_negatives = opened.without_negatives,
                          .modality_mismatches = opened.modality_mismatches});
    sources_.push_back(std::move(opened.pairs));
  }
}

int64_t TrainingSet::pairs() const noexcept {
  int64_t pairs = 0;
  for (const auto& source : sources_) pairs += source->size();
  return pairs;
}

}  // namespace trireme
