#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace trireme {

/// What runs here, with what: start time, version, commit, compiler, build options, libtorch, MPI, instruction set,
/// ranks, compute threads, host, folder. For environment.json; nothing of it changes results on purpose.
nlohmann::ordered_json describe_environment(int64_t ranks);

std::string host_name();
/// "2026-11-21T15:04:05Z"
std::string utc_now();

}  // namespace trireme
