#pragma once

#include <atomic>
#include <cstdint>

#include <c10/core/Allocator.h>

namespace trireme {

/// libtorch's CPU allocator, with the bytes of tensors counted: those that live now, and the most that did at a time.
/// For measurements. Installed for the rest of the process, since tensors are released through it until that ends.
class TensorMemory final : public c10::Allocator {
 public:
  /// Takes the allocator's place; to be called once, before other threads allocate.
  static TensorMemory& install();

  int64_t live_bytes() const { return live_bytes_; }
  int64_t peak_bytes() const { return peak_bytes_; }
  void restart_peak() { peak_bytes_ = live_bytes_.load(); }

  c10::DataPtr allocate(size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

 private:
  explicit TensorMemory(c10::Allocator* real) : real_(real) {}
  static void release(void* data);

  c10::Allocator* real_;
  std::atomic<int64_t> live_bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace trireme
