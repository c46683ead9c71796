#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace trireme::cpu {

inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/// Cache-line aligned floats.
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<float*>(std::aligned_alloc(64, round_up(count * sizeof(float), 64)))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
};

}  // namespace trireme::cpu
