#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "data/prompt/rerank_prompt.h"

namespace trireme {

class FieldList;

/// How many negatives stand in a list beside the positive; each number equally likely.
enum class ListNegatives {
  kReleased,  ///< 1 to 4, as LamRA's code draws
  kPaper,     ///< 2 to 5, as its paper says
};
constexpr auto choice_names(ListNegatives) {
  return std::to_array<std::pair<ListNegatives, std::string_view>>(
      {{ListNegatives::kReleased, "released"}, {ListNegatives::kPaper, "paper"}});
}

/// What happens where a query has fewer negatives than are to be drawn.
enum class ShortOfNegatives {
  kReleased,  ///< all that was found is drawn from, which may be positives: as LamRA's code does
  kStrict,    ///< a positive is never a negative: lists get shorter; a query without any negative is a DataError
};
constexpr auto choice_names(ShortOfNegatives) {
  return std::to_array<std::pair<ShortOfNegatives, std::string_view>>(
      {{ShortOfNegatives::kReleased, "released"}, {ShortOfNegatives::kStrict, "strict"}});
}

/// [samples] What LamRA-Rank (arXiv:2412.01720, sec. 3.4) makes of a query: a pair with the positive, answered
/// "Yes", one with a negative, answered "No", and a list.
struct RerankSamplesConfig {
  RerankSpacing spacing = RerankSpacing::kMaster;
  ListNegatives list_negatives = ListNegatives::kReleased;
  ShortOfNegatives short_of_negatives = ShortOfNegatives::kReleased;
  bool share_images = true;

  void describe(FieldList& v);
};

}  // namespace trireme
