#include "core/version.h"

#include <fmt/format.h>

namespace trireme {

std::string_view version() noexcept { return TRIREME_VERSION; }

std::string created_by() { return fmt::format("trireme {}", version()); }

}  // namespace trireme
