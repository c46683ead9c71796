#include "launch/doctor.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include <dlfcn.h>
#include <sys/statvfs.h>

#include <ATen/Parallel.h>
#include <torch/version.h>

#include "core/distributed/connect.h"
#include "core/error.h"
#include "core/io/hdf5.h"
#include "core/version.h"
#include "launch/cpu_settings.h"
#include "launch/environment.h"
#include "launch/gemm_rate.h"

namespace trireme {
namespace {

using State = Finding::State;

constexpr double kBytesPerGiB = 1024.0 * 1024.0 * 1024.0;

/// The value of the first "key : value" line of a /proc file; "" when there is none.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

Finding examine_cpu() {
  std::istringstream flags(proc_value("/proc/cpuinfo", "flags"));
  std::string sets;
  for (std::string flag; flags >> flag;) {
    for (std::string_view known : {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}) {
      if (flag == known) sets += " " + flag;
    }
  }
  const auto granted = granted_cores();
  const std::string quota = granted ? fmt::format(" (a quota of {})", *granted) : "";
  return {State::kOk, "cpu",
          fmt::format("{}, {} cores allowed{},{}", proc_value("/proc/cpuinfo", "model name"), allowed_cores(), quota,
                      sets.empty() ? " no AVX2" : sets),
          ""};
}

Finding examine_memory() {
  const auto gib = [](const std::string& kib) { return std::strtod(kib.c_str(), nullptr) * 1024 / kBytesPerGiB; };
  return {State::kOk, "memory",
          fmt::format("{:.1f} GiB, {:.1f} GiB available", gib(proc_value("/proc/meminfo", "MemTotal")),
                      gib(proc_value("/proc/meminfo", "MemAvailable"))),
          ""};
}

/// Rate of square products in `dtype`, and their error against float64.
Finding examine_gemm(c10::ScalarType dtype, std::string_view name, double tolerance) {
  const GemmRate rate = measure_gemm(dtype);
  Finding finding{State::kOk, fmt::format("{} GEMM", name),
                  fmt::format("{:.0f} GFLOP/s on {} threads, relative error {:.1e}", rate.flops_per_s / 1e9,
                              at::get_num_threads(), rate.relative_error),
                  ""};
  if (rate.relative_error > tolerance) {
    finding.state = State::kWrong;
    finding.advice = "products are wrong: rebuild with -DTRIREME_MKL_FULL_DISPATCH=OFF and run doctor again";
  }
  return finding;
}

/// The GPUs by the driver's own library, so that a CPU build sees them too.
Finding examine_gpus() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    return {State::kAbsent, "gpu", "no NVIDIA driver",
            "none needed; for a GPU install the driver, then bash launch/setup.sh --cuda"};
  }
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  const auto name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  int devices = 0;
  if (!init || !count || !name || init(0) != 0 || count(&devices) != 0) {
    return {State::kWrong, "gpu", "a driver that does not start", "run nvidia-smi and see what it says"};
  }
  std::string names;
  for (int device = 0; device < devices; ++device) {
    std::array<char, 128> text{};
    name(text.data(), static_cast<int>(text.size()), device);
    names += fmt::format("{}{}", device == 0 ? "" : ", ", text.data());
  }
#ifdef TRIREME_CUDA
  constexpr auto kAdvice = "";
#else
  constexpr auto kAdvice = "this build uses the CPU only: bash launch/setup.sh --cuda";
#endif
  return {State::kOk, "gpu", fmt::format("{} ({})", devices, names), kAdvice};
}

Finding examine_nccl() {
  void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  const auto get_version = library ? reinterpret_cast<int (*)(int*)>(dlsym(library, "ncclGetVersion")) : nullptr;
  int version = 0;
  if (!get_version || get_version(&version) != 0) {
    return {State::kAbsent, "nccl", "not found", "needed for several GPUs only: bash launch/setup.sh --cuda"};
  }
  return {State::kOk, "nccl", fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100), ""};
}

Finding examine_openmp() {
  const ThreadWait wait = thread_wait();
  if (wait.bounded) return {State::kOk, "openmp", wait.detail, ""};
  return {State::kAbsent, "openmp", wait.detail,
          "beside other work set OMP_WAIT_POLICY=passive: up to 7 times as fast"};
}

Finding examine_mpi(const LaunchInfo& launch) {
  if (launch.launcher == Launcher::kOther) {
    return {State::kWrong, "mpi", fmt::format("{}; started by {}", mpi_library_version(), launch.other),
            "processes started so do not meet: use Open MPI's mpirun, or srun"};
  }
  return {State::kOk, "mpi",
          fmt::format("{}; {} in this run", mpi_library_version(),
                      launch.size == 1 ? "1 rank" : fmt::format("{} ranks", launch.size)),
          ""};
}

Finding examine_disk() {
  struct statvfs disk {};
  if (statvfs(".", &disk) != 0)
    return {State::kWrong, "disk", "this folder cannot be read", "change to another folder"};
  const double free_gib = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) / kBytesPerGiB;
  return {State::kOk, "disk", fmt::format("{:.1f} GiB free in this folder", free_gib), ""};
}

std::string_view state_word(State state) {
  switch (state) {
    case State::kOk:
      return "ok";
    case State::kAbsent:
      return "absent";
    case State::kWrong:
      return "wrong";
  }
  return {};
}

}  // namespace

std::vector<Finding> examine_machine(const LaunchInfo& launch) {
  std::vector<Finding> findings;
  findings.push_back({State::kOk, "trireme", std::string(version()), ""});
  findings.push_back({State::kOk, "libtorch", TORCH_VERSION, ""});
  findings.push_back(examine_cpu());
  findings.push_back(examine_memory());
  findings.push_back(
      {State::kOk, "mkl", mkl_full_dispatch() ? "AVX-512 code on every maker's processors" : "as it comes", ""});
  findings.push_back(examine_openmp());
  constexpr double kFloat32Tolerance = 1e-5, kBfloat16Tolerance = 1e-2;
  findings.push_back(examine_gemm(torch::kFloat32, "float32", kFloat32Tolerance));
  findings.push_back(examine_gemm(torch::kBFloat16, "bfloat16", kBfloat16Tolerance));
  findings.push_back(examine_gpus());
  findings.push_back(examine_nccl());
  findings.push_back(examine_mpi(launch));
  findings.push_back({State::kOk, "hdf5", hdf5_library_version(), ""});
  findings.push_back(examine_disk());
  return findings;
}

std::string describe_findings(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& f : findings) {
    out += fmt::format("{:<8}{:<16}{}{}{}\n", state_word(f.state), f.name, f.detail, f.advice.empty() ? "" : "; ",
                       f.advice);
  }
  return out;
}

}  // namespace trireme
