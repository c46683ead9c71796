#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

namespace trireme::test {

/// libtorch's CPU allocator, with the bytes of tensors counted. Installed once and never removed: tensors may be
/// released through it until the process ends.
class CountedMemory final : public c10::Allocator {
 public:
  static CountedMemory& install() {
    auto* const counted = new CountedMemory(c10::GetCPUAllocator());
    c10::SetCPUAllocator(counted, kPriority);
    return *counted;
  }
  int64_t live_bytes() const { return live_bytes_; }
  int64_t peak_bytes() const { return peak_bytes_; }
  void restart_peak() { peak_bytes_ = live_bytes_.load(); }

  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr real = real_->allocate(bytes);
    void* const data = real.get();
    const c10::Device device = real.device();
    auto* block = new Block{this, static_cast<int64_t>(bytes), std::move(real)};
    live_bytes_ += block->bytes;
    peak_bytes_ = std::max(peak_bytes_.load(), live_bytes_.load());
    return {data, block, &release, device};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { real_->copy_data(to, from, bytes); }

 private:
  explicit CountedMemory(c10::Allocator* real) : real_(real) {}
  static constexpr uint8_t kPriority = 100;
  struct Block {
    CountedMemory* counter;
    int64_t bytes;
    c10::DataPtr real;
  };
  static void release(void* block) {
    auto* mine = static_cast<Block*>(block);
    mine->counter->live_bytes_ -= mine->bytes;
    delete mine;
  }

  c10::Allocator* real_;
  std::atomic<int64_t> live_bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace trireme::test
