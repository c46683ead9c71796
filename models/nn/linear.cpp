#include "models/nn/linear.h"

#include <algorithm>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "models/nn/grad_mode.h"

namespace trireme {
namespace {

/// BLAS takes other paths, with other sums, for products of few rows. From 16 rows on a row's bits are the same
/// whatever stands beside it, so that a sequence has one embedding, alone or packed.
constexpr int64_t kMinRows = 16;

torch::Tensor pad_rows(const torch::Tensor& x) { return at::constant_pad_nd(x, {0, 0, 0, kMinRows - x.size(0)}); }

bool too_few_rows(const torch::Tensor& x) { return x.is_cpu() && x.size(0) < kMinRows; }

bool records_gradient(const torch::Tensor& x, const Linear& layer) {
  if (trireme::records_gradient(x, layer.weight, layer.bias)) return true;
  return std::any_of(layer.lora.begin(), layer.lora.end(),
                     [](const LoraTerm& term) { return trireme::records_gradient(term.a, term.b); });
}

torch::Tensor low_rank_product(const torch::Tensor& x, const LoraTerm& term) {
  return at::mm(at::mm(x.to(term.a.scalar_type()), term.a.t()), term.b.t());
}

/// y plus every LoRA term, in y's memory.
void add_lora_in_place(torch::Tensor& y, const torch::Tensor& x, const Linear& layer) {
  for (const LoraTerm& term : layer.lora) {
    auto rows = y.narrow(1, term.row_begin, term.b.size(0));
    if (term.b.scalar_type() == y.scalar_type()) {
      rows.addmm_(at::mm(x.to(term.a.scalar_type()), term.a.t()), term.b.t(), 1, term.scale);
    } else {
      rows.copy_(low_rank_product(x, term).mul_(term.scale).add_(rows));
    }
  }
}

/// The same as a new tensor, piece by piece along the output.
torch::Tensor with_lora(const torch::Tensor& y, const torch::Tensor& x, const Linear& layer) {
  std::map<int64_t, torch::Tensor> sums;  // by first row; a module adapted twice has one sum
  for (const LoraTerm& term : layer.lora) {
    const auto delta = low_rank_product(x, term) * term.scale;
    auto& sum = sums[term.row_begin];
    sum = sum.defined() ? sum + delta : y.narrow(1, term.row_begin, term.b.size(0)) + delta;
  }
  std::vector<torch::Tensor> pieces;
  int64_t done = 0;
  for (const auto& [row_begin, sum] : sums) {
    if (row_begin > done) pieces.push_back(y.narrow(1, done, row_begin - done));
    pieces.push_back(sum.to(y.scalar_type()));
    done = row_begin + sum.size(1);
  }
  if (done < y.size(1)) pieces.push_back(y.narrow(1, done, y.size(1) - done));
  return at::cat(pieces, 1);
}

}  // namespace

torch::Tensor linear(const torch::Tensor& x, const Linear& layer) {
  if (too_few_rows(x)) return linear(pad_rows(x), layer).narrow(0, 0, x.size(0));
  auto y = at::linear(x, layer.weight, layer.bias.defined() ? std::optional(layer.bias) : std::nullopt);
  if (layer.lora.empty()) return y;
  if (records_gradient(x, layer)) return with_lora(y, x, layer);
  add_lora_in_place(y, x, layer);
  return y;
}

torch::Tensor add_linear(torch::Tensor residual, const torch::Tensor& x, const Linear& layer) {
  if (records_gradient(x, layer) || trireme::records_gradient(residual)) return residual + linear(x, layer);
  if (too_few_rows(x)) return add_linear(pad_rows(residual), pad_rows(x), layer).narrow(0, 0, x.size(0));
  residual.addmm_(x, layer.weight.t());
  if (layer.bias.defined()) residual.add_(layer.bias);
  add_lora_in_place(residual, x, layer);
  return residual;
}

}  // namespace trireme
