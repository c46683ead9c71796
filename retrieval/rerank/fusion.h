#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/tensor.h"

namespace trireme {

/// How a retriever's score and a reranker's become one. Source: LamRA (arXiv:2412.01720), sec. 3.4; its released code.
enum class FusionForm {
  kAlpha,   ///< S = alpha * S_ret + (1 - alpha) * S_rank, as the paper has it (alpha 0.5)
  kWeight,  ///< S = S_ret + w * S_rank, as released; the order of alpha = 1 / (1 + w)
};
constexpr auto choice_names(FusionForm) {
  return std::to_array<std::pair<FusionForm, std::string_view>>(
      {{FusionForm::kAlpha, "alpha"}, {FusionForm::kWeight, "weight"}});
}

/// One form with its number. alpha 1 and weight 0 leave the retriever's order.
struct Fusion {
  FusionForm form = FusionForm::kAlpha;
  double value = 0.5;  ///< alpha in [0, 1]; w >= 0
  bool operator==(const Fusion&) const = default;
};

/// "alpha=0.5" or "w=0.5": what parse_fusion() reads.
std::string fusion_text(const Fusion& fusion);
/// "0.5" and "alpha=0.5" are alpha, "w=0.5" is the weight. throws ConfigError: anything else, or out of range.
Fusion parse_fusion(std::string_view text);
/// throws ConfigError naming `where`: alpha outside [0, 1], w below 0.
void check_fusion(const Fusion& fusion, std::string_view where);

/// Lists in a new order.
struct FusedLists {
  torch::Tensor order;   ///< [Q, K] int64: the place in the retriever's list of what now stands there
  torch::Tensor scores;  ///< [Q, K] float32, falling along each row
};

/// The id of the document at a place of the retriever's list.
using IdAt = std::function<std::string_view(int64_t query, int64_t place)>;

/// Re-orders the first D documents of every list by S; what comes after stays where it was.
///   S is taken in float64 and rounded once to float32; equal S are ordered by ascending bytes of the ids, as search()
///   does. The rest goes on below: score = least S of the first D + (S_ret - S_ret of the D-th), so that scores fall
///   along the whole list and keep the retriever's distances.
/// retrieval  [Q, K] float32, falling along each row; -infinity behind the end of a shorter list, as it stays.
/// rank       [Q, D] float32, 0 <= D <= K; D = 0 changes nothing.
/// throws     ShapeError: other shapes or dtypes. DataError: a rank score that is not finite (names its document).
FusedLists fuse(const torch::Tensor& retrieval, const torch::Tensor& rank, const IdAt& id, const Fusion& fusion);

}  // namespace trireme
