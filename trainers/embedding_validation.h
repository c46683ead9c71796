#pragma once

#include <functional>
#include <optional>

#include "data/loader/data_config.h"
#include "evaluation/validation.h"
#include "trainers/model_source.h"
#include "trainers/run_validation.h"

namespace trireme {

/// Evaluates a live embedder on a benchmark; none without a config. Opens the benchmark and checks it against the
/// model; inputs are made as `data` makes them for training, without augmentation. Needs no weights before the first
/// evaluation, when `live` gives them, LoRA included. Borrows `model` and `live`'s.
/// throws what Validation and require_fits throw.
RunValidation embedding_validation(const std::optional<ValidationConfig>& config, const DataConfig& data,
                                   const ModelInputs& model, std::function<const Lmm&()> live);

}  // namespace trireme
