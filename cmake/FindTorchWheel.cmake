# libtorch out of the PyPI wheel `torch`. The wheel's own TorchConfig.cmake is not used: it enables CUDA, wants the full
# CUDA toolkit at an exact version and leaks its C++ standard into CUDA targets.
#
#   TORCH_WHEEL_DIR   in: the wheel's torch/ folder; by default the private environment that launch/setup.sh makes
#   torchwheel::cpu   headers as SYSTEM, libtorch_cpu and libc10, rpath to torch/lib
#   torchwheel::gomp  the OpenMP runtime that libtorch_cpu itself uses: own parallel loops must run on the same threads
#   torchwheel::cuda  the same and libtorch_cuda, kept although no symbol of it is named (kernels register themselves)
if(NOT TORCH_WHEEL_DIR)
  file(GLOB _torch_wheel_candidates "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
  list(POP_FRONT _torch_wheel_candidates _torch_wheel_first)
  set(TORCH_WHEEL_DIR "${_torch_wheel_first}" CACHE PATH "torch/ folder of the installed PyPI wheel" FORCE)
endif()

find_path(TorchWheel_INCLUDE torch/script.h PATHS "${TORCH_WHEEL_DIR}/include" NO_DEFAULT_PATH)
foreach(_lib c10 torch_cpu c10_cuda torch_cuda)
  find_library(TorchWheel_${_lib} ${_lib} PATHS "${TORCH_WHEEL_DIR}/lib" NO_DEFAULT_PATH)
endforeach()
find_library(TorchWheel_gomp libgomp.so.1 PATHS "${TORCH_WHEEL_DIR}/lib" NO_DEFAULT_PATH)
if(EXISTS "${TORCH_WHEEL_DIR}/version.py")
  file(STRINGS "${TORCH_WHEEL_DIR}/version.py" _torch_version_line REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" TorchWheel_VERSION "${_torch_version_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TorchWheel
  REQUIRED_VARS TorchWheel_torch_cpu TorchWheel_c10 TorchWheel_gomp TorchWheel_INCLUDE
  VERSION_VAR TorchWheel_VERSION
  REASON_FAILURE_MESSAGE "run `bash launch/setup.sh`, or pass -DTORCH_WHEEL_DIR=.../site-packages/torch")

if(TorchWheel_FOUND AND NOT TARGET torchwheel::cpu)
  # The wheel's include/ also holds its own copies of fmt, pybind11, .., which would shadow Debian's (headers of fmt 12,
  # library of fmt 9: undefined symbols at link). Only torch's own folders are shown to the compiler.
  set(_torch_include "${PROJECT_BINARY_DIR}/torch_include")
  file(MAKE_DIRECTORY "${_torch_include}")
  foreach(_folder ATen c10 caffe2 torch)
    file(CREATE_LINK "${TorchWheel_INCLUDE}/${_folder}" "${_torch_include}/${_folder}" SYMBOLIC)
  endforeach()
  add_library(torchwheel::cpu INTERFACE IMPORTED)
  target_include_directories(torchwheel::cpu SYSTEM INTERFACE
    "${_torch_include}" "${_torch_include}/torch/csrc/api/include")
  target_link_libraries(torchwheel::cpu INTERFACE "${TorchWheel_torch_cpu}" "${TorchWheel_c10}")
  # As libtorch compiles itself: no header brings all operators, a file includes <ATen/ops/x.h> for those it calls.
  target_compile_definitions(torchwheel::cpu INTERFACE AT_PER_OPERATOR_HEADERS)
  # ld must not chase the nvidia/*.so that libtorch_cpu names; the loader finds them by libtorch_cpu's own rpath.
  target_link_options(torchwheel::cpu INTERFACE -Wl,--allow-shlib-undefined)

  add_library(torchwheel::gomp INTERFACE IMPORTED)
  target_link_libraries(torchwheel::gomp INTERFACE "${TorchWheel_gomp}")

  add_library(torchwheel::cuda INTERFACE IMPORTED)
  target_link_libraries(torchwheel::cuda INTERFACE torchwheel::cpu
    -Wl,--no-as-needed "${TorchWheel_torch_cuda}" "${TorchWheel_c10_cuda}" -Wl,--as-needed)
endif()
mark_as_advanced(TorchWheel_INCLUDE TorchWheel_c10 TorchWheel_torch_cpu TorchWheel_c10_cuda TorchWheel_torch_cuda
  TorchWheel_gomp)
