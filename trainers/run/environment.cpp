#include "trainers/run/environment.h"

#include <array>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "core/distributed/connect.h"
#include "core/version.h"
#include "trainers/run/build_commit.h"

namespace trireme {
namespace {

constexpr bool kWithCuda =
#ifdef TRIREME_CUDA
    true;
#else
    false;
#endif
constexpr bool kOptimized =
#ifdef NDEBUG
    true;
#else
    false;
#endif

}  // namespace

nlohmann::ordered_json describe_environment(int64_t ranks) {
  std::error_code ignored;
  return {
      {"started", utc_now()},
      {"trireme", version()},
      {"commit", build_commit()},
      {"compiler", "g++ " __VERSION__},
      {"optimized", kOptimized},
      {"cuda", kWithCuda},
      {"libtorch", TORCH_VERSION},
      {"mpi", mpi_library_version()},
      {"cpu_capability", at::get_cpu_capability()},
      {"ranks", ranks},
      {"threads_per_rank", at::get_num_threads()},
      {"host", host_name()},
      {"folder", std::filesystem::current_path(ignored).string()},
  };
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace trireme
