#include "models/nn/linear_product.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "models/nn/grad_mode.h"

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
void multiply_by_a(const torch::Tensor& x, const Linear& layer, LinearProduct& product) {
  const auto& terms = layer.lora;
  const auto wide = x.to(terms.front().a.scalar_type());
  if (std::none_of(product.masks.begin(), product.masks.end(), [](const auto& mask) { return mask.defined(); })) {
    product.low = at::mm(with_enough_rows(wide), stacked_a(terms).t());
    return;
  }
  std::vector<torch::Tensor> parts;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const auto& mask = product.masks[i];
    const auto input = mask.defined() ? apply_mask(wide, mask, terms[i].dropout) : wide;
    parts.push_back(at::mm(with_enough_rows(input), terms[i].a.t()));
  }
  product.low = parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

std::vector<torch::Tensor> masks_of(const Linear& layer, const DropoutRows* dropout, int64_t columns) {
  std::vector<torch::Tensor> masks(layer.lora.size());
  if (dropout == nullptr) return masks;
  for (std::size_t i = 0; i < masks.size(); ++i) {
    const LoraTerm& term = layer.lora[i];
    if (term.dropout > 0) masks[i] = dropout_mask(*dropout, term.path, term.dropout, columns);
  }
  return masks;
}

/// Every term in one pass over the rows.
template <class T>
void add_terms_by_kernel(const torch::Tensor& x, const Linear& layer, LinearProduct& product) {
  int64_t ranks = 0, begin = 0;
  for (const LoraTerm& term : layer.lora) ranks += term.a.size(0);
  product.low = at::empty({x.size(0), ranks}, x.options().dtype(torch::kFloat32));
  float* low = product.low.mutable_data_ptr<float>();
  T* y = product.y.mutable_data_ptr<T>();
  for (std::size_t i = 0; i < layer.lora.size(); ++i) {
    const LoraTerm& term = layer.lora[i];
    cpu::low_rank_forward(low_rank_term(term.a, term.b, term.scale, product.masks[i], term.dropout),
                          x.const_data_ptr<T>(), x.size(0), low + begin, ranks, y + term.row_begin,
                          product.y.stride(0));
    begin += term.a.size(0);
  }
}

void add_terms_by_kernel(const torch::Tensor& x, const Linear& layer, LinearProduct& product) {
  if (x.scalar_type() == torch::kFloat32) {
    add_terms_by_kernel<float>(x, layer, product);
  } else {
    add_terms_by_kernel<c10::BFloat16>(x, layer, product);
  }
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
    product.masks = masks_of(layer, dropout, x.size(1));
    if (low_rank_kernel_takes(x, layer.lora.front().a) && product.y.is_contiguous()) {
      add_terms_by_kernel(x.contiguous(), layer, product);
    } else {
      multiply_by_a(x, layer, product);
      add_terms(layer, product);
    }
  }
  if (product.y.size(0) != x.size(0)) {
    product.y = product.y.narrow(0, 0, x.size(0)).clone();
    if (product.low.defined()) product.low = product.low.narrow(0, 0, x.size(0));
  }
  return product;
}

bool low_rank_kernel_takes(const torch::Tensor& x, const torch::Tensor& a) {
  return has_cpu_kernel(x) && a.scalar_type() == torch::kFloat32 && cpu::has_low_rank();
}

cpu::LowRankTerm low_rank_term(const torch::Tensor& a, const torch::Tensor& b, double scale, const torch::Tensor& mask,
                               double dropout) {
  const auto* bits = mask.defined() ? reinterpret_cast<const uint16_t*>(mask.const_data_ptr<int16_t>()) : nullptr;
  return {a.const_data_ptr<float>(),
          b.const_data_ptr<float>(),
          a.size(0),
          a.size(1),
          b.size(0),
          static_cast<float>(scale),
          bits,
          static_cast<float>(1 / (1 - dropout))};
}

torch::Tensor stacked_a(const std::vector<LoraTerm>& terms) {
  if (terms.size() == 1) return terms.front().a;
  std::vector<torch::Tensor> parts;
  for (const LoraTerm& term : terms) parts.push_back(term.a);
  return at::cat(parts, 0);
}

}  // namespace trireme
