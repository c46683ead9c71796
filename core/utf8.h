#pragma once

#include <string_view>

namespace trireme {

/// Whether every byte belongs to a whole, shortest, legal UTF-8 sequence. Cost: some GB/s.
bool is_valid_utf8(std::string_view text);

}  // namespace trireme
