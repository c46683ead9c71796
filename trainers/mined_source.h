#pragma once

#include <optional>

#include "core/distributed/communicator.h"
#include "core/log.h"
#include "data/loader/training_set.h"
#include "data/sources/mined_config.h"
#include "data/sources/mined_negatives.h"

namespace trireme {

/// Opens what was mined. Refuses what was not mined with config.retriever, or warns of it under config.allow_stale;
/// nothing is compared when it is not set. Collective. cost: a rank of each host reads the
/// retriever's weights once.
/// throws DataError: the file, as MinedNegatives; another retriever, another adapter; a retriever that cannot be read.
MinedNegatives open_mined(const MinedConfig& config, Communicator& communicator, Log& log);
std::optional<MinedNegatives> open_mined(const std::optional<MinedConfig>& config, Communicator& communicator,
                                         Log& log);

/// How many queries of each source have negatives: those without any are left out of training.
void log_mined(const TrainingSet& set, const MinedNegatives& negatives, Log& log);

}  // namespace trireme
