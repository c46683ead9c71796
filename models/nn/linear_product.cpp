#include "models/nn/linear_product.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

namespace trireme {
namespace {

/// BLAS takes other paths, with other sums, for products of few rows. From 16 rows on a row's bits are the same
/// whatever stands beside it, so that a sequence has one embedding, alone or packed.
constexpr int64_t kMinRows = 16;

torch::Tensor with_enough_rows(const torch::Tensor& x) {
  if (!x.is_cpu() || x.size(0) >= kMinRows) return x;
  return at::constant_pad_nd(x, {0, 0, 0, kMinRows - x.size(0)});
}

torch::Tensor base_product(const std::optional<torch::Tensor>& residual, const torch::Tensor& x, const Linear& layer,
                           Residual use) {
  if (!residual) return at::linear(x, layer.weight, layer.bias.defined() ? std::optional(layer.bias) : std::nullopt);
  auto sum = with_enough_rows(*residual);
  sum = use == Residual::kOverwrite ? sum.addmm_(x, layer.weight.t()) : at::addmm(sum, x, layer.weight.t());
  if (layer.bias.defined()) sum.add_(layer.bias);
  return sum;
}

/// A x of every term. Without dropout all read the same x and are one product.
void multiply_by_a(const torch::Tensor& x, const Linear& layer, const DropoutRows* dropout, LinearProduct& product) {
  const auto& terms = layer.lora;
  const auto wide = x.to(terms.front().a.scalar_type());
  product.masks.resize(terms.size());
  if (dropout == nullptr ||
      std::all_of(terms.begin(), terms.end(), [](const LoraTerm& term) { return term.dropout == 0; })) {
    product.low = at::mm(with_enough_rows(wide), stacked_a(terms).t());
    return;
  }
  std::vector<torch::Tensor> parts;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    auto input = wide;
    if (terms[i].dropout > 0) {
      product.masks[i] = dropout_mask(*dropout, terms[i].path, terms[i].dropout, x.size(1));
      input = apply_mask(wide, product.masks[i], terms[i].dropout);
    }
    parts.push_back(at::mm(with_enough_rows(input), terms[i].a.t()));
  }
  product.low = parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

void add_terms(const Linear& layer, LinearProduct& product) {
  int64_t begin = 0;
  for (const LoraTerm& term : layer.lora) {
    const int64_t rank = term.a.size(0);
    const auto low = product.low.narrow(1, begin, rank);
    auto rows = product.y.narrow(1, term.row_begin, term.b.size(0));
    if (term.b.scalar_type() == product.y.scalar_type()) {
      rows.addmm_(low, term.b.t(), 1, term.scale);
    } else {
      rows.copy_(at::mm(low, term.b.t()).mul_(term.scale).add_(rows));
    }
    begin += rank;
  }
}

}  // namespace

LinearProduct linear_product(const std::optional<torch::Tensor>& residual, const torch::Tensor& x, const Linear& layer,
                             const DropoutRows* dropout, Residual use) {
  LinearProduct product;
  product.y = base_product(residual, with_enough_rows(x), layer, use);
  if (!layer.lora.empty()) {
    multiply_by_a(x, layer, dropout, product);
    add_terms(layer, product);
  }
  if (product.y.size(0) != x.size(0)) {
    product.y = product.y.narrow(0, 0, x.size(0)).clone();
    if (product.low.defined()) product.low = product.low.narrow(0, 0, x.size(0));
  }
  return product;
}

torch::Tensor stacked_a(const std::vector<LoraTerm>& terms) {
  if (terms.size() == 1) return terms.front().a;
  std::vector<torch::Tensor> parts;
  for (const LoraTerm& term : terms) parts.push_back(term.a);
  return at::cat(parts, 0);
}

}  // namespace trireme
