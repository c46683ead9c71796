#include "core/distributed/ending.h"

namespace trireme {

std::optional<int64_t> speaking_rank(std::span<const std::optional<RankEnding>> endings) {
  for (const RankEnding::Kind kind : {RankEnding::Kind::kFailed, RankEnding::Kind::kDistFailed}) {
    for (std::size_t rank = 0; rank < endings.size(); ++rank) {
      if (endings[rank] && endings[rank]->kind == kind) return static_cast<int64_t>(rank);
    }
  }
  return std::nullopt;
}

}  // namespace trireme
