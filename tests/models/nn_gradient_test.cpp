#include <cmath>

#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include "core/rng.h"
#include "models/nn/activation.h"
#include "models/nn/attention.h"
#include "models/nn/dropout.h"
#include "models/nn/linear.h"
#include "models/nn/norm.h"
#include "models/nn/recompute.h"
#include "tests/models/golden_cases.h"
#include "tests/support/gradient_check.h"

namespace trireme {
namespace {

using test::gradient_error;
using test::largest_difference;

constexpr double kGradcheckTolerance = 1e-7;  // of central differences at step 1e-6, gradients of order 10

torch::Tensor random(at::IntArrayRef shape, uint64_t seed, c10::ScalarType dtype = torch::kFloat64) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kFloat64).to(dtype);
}

struct Precision {
  c10::ScalarType dtype;
  double tolerance;  ///< of the largest difference over the largest value
};
constexpr Precision kFloat32{torch::kFloat32, 3e-6}, kBfloat16{torch::kBFloat16, 2e-2};

using Function = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

struct Gradients {
  torch::Tensor out;
  std::vector<torch::Tensor> of_inputs;
};
Gradients gradients(const Function& function, const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> leaves;
  for (const auto& input : inputs) leaves.push_back(input.detach().clone().set_requires_grad(true));
  Gradients result;
  result.out = function(leaves);
  result.out.backward(random(result.out.sizes(), 99).to(result.out.scalar_type()));
  for (const auto& leaf : leaves) result.of_inputs.push_back(leaf.grad());
  return result;
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return largest_difference(a.to(torch::kFloat64), b.to(torch::kFloat64)) / b.abs().max().item<double>();
}

/// The kernels' results and gradients in `precision` are those of `reference` in float64, on inputs of that precision.
void expect_kernels_follow(const Function& function, const Function& reference,
                           const std::vector<torch::Tensor>& inputs, const Precision& precision) {
  std::vector<torch::Tensor> narrow, wide;
  for (const auto& input : inputs) {
    narrow.push_back(input.to(precision.dtype));
    wide.push_back(narrow.back().to(torch::kFloat64));
  }
  const Gradients ours = gradients(function, narrow), expected = gradients(reference, wide);
  EXPECT_LT(relative_difference(ours.out, expected.out), precision.tolerance);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(relative_difference(ours.of_inputs[i], expected.of_inputs[i]), precision.tolerance) << "input " << i;
  }
}

/// What the recording forward gives has the bits of the plain one.
void expect_same_bits(const Function& function, const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> copies, leaves;
  for (const auto& input : inputs) {
    copies.push_back(input.clone());
    leaves.push_back(input.clone().set_requires_grad(true));
  }
  EXPECT_TRUE(at::equal(function(leaves).detach(), function(copies)));
}

torch::Tensor plain_rms_norm(const torch::Tensor& x, const torch::Tensor& weight) {
  return weight * x * at::rsqrt(at::mean(x * x, -1, true) + 1e-6);
}

TEST(NnGradient, RmsNorm) {
  const Function norm = [](const auto& in) { return rms_norm(in[0], in[1], 1e-6); };
  const Function plain = [](const auto& in) { return plain_rms_norm(in[0], in[1]); };
  EXPECT_LT(gradient_error(norm, {random({3, 21}, 1), random({21}, 2)}), kGradcheckTolerance);
  const std::vector<torch::Tensor> inputs{random({300, 83}, 3), 1 + 0.2 * random({83}, 4)};
  for (const Precision& precision : {kFloat32, kBfloat16}) expect_kernels_follow(norm, plain, inputs, precision);
  expect_same_bits(norm, {inputs[0].to(torch::kFloat32), inputs[1].to(torch::kFloat32)});
}

TEST(NnGradient, Swiglu) {
  const Function gated = [](const auto& in) { return swiglu(in[0]); };
  const Function plain = [](const auto& in) {
    return at::silu(in[0].narrow(1, 0, in[0].size(1) / 2)) * in[0].narrow(1, in[0].size(1) / 2, in[0].size(1) / 2);
  };
  EXPECT_LT(gradient_error(gated, {random({4, 18}, 1)}), kGradcheckTolerance);
  for (const Precision& precision : {kFloat32, kBfloat16}) {
    expect_kernels_follow(gated, plain, {2 * random({190, 154}, 2)}, precision);
  }
  expect_same_bits(gated, {random({190, 154}, 3, torch::kFloat32)});
}

TEST(NnGradient, QuickGelu) {
  const Function gelu = [](const auto& in) { return quick_gelu(in[0]); };
  const Function plain = [](const auto& in) { return in[0] * at::sigmoid(1.702 * in[0]); };
  EXPECT_LT(gradient_error(gelu, {random({4, 9}, 1)}), kGradcheckTolerance);
  for (const Precision& precision : {kFloat32, kBfloat16}) {
    expect_kernels_follow(gelu, plain, {2 * random({190, 77}, 2)}, precision);
  }
  expect_same_bits(gelu, {random({190, 77}, 3, torch::kFloat32)});
}

/// in: x, residual, weight, bias, then A and B of two terms on rows [0, 6) and [6, 11).
Linear layer_of(const std::vector<torch::Tensor>& in, double dropout) {
  Linear layer{in[2], in[3], {}};
  layer.lora.push_back({in[4], in[5], 0.5, 0, "q_proj", dropout});
  layer.lora.push_back({in[6], in[7], 2.0, 6, "k_proj", dropout});
  return layer;
}
std::vector<torch::Tensor> linear_inputs(int64_t rows, c10::ScalarType dtype) {
  return {random({rows, 9}, 1, dtype), random({rows, 11}, 2, dtype), random({11, 9}, 3, dtype),
          random({11}, 4, dtype),      random({2, 9}, 5, dtype),     random({6, 2}, 6, dtype),
          random({3, 9}, 7, dtype),    random({5, 3}, 8, dtype)};
}
DropoutRows rows_numbered(int64_t count) {
  return {7, 3, at::arange(count, at::TensorOptions(torch::kInt64)) * 5 + 11};
}

TEST(NnGradient, LinearWithLoraAndResidual) {
  for (const int64_t rows : {4, 20}) {  // the first is padded inside
    for (const double dropout : {0.0, 0.4}) {
      const DropoutRows numbers = rows_numbered(rows);
      const Function sum = [&](const auto& in) {
        return add_linear(in[1].clone(), in[0], layer_of(in, dropout), &numbers);
      };
      EXPECT_LT(gradient_error(sum, linear_inputs(rows, torch::kFloat64)), kGradcheckTolerance)
          << rows << " rows, dropout " << dropout;
      expect_same_bits(sum, linear_inputs(rows, torch::kFloat32));
      const Function alone = [&](const auto& in) { return linear(in[0], layer_of(in, dropout), &numbers); };
      expect_same_bits(alone, linear_inputs(rows, torch::kFloat32));
    }
  }
}

TEST(NnGradient, LinearIsThePlainFormula) {
  const Function ours = [](const auto& in) { return add_linear(in[1].clone(), in[0], layer_of(in, 0.5), nullptr); };
  const Function plain = [](const auto& in) {
    const auto low = [&](int64_t a) { return at::matmul(at::matmul(in[0], in[a].t()), in[a + 1].t()); };
    return in[1] + at::linear(in[0], in[2], in[3]) + at::cat({0.5 * low(4), 2.0 * low(6)}, 1);
  };
  expect_kernels_follow(ours, plain, linear_inputs(40, torch::kFloat64), kFloat32);
}

/// The kernel's float32 and bfloat16 against the formula in float64 with the same masks; widths that are no multiple of
/// a vector, ranks below and above one.
TEST(NnGradient, LowRankKernelFollowsTheFormula) {
  for (const int64_t rank : {1, 5, 16, 40}) {
    for (const double dropout : {0.0, 0.25}) {
      constexpr int64_t kRows = 700, kIn = 83, kOut = 131, kRowBegin = 7;
      const DropoutRows numbers = rows_numbered(kRows);
      const auto mask = dropout_mask(numbers, "q_proj", dropout, kIn);
      const Function ours = [&](const auto& in) {
        Linear layer{in[1], {}, {}};
        const auto a = in[2].to(torch::kFloat32), b = in[3].to(torch::kFloat32);  // as LoRA is kept
        layer.lora.push_back({a, b, 0.7, kRowBegin, "q_proj", dropout});
        return linear(in[0], layer, &numbers);
      };
      const Function plain = [&](const auto& in) {
        const auto kept = apply_mask(at::ones_like(in[0]).detach(), mask, dropout);
        const auto term = 0.7 * at::matmul(at::matmul(in[0] * kept, in[2].t()), in[3].t());
        return at::matmul(in[0], in[1].t()) + at::constant_pad_nd(term, {kRowBegin, kOut - kRowBegin - term.size(1)});
      };
      const std::vector<torch::Tensor> inputs{random({kRows, kIn}, 1), 0.1 * random({kOut, kIn}, 2),
                                              0.1 * random({rank, kIn}, 3), random({kOut - 20, rank}, 4)};
      for (const Precision& precision : {kFloat32, kBfloat16}) expect_kernels_follow(ours, plain, inputs, precision);
    }
  }
}

TEST(NnGradient, AFrozenMatrixOfAPairLeavesTheOtherTraining) {
  auto inputs = linear_inputs(20, torch::kFloat32);
  for (const int64_t trained : {4, 5}) {
    for (auto& input : inputs) input = input.detach();
    inputs[trained].set_requires_grad(true);
    linear(inputs[0], layer_of(inputs, 0)).sum().backward();
    ASSERT_TRUE(inputs[trained].grad().defined());
    EXPECT_GT(inputs[trained].grad().abs().max().item<double>(), 0);
  }
}

struct Heads {
  AttentionHeads heads;
  AttentionMask mask;
};
const std::vector<int64_t> kBounds{0, 1, 8, 45, 62};  // sequences of 1, 7, 37 and 17 rows

RotaryTable table_of(int64_t rows, int64_t dim) {
  const auto angles = at::rand({rows, dim / 2}, at::make_generator<at::CPUGeneratorImpl>(5), torch::kFloat32) * 6;
  return {at::cos(angles), at::sin(angles)};
}

torch::Tensor plain_attention(const torch::Tensor& qkv, const Heads& h, const RotaryTable& table) {
  const AttentionHeads& heads = h.heads;
  const auto cut = [&](int64_t first, int64_t count) {
    return qkv.narrow(1, first * heads.dim, count * heads.dim).unflatten(1, {count, heads.dim});
  };
  const auto turn = [&](const torch::Tensor& x) {
    const auto low = x.narrow(2, 0, heads.dim / 2), high = x.narrow(2, heads.dim / 2, heads.dim / 2);
    const auto cos = table.cos.to(torch::kFloat64).unsqueeze(1), sin = table.sin.to(torch::kFloat64).unsqueeze(1);
    return at::cat({low * cos - high * sin, high * cos + low * sin}, 2);
  };
  const int64_t group = heads.query / heads.key_value;
  const auto q = turn(cut(0, heads.query)), k = turn(cut(heads.query, heads.key_value)).repeat_interleave(group, 1),
             v = cut(heads.query + heads.key_value, heads.key_value).repeat_interleave(group, 1);
  std::vector<torch::Tensor> parts;
  for (std::size_t i = 1; i < kBounds.size(); ++i) {
    const int64_t begin = kBounds[i - 1], length = kBounds[i] - begin;
    const auto of = [&](const torch::Tensor& x) { return x.narrow(0, begin, length).transpose(0, 1); };
    auto scores = at::matmul(of(q), of(k).transpose(1, 2)) / std::sqrt(static_cast<double>(heads.dim));
    if (h.mask == AttentionMask::kCausal) {
      scores = scores.masked_fill(at::ones({length, length}, torch::kBool).triu(1), -INFINITY);
    }
    parts.push_back(at::matmul(at::softmax(scores, -1), of(v)).transpose(0, 1).flatten(1));
  }
  return at::cat(parts, 0);
}

class AttentionGradient : public testing::TestWithParam<Heads> {};

TEST_P(AttentionGradient, IsThatOfThePlainFormula) {
  const Heads& h = GetParam();
  const int64_t rows = kBounds.back(), width = (h.heads.query + 2 * h.heads.key_value) * h.heads.dim;
  const RotaryTable table = table_of(rows, h.heads.dim);
  const Seqlens seqlens = make_seqlens(kBounds, torch::kCPU);
  const Function ours = [&](const auto& in) { return rotary_attention(in[0], h.heads, table, seqlens, h.mask); };
  const Function plain = [&](const auto& in) { return plain_attention(in[0], h, table); };
  for (const Precision& precision : {Precision{torch::kFloat64, 1e-12}, kFloat32, kBfloat16}) {
    expect_kernels_follow(ours, plain, {random({rows, width}, 17)}, precision);
  }
  expect_same_bits(ours, {random({rows, width}, 18, torch::kFloat32)});
}

/// Groups of 1, 2, 3 and 6 query heads, head widths of one to nine vectors, whole and cut ones, both masks.
INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionGradient,
    testing::Values(Heads{{2, 2, 16}, AttentionMask::kFull}, Heads{{4, 2, 64}, AttentionMask::kCausal},
                    Heads{{3, 1, 40}, AttentionMask::kCausal}, Heads{{6, 1, 128}, AttentionMask::kCausal},
                    Heads{{2, 2, 80}, AttentionMask::kFull}, Heads{{1, 1, 144}, AttentionMask::kFull}));

TEST(NnGradient, AttentionOfASequenceIsIndependentOfItsPack) {
  const AttentionHeads heads{4, 2, 16};
  const auto qkv = random({62, 128}, 3, torch::kFloat32);
  const RotaryTable table = table_of(62, 16);
  const auto gradient_of = [&](int64_t begin, int64_t end, const std::vector<int64_t>& bounds) {
    const RotaryTable part{table.cos.slice(0, begin, end), table.sin.slice(0, begin, end)};
    const auto leaf = qkv.slice(0, begin, end).clone().set_requires_grad(true);
    const auto out = rotary_attention(leaf, heads, part, make_seqlens(bounds, torch::kCPU), AttentionMask::kCausal);
    out.backward(qkv.slice(0, begin, end).narrow(1, 0, 64).contiguous());
    return leaf.grad();
  };
  EXPECT_TRUE(at::equal(gradient_of(0, 62, kBounds).slice(0, 8, 45), gradient_of(8, 45, {0, 37})));
}

TEST(Dropout, EveryBitIsItsOwnPhiloxNumber) {
  constexpr int64_t kColumns = 300;
  const DropoutRows rows{42, 5, at::tensor({int64_t{3}, (int64_t{1} << 62) + 9}, torch::kInt64)};
  const double p = 0.3;
  const auto mask = dropout_mask(rows, "model.layers.0.mlp.down_proj", p, kColumns);
  ASSERT_EQ(mask.sizes(), (std::vector<int64_t>{2, 19}));
  const uint64_t key = random_stream(42, "dropout.model.layers.0.mlp.down_proj", 5).next_uint64();
  for (int64_t row = 0; row < 2; ++row) {
    const auto id = static_cast<uint64_t>(rows.row_ids[row].item<int64_t>());
    for (int64_t column = 0; column < kColumns; ++column) {
      const int64_t in_block = column % 128, number = in_block / 16;
      const auto words = philox4x32({static_cast<uint32_t>(column / 128 * 16 + in_block % 16),
                                     static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32), 0},
                                    {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
      const uint32_t drawn = words[number / 2] >> (number % 2 * 16) & 0xFFFF;
      const bool kept = (static_cast<uint16_t>(mask[row][column / 16].item<int16_t>()) >> (column % 16) & 1) != 0;
      ASSERT_EQ(kept, drawn >= static_cast<uint32_t>(std::lround(p * 65536))) << row << ", " << column;
    }
  }
}

TEST(Dropout, KeepsTheShareAskedForAndScalesIt) {
  const DropoutRows rows = rows_numbered(500);
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat64}) {
    const auto x = at::ones({500, 333}, dtype);
    const auto y = apply_mask(x, dropout_mask(rows, "m", 0.05, 333), 0.05);
    EXPECT_NEAR((y == 0).to(torch::kFloat64).mean().item<double>(), 0.05, 0.003);
    EXPECT_NEAR(y.max().item<double>(), 1 / 0.95, dtype == torch::kBFloat16 ? 4e-3 : 1e-6);
  }
  EXPECT_TRUE(at::equal(apply_mask(at::ones({500, 333}), dropout_mask(rows, "m", 0, 333), 0), at::ones({500, 333})));
}

TEST(Dropout, MasksDifferByNameStepAndSeed) {
  const DropoutRows rows = rows_numbered(10);
  const auto mask = dropout_mask(rows, "a", 0.5, 64);
  EXPECT_TRUE(at::equal(mask, dropout_mask(rows, "a", 0.5, 64)));
  EXPECT_FALSE(at::equal(mask, dropout_mask(rows, "b", 0.5, 64)));
  EXPECT_FALSE(at::equal(mask, dropout_mask({rows.seed, rows.step + 1, rows.row_ids}, "a", 0.5, 64)));
  EXPECT_FALSE(at::equal(mask, dropout_mask({rows.seed + 1, rows.step, rows.row_ids}, "a", 0.5, 64)));
}

TEST(Recompute, PassesGradientsToParametersWhenTheInputAsksForNone) {
  const auto x = random({5, 3}, 1);
  auto weight = random({3, 3}, 2).set_requires_grad(true);
  const auto block = [weight](const torch::Tensor& in) { return at::matmul(in, weight).tanh(); };
  const auto gradient = [&](const torch::Tensor& y) {
    weight.mutable_grad() = torch::Tensor();
    y.sum().backward();
    return weight.grad().clone();
  };
  const auto plain = gradient(block(x));
  EXPECT_TRUE(at::equal(gradient(recompute(block, x, {weight})), plain));
}

}  // namespace
}  // namespace trireme
