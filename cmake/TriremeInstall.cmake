# cmake --install build/release --prefix P: the program, the library and its CMake package.
#   P/bin/trireme              starts from anywhere: libtorch is found where it was built with (rpath)
#   P/lib/trireme/             the modules
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

# DT_RPATH, not DT_RUNPATH: it is searched for what libtorch_cpu.so needs too.
target_link_options(trireme PRIVATE -Wl,--disable-new-dtags)
set_target_properties(trireme PROPERTIES INSTALL_RPATH "${TORCH_WHEEL_DIR}/lib")
install(TARGETS trireme RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

install(EXPORT trireme NAMESPACE trireme:: DESTINATION "${_package}" FILE triremeTargets.cmake)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/triremeConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/triremeConfig.cmake" INSTALL_DESTINATION "${_package}" PATH_VARS TORCH_WHEEL_DIR
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/triremeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/triremeConfig.cmake" "${PROJECT_BINARY_DIR}/triremeConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindTorchWheel.cmake" "${CMAKE_CURRENT_LIST_DIR}/TriremeDependencies.cmake"
  DESTINATION "${_package}")
