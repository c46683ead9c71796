#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "models/qwen2_vl.h"

namespace trireme {

/// The model that a run has trained, as one of its checkpoints has it.
struct RunModel {
  Model model;                       ///< float32; LoRA unmerged
  std::filesystem::path base;        ///< hub folder that the run started from
  std::filesystem::path checkpoint;  ///< which checkpoint
  bool rslora = false;
};

/// Builds the model of RUN/config.yaml and sets what trained from the newest valid checkpoint, or from that of `step`.
/// throws DataError: no run directory, no valid checkpoint, a tensor missing or of another shape; a base that is not
///        the one the run was made with. ConfigError: the config does not fit this program.
RunModel load_run_model(const std::filesystem::path& run, std::optional<int64_t> step);

}  // namespace trireme
