#pragma once

#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

#include "core/tensor.h"

namespace trireme {

/// HDF5 keeps state of its own for the whole process, and Debian's build does not guard it: hold this over every call.
/// It also keeps the library's error report off the terminal.
std::unique_lock<std::recursive_mutex> lock_hdf5();

/// Why the library's last call failed: the innermost entry of its error stack. Call it under the same lock.
struct Hdf5Failure {
  std::string description;
  int error_number = 0;  ///< errno of the system call behind it, 0 when there was none
};
Hdf5Failure last_hdf5_failure();

/// Owns an identifier of the library.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close closer) noexcept : id_(id), close_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() { close(); }
  hid_t id() const noexcept { return id_; }
  /// False when the library failed at it; closed as far as it can be either way.
  bool close() noexcept;

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// The type in file and memory for a dtype (float32, float16, int64, int32); a ShapeError for others.
Hdf5Handle hdf5_number_type(c10::ScalarType dtype);
/// Variable-length UTF-8.
Hdf5Handle hdf5_string_type();

}  // namespace trireme
