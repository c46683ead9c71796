#include "trainers/mined_source.h"

#include "core/dist/agreement.h"
#include "core/error.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace {

void require_fresh(const MinedConfig& config, const HardNegativesInfo& info, Communicator& communicator, Log& log) {
  std::string hashes;
  if (communicator.rank() == 0) {
    const HubCheckpoint retriever(*config.retriever);
    const std::string adapter =
        config.retriever_adapter ? read_adapter(*config.retriever_adapter, retriever.config()).sha256 : "";
    hashes = fmt::format("{} {}", retriever.weights_sha256(), adapter);
  }
  hashes = broadcast_string(communicator, hashes, 0);
  const std::string mined = fmt::format("{} {}", info.model_sha256, info.adapter_sha256);
  if (hashes == mined) return;
  const std::string file = config.file.string();
  TRIREME_CHECK(config.allow_stale, DataError, file,
                "negatives must be mined with mined.retriever, weights and adapter {}; got those of {}, {}; mine "
                "again, or set mined.allow_stale: true.",
                hashes, info.model, mined);
  if (communicator.rank() == 0) {
    log.warning("{} was mined with {}, not with {}: its negatives are stale, as allowed", file, info.model,
                config.retriever->string());
  }
}

}  // namespace

MinedNegatives open_mined(const MinedConfig& config, Communicator& communicator, Log& log) {
  MinedNegatives negatives(config.file);
  if (config.retriever) require_fresh(config, negatives.info(), communicator, log);
  return negatives;
}

std::optional<MinedNegatives> open_mined(const std::optional<MinedConfig>& config, Communicator& communicator,
                                         Log& log) {
  if (!config) return std::nullopt;
  return open_mined(*config, communicator, log);
}

void tell_mined(const TrainingSet& set, const MinedNegatives& negatives, Log& log) {
  log.info("{}: {}", negatives.path().string(), in_words(negatives.info().prior));
  for (const SourceSummary& source : set.summaries()) {
    log.info("{}: {} queries with negatives of {}, {} without any mined", source.name, source.pairs,
             negatives.info().model, source.without_negatives);
  }
}

}  // namespace trireme
