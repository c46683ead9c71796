#include "core/io/hdf5_library.h"

#include <charconv>
#include <string_view>

#include "core/error.h"
#include "core/shape.h"

namespace trireme {

std::unique_lock<std::recursive_mutex> lock_hdf5() {
  struct Library {
    // A file whose closing failed on a full disk stays half open in the library. Its handler at the end of the process
    // would write to it once more, and crashes; whatever is worth keeping was closed and checked before.
    Library() { H5dont_atexit(); }
    std::recursive_mutex mutex;
  };
  static Library library;
  std::unique_lock lock(library.mutex);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  return lock;
}

namespace {

/// The library has the errno only inside its text: "errno = 28, error message = '..'".
int error_number_in(std::string_view text) {
  constexpr std::string_view kKey = "errno = ";
  const std::size_t at = text.find(kKey);
  if (at == text.npos) return 0;
  int number = 0;
  std::from_chars(text.data() + at + kKey.size(), text.data() + text.size(), number);
  return number;
}

herr_t take_innermost(unsigned, const H5E_error2_t* entry, void* failure) {
  auto& out = *static_cast<Hdf5Failure*>(failure);
  const std::string_view text = entry->desc == nullptr ? "" : entry->desc;
  if (out.description.empty()) out.description = text;
  if (out.error_number == 0) out.error_number = error_number_in(text);
  return 0;
}

}  // namespace

Hdf5Failure last_hdf5_failure() {
  Hdf5Failure failure;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, &take_innermost, &failure);
  if (failure.description.empty()) failure.description = "no reason given";
  return failure;
}

bool Hdf5Handle::close() noexcept {
  if (id_ < 0) return true;
  const auto lock = lock_hdf5();
  return close_(std::exchange(id_, -1)) >= 0;
}

Hdf5Handle hdf5_number_type(c10::ScalarType dtype) {
  const auto lock = lock_hdf5();
  switch (dtype) {
    case torch::kFloat32:
      return {H5Tcopy(H5T_IEEE_F32LE), &H5Tclose};
    case torch::kInt64:
      return {H5Tcopy(H5T_STD_I64LE), &H5Tclose};
    case torch::kInt32:
      return {H5Tcopy(H5T_STD_I32LE), &H5Tclose};
    case torch::kFloat16: {
      // IEEE 754 binary16: sign at bit 15, 5 bits of exponent from bit 10 with bias 15, 10 bits of mantissa.
      Hdf5Handle type(H5Tcopy(H5T_IEEE_F32LE), &H5Tclose);
      const bool made = H5Tset_fields(type.id(), 15, 10, 5, 0, 10) >= 0 && H5Tset_ebias(type.id(), 15) >= 0 &&
                        H5Tset_precision(type.id(), 16) >= 0 && H5Tset_size(type.id(), 2) >= 0;
      TRIREME_ASSERT(made, "HDF5 refused the float16 type: {}", last_hdf5_failure().description);
      return type;
    }
    default:
      throw ShapeError("hdf5",
                       fmt::format("a dataset must be float32, float16, int64 or int32; got {}; convert it first.",
                                   dtype_name(dtype)));
  }
}

Hdf5Handle hdf5_string_type() {
  const auto lock = lock_hdf5();
  Hdf5Handle type(H5Tcopy(H5T_C_S1), &H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

std::string hdf5_library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace trireme
