#include "trainers/mined_source.h"

#include "answering/checkpoint_weights.h"
#include "answering/fingerprint_of.h"
#include "answering/model_inputs.h"
#include "core/error.h"

namespace trireme {
namespace {

/// What the retriever's folders decide, as they are now.
Fingerprint retriever_now(const MinedConfig& config, Communicator& communicator) {
  CheckpointWeights retriever({.path = *config.retriever, .adapter = config.retriever_adapter});
  Fingerprint now = retriever.fingerprint(communicator);
  if (const auto processor = image_processor_of(*config.retriever, retriever.config()))
    now.add(image_fingerprint(*processor));
  return now;
}

/// What a file says of its retriever; one of version 1 knows the hashes of the weights alone.
Fingerprint retriever_then(const HardNegativesInfo& info) {
  if (!info.fingerprint.empty()) return info.fingerprint;
  Fingerprint then;
  then.set(FingerprintPart::kWeights, info.model_sha256);
  then.set(FingerprintPart::kAdapterWeights, info.adapter_sha256.empty() ? "none" : info.adapter_sha256);
  return then;
}

void require_fresh(const MinedConfig& config, const HardNegativesInfo& info, Communicator& communicator, Log& log) {
  const std::string file = config.file.string();
  const Fingerprint then = retriever_then(info), now = retriever_now(config, communicator);
  const bool tells = communicator.rank() == 0;
  if (info.fingerprint.empty() && tells) {
    log.warning(
        "{} is of format version 1: its retriever's weights are compared, its tokenizer and the rest are not known",
        file);
  }
  // Pixel limits and prompts are options of mining, not the folder's.
  const auto parts = differing_parts(then, now, kFolderParts);
  if (parts.empty()) return;
  TRIREME_CHECK(config.allow_stale, DataError, file,
                "negatives must be mined with mined.retriever; got those of {}: {}; mine again, or set "
                "mined.allow_stale: true.",
                info.model, difference_of(then, now, parts));
  if (tells) {
    log.warning("{} was mined with {}, not with {}: its negatives are stale, as allowed; {}", file, info.model,
                config.retriever->string(), difference_of(then, now, parts));
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

void log_mined(const TrainingSet& set, const MinedNegatives& negatives, Log& log) {
  log.info("{}: {}", negatives.path().string(), in_words(negatives.info().prior));
  for (const SourceSummary& source : set.summaries()) {
    log.info("{}: {} queries with negatives of {}, {} without any mined", source.name, source.pairs,
             negatives.info().model, source.without_negatives);
  }
}

}  // namespace trireme
