#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trireme {

/// The contents of a record file's pictures as one value that does not depend on the order in which they come: the sum,
/// modulo 2^64 in each of four lanes, of sha256(row, sha256(bytes)). So threads and ranks add up what each has read.
class PictureDigest {
 public:
  using Lanes = std::array<uint64_t, 4>;

  PictureDigest() = default;
  explicit PictureDigest(const Lanes& lanes) : lanes_(lanes) {}
  /// bytes: of the picture's file, or whatever is to stand for it. cost: about 1.5 GB/s.
  void add(int64_t row, std::span<const std::byte> bytes);
  PictureDigest& operator+=(const PictureDigest& other);
  const Lanes& lanes() const noexcept { return lanes_; }
  /// 64 hex digits; "none" when no picture was added.
  std::string text() const;

 private:
  Lanes lanes_{};
};

}  // namespace trireme
