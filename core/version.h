#pragma once

#include <string>
#include <string_view>

namespace trireme {

/// "0.2.0": the version that CMake's project() names.
std::string_view version() noexcept;

/// "trireme 0.2.0": what files carry as created_by.
std::string created_by();

}  // namespace trireme
