#include "data/loader/image_digest.h"

#include <charconv>

#include <fmt/format.h>

#include "core/io/hash.h"

namespace trireme {

void ImageDigest::add(int64_t row, std::span<const std::byte> bytes) {
  constexpr std::size_t kLaneDigits = 16;
  const std::string text = fmt::format("{} {}", row, sha256_hex(bytes));
  const std::string hex = sha256_hex(std::as_bytes(std::span(text)));
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    uint64_t value = 0;
    const char* const digits = hex.data() + lane * kLaneDigits;
    std::from_chars(digits, digits + kLaneDigits, value, 16);
    lanes_[lane] += value;
  }
}

ImageDigest& ImageDigest::operator+=(const ImageDigest& other) {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) lanes_[lane] += other.lanes_[lane];
  return *this;
}

std::string ImageDigest::text() const {
  if (lanes_ == Lanes{}) return "none";
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", lanes_[0], lanes_[1], lanes_[2], lanes_[3]);
}

}  // namespace trireme
