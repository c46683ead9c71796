#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "models/lmm.h"

namespace trireme {

/// One of a run's checkpoints.
struct CheckpointChoice {
  enum class Kind {
    kLast,  ///< the newest valid one
    kBest,  ///< the best by the run's validation
    kStep,  ///< that of a step
  };
  Kind kind = Kind::kLast;
  int64_t step = 0;  ///< of kStep
};
/// Reads "last", "best" or a number of steps; nullopt when it is none of them.
std::optional<CheckpointChoice> checkpoint_choice(std::string_view text);

/// The model that a run has trained, as one of its checkpoints has it.
struct RunModel {
  Lmm model;                         ///< float32; LoRA unmerged
  std::filesystem::path base;        ///< hub folder that the run started from
  std::filesystem::path checkpoint;  ///< which checkpoint
  std::string standing;              ///< what the checkpoint is in its run: "the newest, and the best by .."
  bool rslora = false;
};

/// Where what a run was made of is now, if not where its config says.
struct RunOrigin {
  std::optional<std::filesystem::path> base;     ///< in place of model.path
  std::optional<std::filesystem::path> adapter;  ///< in place of model.adapter
};

/// Builds the model of RUN/config.yaml and sets what trained from a checkpoint. A relative path of the config is looked
/// for from here, and then from the folder that the run was started in, which RUN/environment.json says.
/// throws DataError: no run directory, no valid checkpoint, no best one (a run without validation), a tensor missing or
///        of another shape; a base that is nowhere, or not the one the run was made with. ConfigError: the config does
///        not fit this program; an origin for an adapter that the run has not.
RunModel load_run_model(const std::filesystem::path& run, const CheckpointChoice& choice, const RunOrigin& origin = {});

}  // namespace trireme
