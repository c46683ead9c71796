# Compile settings shared by all of our targets, the precompiled header, and trireme_module().

# A cache of compilations is for those who go to and fro between branches: it makes a first build a quarter dearer, for
# it preprocesses each file and hashes the precompiled header.
if(TRIREME_CCACHE)
  find_program(TRIREME_CCACHE_PROGRAM ccache REQUIRED)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${TRIREME_CCACHE_PROGRAM}")
endif()

add_library(trireme_settings INTERFACE)
target_compile_features(trireme_settings INTERFACE cxx_std_20)
target_compile_options(trireme_settings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Werror;-Winvalid-pch;-Werror=invalid-pch;-fpch-preprocess>
  # GCC takes what stands in the file it was given for private to it; under unity that file only includes ours.
  $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>
  # Own CPU kernels are compiled for several instruction sets (target_clones); without contraction all give equal bits.
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>
  $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>)
if(TRIREME_SANITIZE)
  target_compile_options(trireme_settings INTERFACE -fsanitize=${TRIREME_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all
    # GCC 12 sees uninitialised values in instrumented copies of std::variant and std::regex (its bug 105562).
    -Wno-maybe-uninitialized)
  target_link_options(trireme_settings INTERFACE -fsanitize=${TRIREME_SANITIZE})
endif()
find_program(TRIREME_MOLD mold)
if(TRIREME_MOLD)
  target_link_options(trireme_settings INTERFACE -fuse-ld=mold)
endif()

# -O2; -O3 for modules with HOT_LOOPS; -O1 for what only reads options, checks, prints and calls others (COLD).
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(TRIREME_HOT_LOOPS "$<$<CONFIG:Release>:-O3>")
set(TRIREME_COLD_CODE "$<$<CONFIG:Release>:-O1>")

# One precompiled header for every target. Lean on purpose: each translation unit pays for what is in it.
add_library(trireme_pch STATIC "${PROJECT_SOURCE_DIR}/cmake/pch.cpp")
target_link_libraries(trireme_pch PRIVATE trireme_settings torchwheel::cpu fmt::fmt)
target_precompile_headers(trireme_pch PRIVATE "${PROJECT_SOURCE_DIR}/core/tensor.h" <fmt/format.h> <algorithm> <cstdint>
  <filesystem> <functional> <map> <memory> <optional> <span> <string> <string_view> <unordered_map> <vector>)

# What a file includes costs more than what it says: six of a module's files are compiled as one, so names in anonymous
# namespaces stand once in a module. Changing one file compiles six, 10 s at most.
set(TRIREME_UNITY_PROPERTIES UNITY_BUILD ${TRIREME_UNITY} UNITY_BUILD_BATCH_SIZE 6)

# trireme_module(NAME [HOT_LOOPS] [COLD] [APART] SOURCES ... HEADERS ... [DEPS ...] [PRIVATE_DEPS ...])
# A static library trireme::NAME. HEADERS are its public headers; each is also compiled alone (target
# all_verify_interface_header_sets). DEPS are other modules or imported targets that its headers need. HOT_LOOPS: own
# loops over numbers, bytes or pixels, worth the compiler's last effort. COLD: nothing in it is worth much of it. APART:
# each file is compiled alone.
function(trireme_module NAME)
  cmake_parse_arguments(ARG "HOT_LOOPS;COLD;APART" "" "SOURCES;HEADERS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(trireme_${NAME} STATIC ${ARG_SOURCES})
  add_library(trireme::${NAME} ALIAS trireme_${NAME})
  target_sources(trireme_${NAME} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${ARG_HEADERS})
  target_link_libraries(trireme_${NAME} PUBLIC torchwheel::cpu fmt::fmt ${ARG_DEPS}
    PRIVATE $<BUILD_INTERFACE:trireme_settings> ${ARG_PRIVATE_DEPS})
  target_compile_features(trireme_${NAME} PUBLIC cxx_std_20)
  target_precompile_headers(trireme_${NAME} REUSE_FROM trireme_pch)
  if(NOT ARG_APART)
    set_target_properties(trireme_${NAME} PROPERTIES ${TRIREME_UNITY_PROPERTIES})
  endif()
  if(ARG_HOT_LOOPS)
    target_compile_options(trireme_${NAME} PRIVATE ${TRIREME_HOT_LOOPS})
  elseif(ARG_COLD)
    target_compile_options(trireme_${NAME} PRIVATE ${TRIREME_COLD_CODE})
  endif()
  set_target_properties(trireme_${NAME} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON EXPORT_NAME ${NAME})
  set_property(GLOBAL APPEND PROPERTY TRIREME_MODULES trireme_${NAME})
endfunction()
