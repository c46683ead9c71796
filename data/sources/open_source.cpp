#include "data/sources/open_source.h"

#include <map>

#include "data/sources/image_views.h"
#include "data/sources/mbeir_source.h"
#include "data/sources/text_pairs.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// Pools by path, so that sources can share one.
class Pools {
 public:
  std::shared_ptr<const CandidatePool> open(const fs::path& path, bool allow_modality_mismatch) {
    auto& pool = pools_[{path.lexically_normal(), allow_modality_mismatch}];
    if (!pool) pool = std::make_shared<const CandidatePool>(path, allow_modality_mismatch);
    return pool;
  }

 private:
  std::map<std::pair<fs::path, bool>, std::shared_ptr<const CandidatePool>> pools_;
};

OpenedSource open_one(const fs::path& root, const SourceConfig& config, const HardNegatives* hard_negatives,
                      Pools& pools) {
  OpenedSource opened;
  switch (config.kind) {
    case SourceKind::kMbeir: {
      const auto pool = pools.open(root / config.pool.value(), config.allow_modality_mismatch);
      auto source = std::make_unique<MbeirSource>(root, config, pool, hard_negatives);
      opened.candidates = pool->size();
      opened.missing_positives = source->missing_positives();
      opened.dropped_queries = source->dropped_queries();
      opened.without_negatives = source->without_negatives();
      opened.modality_mismatches = source->modality_mismatches() + pool->modality_mismatches();
      opened.pairs = std::move(source);
      break;
    }
    case SourceKind::kViews:
      opened.pairs = std::make_unique<ImageViews>(root, config);
      break;
    case SourceKind::kNli:
    case SourceKind::kPairs:
      opened.pairs = std::make_unique<TextPairSource>(root, config);
      break;
  }
  return opened;
}

}  // namespace

std::vector<OpenedSource> open_sources(const fs::path& root, std::span<const SourceConfig> configs,
                                       const HardNegatives* hard_negatives) {
  Pools pools;
  std::vector<OpenedSource> opened;
  for (const SourceConfig& config : configs) opened.push_back(open_one(root, config, hard_negatives, pools));
  return opened;
}

}  // namespace trireme
