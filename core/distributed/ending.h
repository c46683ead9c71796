#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/error.h"

namespace trireme {

/// How one rank's work ended.
struct RankEnding {
  enum class Kind {
    kFinished,    ///< the work returned
    kPeerFailed,  ///< it left because another rank failed
    kFailed,      ///< it failed by itself
    kDistFailed,  ///< a collective failed (timeout, ranks that differ): often the echo of another rank's failure
  };
  Kind kind = Kind::kFinished;
  /// 0..255, the process's exit code.
  int exit_code = 0;
};

/// The rank that tells the user why the job ends: the lowest that failed by itself, else the lowest whose collective
/// failed, else none. nullopt elements are ranks that were not heard of.
std::optional<int64_t> speaking_rank(std::span<const std::optional<RankEnding>> endings);

/// Thrown where this rank waits for ranks of which one has failed. A rank that ends by it stays silent: the failing
/// rank speaks, and all exit with its code.
struct PeerFailed : DistError {
  PeerFailed(int64_t failing_rank, int failing_exit_code)
      : DistError("dist", fmt::format("all ranks must go on; got rank {} failed with exit code {}; see its error line.",
                                      failing_rank, failing_exit_code)),
        rank(failing_rank),
        rank_exit_code(failing_exit_code) {}
  int64_t rank;
  int rank_exit_code;
};

}  // namespace trireme
