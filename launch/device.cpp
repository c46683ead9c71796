#include "launch/device.h"

#include "core/config/field_list.h"
#include "core/error.h"
#ifdef TRIREME_CUDA
#include <c10/cuda/CUDAFunctions.h>
#endif

namespace trireme {

void DeviceOptions::describe(FieldList& v) {
  v.field("device", device, "Where the model runs; cuda gives each rank of a host a GPU of its own.")
      .no_effect_on_values();
}
static_assert(field_count<DeviceOptions>() == 1, "describe() must list every field");
#ifdef TRIREME_CUDA

c10::Device choose_device(DeviceChoice choice, const LaunchInfo& launch) {
  if (choice == DeviceChoice::kCpu) return c10::kCPU;
  const int64_t gpus = c10::cuda::device_count();
  if (choice == DeviceChoice::kAuto && gpus == 0) return c10::kCPU;
  TRIREME_CHECK(gpus > 0, ConfigError, "device",
                "--device cuda needs a GPU that the driver shows; got none; see `trireme doctor` and "
                "CUDA_VISIBLE_DEVICES, or say --device cpu.");
  TRIREME_CHECK(launch.local_size <= gpus && launch.local_rank < gpus, ConfigError, "device",
                "every rank of a host needs a GPU of its own; got {} ranks and {} GPUs; start fewer ranks, or say "
                "--device cpu.",
                launch.local_size, gpus);
  const auto index = static_cast<c10::DeviceIndex>(launch.local_rank);
  c10::cuda::set_device(index);
  return {c10::kCUDA, index};
}

#else

c10::Device choose_device(DeviceChoice choice, const LaunchInfo&) {
  TRIREME_CHECK(choice != DeviceChoice::kCuda, ConfigError, "device",
                "--device cuda needs a program built with -DTRIREME_CUDA=ON; got one built for the CPU; build it so "
                "(bash launch/setup.sh --cuda), or say --device cpu.");
  return c10::kCPU;
}

#endif
}  // namespace trireme
