# Everything comes from the system; nothing is downloaded at configure time (scripts/install-deps installs it).

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
if(NOT PSANET_KERNEL_TESTS_ONLY)
  find_package(nlohmann_json REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PNG REQUIRED)
  find_package(ZLIB REQUIRED)  # libpng's own; for MATLAB files
  find_package(LibArchive REQUIRED)
endif()

# Gloo (several ranks on processors) may be missing: then programs say so when they are asked for ranks.
option(PSANET_GLOO "Several ranks, where Gloo is found" ON)
if(PSANET_GLOO)
  find_path(GLOO_INCLUDE_DIR gloo/allreduce.h)
  find_library(GLOO_LIBRARY gloo)
  if(NOT GLOO_INCLUDE_DIR OR NOT GLOO_LIBRARY)
    message(STATUS "Gloo not found: one rank only")
  endif()
endif()

# oneDNN by file: Debian's dnnl-config.cmake wants OpenCL's development files, which neither it nor we use on the CPU.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
if(NOT TARGET DNNL::dnnl)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES
    IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
