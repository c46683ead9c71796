# cmake --install build/release --prefix P: the program, the library and its CMake package.
#   P/bin/trireme              starts from anywhere: libtorch is found where it was built with, or in P/lib/trireme
#   P/lib/trireme/             the modules; with TRIREME_INSTALL_LIBTORCH the libraries of the wheel that a CPU needs
#   P/include/trireme/         their headers
#   P/lib/cmake/trireme/       find_package(trireme): targets trireme::retrieval and all other modules
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/trireme")
set(_private_libraries "${CMAKE_INSTALL_LIBDIR}/trireme")

get_property(_modules GLOBAL PROPERTY TRIREME_MODULES)
install(TARGETS ${_modules} EXPORT trireme
  ARCHIVE DESTINATION "${_private_libraries}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/trireme")

set(_libtorch_folder "${TORCH_WHEEL_DIR}/lib")
if(TRIREME_INSTALL_LIBTORCH)
  # Beside each other, so that $ORIGIN finds them; libtorch_cpu's own rpath names the wheel's folders instead.
  file(GLOB _cuda_stubs "${TORCH_WHEEL_DIR}/../nvidia/*/lib/libcudart.so.13"
    "${TORCH_WHEEL_DIR}/../nvidia/*/lib/libcupti.so.13")
  install(FILES "${TorchWheel_torch_cpu}" "${TorchWheel_c10}" "${TorchWheel_gomp}" ${_cuda_stubs}
    DESTINATION "${_private_libraries}")
  set(_program_rpath "$ORIGIN/../${_private_libraries}")
else()
  set(_program_rpath "${_libtorch_folder}")
endif()
# DT_RPATH, not DT_RUNPATH: it is searched for what libtorch_cpu.so needs too.
target_link_options(trireme PRIVATE -Wl,--disable-new-dtags)
set_target_properties(trireme PROPERTIES INSTALL_RPATH "${_program_rpath}")
install(TARGETS trireme RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

install(EXPORT trireme NAMESPACE trireme:: DESTINATION "${_package}" FILE triremeTargets.cmake)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/triremeConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/triremeConfig.cmake" INSTALL_DESTINATION "${_package}" PATH_VARS TORCH_WHEEL_DIR
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/triremeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/triremeConfig.cmake" "${PROJECT_BINARY_DIR}/triremeConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindTorchWheel.cmake" "${CMAKE_CURRENT_LIST_DIR}/TriremeDependencies.cmake"
  DESTINATION "${_package}")
