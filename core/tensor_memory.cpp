#include "core/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>

namespace trireme {

namespace {

/// In front of each tensor's data. libtorch wants a block's address to be its context, so what is known of the block
/// lies beside it; as wide as libtorch's alignment.
struct alignas(c10::gAlignment) Header {
  TensorMemory* counter;
  c10::Allocator* real;
  int64_t bytes;
};

}  // namespace

TensorMemory& TensorMemory::install() {
  constexpr uint8_t kPriority = 100;  // above libtorch's own
  auto* const counted = new TensorMemory(c10::GetCPUAllocator());
  c10::SetCPUAllocator(counted, kPriority);
  return *counted;
}

c10::DataPtr TensorMemory::allocate(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::kCPU)};
  auto* const header = static_cast<Header*>(real_->raw_allocate(bytes + sizeof(Header)));
  *header = {this, real_, static_cast<int64_t>(bytes)};
  const int64_t live = live_bytes_ += header->bytes;
  int64_t peak = peak_bytes_;
  while (live > peak && !peak_bytes_.compare_exchange_weak(peak, live)) {
  }
  return {header + 1, header + 1, &release, c10::Device(c10::kCPU)};
}

void TensorMemory::copy_data(void* to, const void* from, std::size_t bytes) const { real_->copy_data(to, from, bytes); }

void TensorMemory::release(void* data) {
  if (data == nullptr) return;
  Header* const header = static_cast<Header*>(data) - 1;
  header->counter->live_bytes_ -= header->bytes;
  header->real->raw_deallocate(header);
}

}  // namespace trireme
