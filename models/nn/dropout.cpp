#include "models/nn/dropout.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "models/nn/cpu_kernels.h"
#include "models/nn/grad_mode.h"

namespace trireme {
namespace {

constexpr int64_t kBitsPerWord = 16;
constexpr int64_t kRowsPerThread = 64;

template <class T>
void apply_into(torch::Tensor& y, const torch::Tensor& x, const torch::Tensor& mask, double p) {
  const int64_t columns = x.size(1), words = mask.size(1);
  const T* from = x.const_data_ptr<T>();
  const auto* bits = reinterpret_cast<const uint16_t*>(mask.const_data_ptr<int16_t>());
  T* to = y.mutable_data_ptr<T>();
  parallel_for(x.size(0), kRowsPerThread, [&](int64_t begin, int64_t end) {
    cpu::apply_mask(from + begin * columns, bits + begin * words, static_cast<float>(1 / (1 - p)), end - begin, columns,
                    to + begin * columns);
  });
}

/// [T, columns] bool on the mask's device.
torch::Tensor unpacked(const torch::Tensor& mask, int64_t columns) {
  const auto bit = at::arange(kBitsPerWord, mask.options().dtype(torch::kInt32));
  const auto words = mask.to(torch::kInt32).unsqueeze(2);
  return words.__rshift__(bit).bitwise_and(1).to(torch::kBool).flatten(1).narrow(1, 0, columns);
}

}  // namespace

torch::Tensor dropout_mask(const DropoutRows& rows, const std::string& name, double p, int64_t columns) {
  TRIREME_ASSERT(p >= 0 && p < 1 && rows.row_ids.is_cpu() && rows.row_ids.scalar_type() == torch::kInt64,
                 "dropout {} of {}", p, name);
  const uint64_t key = random_stream(rows.seed, "dropout." + name, rows.step).next_uint64();
  const auto threshold = static_cast<uint32_t>(std::lround(p * (1 << kBitsPerWord)));
  const int64_t words = (columns + kBitsPerWord - 1) / kBitsPerWord;
  const auto ids = rows.row_ids.contiguous();
  auto mask = at::empty({ids.size(0), words}, at::TensorOptions(torch::kInt16));
  const int64_t* from = ids.const_data_ptr<int64_t>();
  auto* to = reinterpret_cast<uint16_t*>(mask.mutable_data_ptr<int16_t>());
  parallel_for(ids.size(0), kRowsPerThread, [&](int64_t begin, int64_t end) {
    cpu::dropout_mask(from + begin, end - begin, words, key, threshold, to + begin * words);
  });
  return mask;
}

torch::Tensor apply_mask(const torch::Tensor& x, const torch::Tensor& mask, double p) {
  if (!has_cpu_kernel(x)) return x * unpacked(mask.to(x.device()), x.size(1)) / (1 - p);
  const auto dense = x.contiguous();
  auto y = at::empty_like(dense);
  if (x.scalar_type() == torch::kFloat32) {
    apply_into<float>(y, dense, mask, p);
  } else {
    apply_into<c10::BFloat16>(y, dense, mask, p);
  }
  return y;
}

}  // namespace trireme
