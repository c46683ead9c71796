#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace trireme {

/// How a reranker is asked. Source: LamRA (arXiv:2412.01720), sec. 3.4.
enum class RerankModes {
  kPointwise,  ///< each candidate alone: how much more likely Yes is than No
  kListwise,   ///< several candidates in one prompt: which of them is best
  kBoth,
};
constexpr auto choice_names(RerankModes) {
  return std::to_array<std::pair<RerankModes, std::string_view>>(
      {{RerankModes::kPointwise, "pointwise"}, {RerankModes::kListwise, "listwise"}, {RerankModes::kBoth, "both"}});
}
constexpr bool asks_pointwise(RerankModes modes) { return modes != RerankModes::kListwise; }
constexpr bool asks_listwise(RerankModes modes) { return modes != RerankModes::kPointwise; }

}  // namespace trireme
