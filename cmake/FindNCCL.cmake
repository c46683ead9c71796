# NCCL for ranks with GPUs: nccl::nccl. The wheel's own copy (nvidia/nccl beside torch) is preferred, because a process
# must load exactly one libnccl.so.2 and libtorch_cuda loads that one; the CUDA toolkit's is for building where only the
# CPU part of the wheel is installed.
cmake_path(GET TORCH_WHEEL_DIR PARENT_PATH _site_packages)
find_path(NCCL_INCLUDE nccl.h
  HINTS "${_site_packages}/nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS})
find_library(NCCL_LIBRARY NAMES libnccl.so.2 nccl
  HINTS "${_site_packages}/nvidia/nccl/lib" ${CUDAToolkit_LIBRARY_DIR} "${CUDAToolkit_LIBRARY_ROOT}/lib")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE
  REASON_FAILURE_MESSAGE "run `bash launch/setup.sh --cuda`, or install NCCL 2.28 beside the CUDA toolkit")

if(NCCL_FOUND AND NOT TARGET nccl::nccl)
  add_library(nccl::nccl INTERFACE IMPORTED)
  target_include_directories(nccl::nccl SYSTEM INTERFACE "${NCCL_INCLUDE}")
  target_link_libraries(nccl::nccl INTERFACE "${NCCL_LIBRARY}")
endif()
mark_as_advanced(NCCL_INCLUDE NCCL_LIBRARY)
