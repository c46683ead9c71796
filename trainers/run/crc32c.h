#pragma once

#include <cstdint>
#include <string_view>

namespace trireme {

/// CRC-32C (Castagnoli, RFC 3720, appendix B.4): what TFRecord files are checked with.
uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace trireme
