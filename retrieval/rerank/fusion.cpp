#include "retrieval/rerank/fusion.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <vector>

#include <ATen/ops/empty.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "retrieval/search/search.h"

namespace trireme {
namespace {

constexpr std::string_view kWhere = "fusion";

double fused_score(double retrieval, double rank, const Fusion& fusion) {
  return fusion.form == FusionForm::kAlpha ? fusion.value * retrieval + (1 - fusion.value) * rank
                                           : retrieval + fusion.value * rank;
}

void check_shapes(const torch::Tensor& retrieval, const torch::Tensor& rank) {
  TRIREME_CHECK(retrieval.dim() == 2 && retrieval.scalar_type() == torch::kFloat32 && rank.dim() == 2 &&
                    rank.scalar_type() == torch::kFloat32 && rank.size(0) == retrieval.size(0) &&
                    rank.size(1) <= retrieval.size(1),
                ShapeError, kWhere,
                "scores must be [Q, K] float32 of the retriever and [Q, D] float32 of the reranker, D at most K; got "
                "{} {} and {} {}; rerank this run.",
                shape_string(retrieval), dtype_name(retrieval.scalar_type()), shape_string(rank),
                dtype_name(rank.scalar_type()));
}

/// One list. `rank` has the scores of its first documents.
struct ListFuser {
  std::span<const float> retrieval, rank;
  const IdAt& id;
  int64_t query;

  void fuse(const Fusion& fusion, std::span<int64_t> order, std::span<float> scores) const {
    std::vector<float> fused(rank.size());
    for (std::size_t i = 0; i < rank.size(); ++i) {
      TRIREME_CHECK(std::isfinite(rank[i]), DataError, kWhere,
                    "the reranker's scores must be finite; got {} for document {}; check the weights of the reranker.",
                    rank[i], quote_text(id(query, static_cast<int64_t>(i))));
      fused[i] = static_cast<float>(fused_score(retrieval[i], rank[i], fusion));
    }
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.begin() + std::ssize(rank), [&](int64_t a, int64_t b) {
      const float score_a = fused[static_cast<std::size_t>(a)], score_b = fused[static_cast<std::size_t>(b)];
      return score_a != score_b ? score_a > score_b : id(query, a) < id(query, b);
    });
    for (std::size_t i = 0; i < rank.size(); ++i) scores[i] = fused[static_cast<std::size_t>(order[i])];
    const std::size_t depth = rank.size();
    for (std::size_t i = depth; i < retrieval.size(); ++i) {
      scores[i] =
          depth == 0
              ? retrieval[i]
              : static_cast<float>(double{scores[depth - 1]} + (double{retrieval[i]} - double{retrieval[depth - 1]}));
    }
  }
};

}  // namespace

std::string fusion_text(const Fusion& fusion) {
  return fmt::format("{}={}", fusion.form == FusionForm::kAlpha ? "alpha" : "w", fusion.value);
}

Fusion parse_fusion(std::string_view text) {
  Fusion fusion;
  std::string_view number = text;
  if (number.starts_with("alpha=")) {
    number.remove_prefix(6);
  } else if (number.starts_with("w=")) {
    number.remove_prefix(2);
    fusion.form = FusionForm::kWeight;
  }
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fusion.value);
  TRIREME_CHECK(error == std::errc() && end == number.data() + number.size(), ConfigError, kWhere,
                "the fusion must be alpha=NUMBER (or the number alone) or w=NUMBER; got {}; write alpha=0.5.",
                quote_text(text));
  check_fusion(fusion, kWhere);
  return fusion;
}

void check_fusion(const Fusion& fusion, std::string_view where) {
  if (fusion.form == FusionForm::kAlpha) {
    TRIREME_CHECK(fusion.value >= 0 && fusion.value <= 1, ConfigError, where,
                  "alpha must be between 0 and 1; got {}; alpha 1 is the retriever alone, 0 the reranker.",
                  fusion.value);
  } else {
    TRIREME_CHECK(fusion.value >= 0 && std::isfinite(fusion.value), ConfigError, where,
                  "the weight of the reranker must be at least 0 and finite; got {}; 0 is the retriever alone.",
                  fusion.value);
  }
}

FusedLists fuse(const torch::Tensor& retrieval, const torch::Tensor& rank, const IdAt& id, const Fusion& fusion) {
  check_shapes(retrieval, rank);
  check_fusion(fusion, kWhere);
  const int64_t queries = retrieval.size(0);
  const auto depth = static_cast<std::size_t>(rank.size(1)), length = static_cast<std::size_t>(retrieval.size(1));
  const torch::Tensor ret = retrieval.contiguous(), ranked = rank.contiguous();
  FusedLists lists{at::empty(retrieval.sizes(), torch::kInt64), at::empty(retrieval.sizes(), torch::kFloat32)};
  for (int64_t query = 0; query < queries; ++query) {
    const std::size_t row = static_cast<std::size_t>(query);
    const std::size_t head = std::min(depth, static_cast<std::size_t>(list_length(ret, query)));
    const ListFuser list{std::span(ret.const_data_ptr<float>() + row * length, length),
                         std::span(ranked.const_data_ptr<float>() + row * depth, head), id, query};
    list.fuse(fusion, std::span(lists.order.mutable_data_ptr<int64_t>() + row * length, length),
              std::span(lists.scores.mutable_data_ptr<float>() + row * length, length));
  }
  return lists;
}

}  // namespace trireme
