#pragma once

#include <array>
#include <string_view>
#include <utility>

#include <c10/core/Device.h>

#include "core/distributed/connect.h"

namespace trireme {

class FieldList;

enum class DeviceChoice {
  kAuto,  ///< cuda where the program is built for it and this host has a GPU, else cpu
  kCpu,
  kCuda,  ///< the GPU with the number of the rank's place on its host
};
constexpr auto choice_names(DeviceChoice) {
  return std::to_array<std::pair<DeviceChoice, std::string_view>>(
      {{DeviceChoice::kAuto, "auto"}, {DeviceChoice::kCpu, "cpu"}, {DeviceChoice::kCuda, "cuda"}});
}

/// Option of the verbs that run a model.
struct DeviceOptions {
  DeviceChoice device = DeviceChoice::kAuto;

  void describe(FieldList& v);
};

/// The device of this rank's tensors; a GPU becomes this thread's current one.
/// throws ConfigError: cuda was asked for in a program built for the CPU, or the driver shows no GPU; more ranks than
/// GPUs on this host.
c10::Device choose_device(DeviceChoice choice, const LaunchInfo& launch);

}  // namespace trireme
