#pragma once

#include <utility>

#include <ATen/core/ivalue.h>

namespace trireme {

/// A value of any type for AutogradContext::saved_data. Tensors that need gradients do not belong in it: they would
/// keep their graph alive in a circle; they go through save_for_backward.
template <class T>
struct Capsule : torch::CustomClassHolder {
  explicit Capsule(T held) : value(std::move(held)) {}
  T value;
};

template <class T>
c10::IValue in_capsule(T value) {
  return c10::IValue::make_capsule(c10::make_intrusive<Capsule<T>>(std::move(value)));
}

/// `value` came out of in_capsule<T>.
template <class T>
T from_capsule(const c10::IValue& value) {
  return static_cast<const Capsule<T>&>(*value.toCapsule()).value;
}

}  // namespace trireme
