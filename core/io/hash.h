#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace trireme {

/// 64 lower-case hex digits.
std::string sha256_hex(std::span<const std::byte> bytes);
/// sha256 over the files' contents one after the other, in the order given; about 1.5 GB/s with SHA instructions.
std::string sha256_hex_of_files(std::span<const std::filesystem::path> paths);
/// For hash tables and cache keys, not for identity across machines.
uint64_t xxh3_64(std::span<const std::byte> bytes);

}  // namespace trireme
