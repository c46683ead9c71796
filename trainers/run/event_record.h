#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace trireme {

// Records of a TensorBoard event file: a TFRecord (length, data, and a masked CRC-32C of each) around a protobuf
// message tensorflow.Event. Only what curves need; pure functions, so that a golden file can hold them to the byte.
// Source: tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.h.

/// The first record of every file: Event{wall_time, file_version: "brain.Event:2"}.
std::string version_record(double wall_time_s);
/// Event{wall_time, step, session_log{status: START}}: TensorBoard drops what older files have from `step` on.
std::string restart_record(double wall_time_s, int64_t step);
/// Event{wall_time, step, summary{value{tag, simple_value}, ..}}.
std::string scalars_record(double wall_time_s, int64_t step, std::span<const std::pair<std::string, double>> scalars);

}  // namespace trireme
