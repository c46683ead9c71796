#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace trireme {

/// How many single-character insertions, deletions, replacements and swaps of neighbours turn `a` into `b`. Case and
/// the difference between '-' and '_' do not count. cost |a| * |b|.
int64_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that a user who wrote `name` most likely meant: the nearest, the first of equals, and none when even
/// that one differs in more than a third of its characters. Names above 64 bytes are no typing errors: none.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace trireme
