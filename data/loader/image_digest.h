#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trireme {

/// The contents of a record file's images as one value that does not depend on the order in which they come: the sum,
/// modulo 2^64 in each of four lanes, of sha256(row, sha256(bytes)). So threads and ranks add up what each has read.
class ImageDigest {
 public:
  using Lanes = std::array<uint64_t, 4>;

  ImageDigest() = default;
  explicit ImageDigest(const Lanes& lanes) : lanes_(lanes) {}
  /// bytes: of the image's file, or whatever is to stand for it. cost: about 1.5 GB/s.
  void add(int64_t row, std::span<const std::byte> bytes);
  ImageDigest& operator+=(const ImageDigest& other);
  const Lanes& lanes() const noexcept { return lanes_; }
  /// 64 hex digits; "none" when no image was added.
  std::string text() const;

 private:
  Lanes lanes_{};
};

}  // namespace trireme
