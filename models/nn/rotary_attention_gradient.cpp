#include <cmath>

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/nn/capsule.h"
#include "models/nn/cpu_attention.h"
#include "models/nn/gradients.h"

namespace trireme {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RotaryCall {
  AttentionHeads heads;
  RotaryTable table;
  Seqlens seqlens;
  AttentionMask mask;
};

template <class T>
torch::Tensor gradient(const torch::Tensor& grad, const torch::Tensor& qkv, const RotaryCall& call) {
  const AttentionHeads& heads = call.heads;
  const int64_t k_column = heads.query * heads.dim, v_column = k_column + heads.key_value * heads.dim;
  auto result = at::empty_like(qkv);
  const T* from = qkv.const_data_ptr<T>();
  T* to = result.mutable_data_ptr<T>();
  cpu::AttentionGradients<T> gradients{};
  cpu::AttentionCall<T>& forward = gradients.forward;
  forward.q = from;
  forward.k = from + k_column;
  forward.v = from + v_column;
  forward.q_stride = forward.k_stride = forward.v_stride = qkv.stride(0);
  forward.cos = call.table.cos.const_data_ptr<float>();
  forward.sin = call.table.sin.const_data_ptr<float>();
  forward.heads = heads.query;
  forward.kv_heads = heads.key_value;
  forward.dim = heads.dim;
  forward.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(heads.dim)));
  forward.causal = call.mask == AttentionMask::kCausal;
  gradients.grad_out = grad.const_data_ptr<T>();
  gradients.grad_out_stride = grad.stride(0);
  gradients.grad_q = to;
  gradients.grad_k = to + k_column;
  gradients.grad_v = to + v_column;
  gradients.grad_stride = result.stride(0);
  cpu::attention_backward(gradients, call.seqlens.bounds);
  return result;
}

struct RotaryAttention : torch::autograd::Function<RotaryAttention> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& qkv, const RotaryCall& call) {
    context->save_for_backward({qkv});
    context->saved_data["call"] = in_capsule(call);
    return rotary_attention(qkv, call.heads, call.table, call.seqlens, call.mask);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto qkv = context->get_saved_variables()[0], grad = grads[0].contiguous();
    const RotaryCall call = from_capsule<RotaryCall>(context->saved_data["call"]);
    return {qkv.scalar_type() == torch::kFloat32 ? gradient<float>(grad, qkv, call)
                                                 : gradient<c10::BFloat16>(grad, qkv, call),
            torch::Tensor()};
  }
};

}  // namespace

torch::Tensor rotary_attention_with_gradient(const torch::Tensor& qkv, const AttentionHeads& heads,
                                             const RotaryTable& table, const Seqlens& seqlens, AttentionMask mask) {
  return RotaryAttention::apply(qkv, RotaryCall{heads, table, seqlens, mask});
}

}  // namespace trireme
