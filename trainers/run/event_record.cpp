#include "trainers/run/event_record.h"

#include <bit>
#include <concepts>

#include "trainers/run/crc32c.h"

namespace trireme {
namespace {

template <std::unsigned_integral T>
std::string little_endian(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

// Protobuf's wire format: a key (field number and type) before each value.
enum class WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string key(uint64_t field, WireType type) { return varint((field << 3) | static_cast<uint64_t>(type)); }
std::string bytes_field(uint64_t field, std::string_view bytes) {
  return key(field, WireType::kBytes) + varint(bytes.size()) + std::string(bytes);
}
std::string double_field(uint64_t field, double value) {
  return key(field, WireType::kFixed64) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string float_field(uint64_t field, float value) {
  return key(field, WireType::kFixed32) + little_endian(std::bit_cast<uint32_t>(value));
}
/// A field that is 0 is left out, as protobuf's own writers do.
std::string integer_field(uint64_t field, int64_t value) {
  return value == 0 ? "" : key(field, WireType::kVarint) + varint(static_cast<uint64_t>(value));
}

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian(std::rotr(crc, 15) + 0xa282ead8u);
}

std::string record(const std::string& event) {
  const std::string length = little_endian(uint64_t{event.size()});
  return length + masked_crc(length) + event + masked_crc(event);
}

std::string event_head(double wall_time_s, int64_t step) {
  constexpr uint64_t kWallTime = 1, kStep = 2;
  return double_field(kWallTime, wall_time_s) + integer_field(kStep, step);
}

}  // namespace

std::string version_record(double wall_time_s) {
  constexpr uint64_t kFileVersion = 3;
  return record(event_head(wall_time_s, 0) + bytes_field(kFileVersion, "brain.Event:2"));
}

std::string restart_record(double wall_time_s, int64_t step) {
  constexpr uint64_t kSessionLog = 7, kStatus = 1;
  constexpr int64_t kStart = 1;
  return record(event_head(wall_time_s, step) + bytes_field(kSessionLog, integer_field(kStatus, kStart)));
}

std::string scalars_record(double wall_time_s, int64_t step, std::span<const std::pair<std::string, double>> scalars) {
  constexpr uint64_t kSummary = 5, kValue = 1, kTag = 1, kSimpleValue = 2;
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(kValue, bytes_field(kTag, tag) + float_field(kSimpleValue, static_cast<float>(value)));
  }
  return record(event_head(wall_time_s, step) + bytes_field(kSummary, summary));
}

}  // namespace trireme
