#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trireme {

/// The sha256 of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  /// 64 lower-case hex digits. Once, at the end.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> bytes);
/// sha256 over the files' contents one after the other, in the order given; about 1.5 GB/s with SHA instructions.
std::string sha256_hex_of_files(std::span<const std::filesystem::path> paths);
/// For hash tables and cache keys, not for identity across machines.
uint64_t xxh3_64(std::span<const std::byte> bytes);

}  // namespace trireme
