#include "core/error.h"

namespace trireme {

Error::Error(int exit_code, std::string_view where, std::string_view text)
    : std::runtime_error(fmt::format("[{}] {}", where, text)), exit_code_(exit_code) {}
Error::~Error() = default;

ConfigError::ConfigError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
ConfigError::~ConfigError() = default;

DataError::DataError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
DataError::~DataError() = default;

ShapeError::ShapeError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
ShapeError::~ShapeError() = default;

DistError::DistError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
DistError::~DistError() = default;

DivergedError::DivergedError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
DivergedError::~DivergedError() = default;

InternalError::InternalError(std::string_view where, std::string_view text) : Error(kExitCode, where, text) {}
InternalError::~InternalError() = default;

}  // namespace trireme
