#pragma once

#include <string_view>

namespace trireme {

/// The commit that the program was built from, with "+changes" when files that git follows differed from it; "unknown"
/// outside a git checkout. Written by build_commit.cmake at every build.
std::string_view build_commit() noexcept;

}  // namespace trireme
