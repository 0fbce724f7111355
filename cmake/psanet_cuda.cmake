# The CUDA backend: kernels/cuda compiled by nvcc (ON, or AUTO where the toolkit, cuBLASLt and cuDNN are found), or by the
# host compiler for the emulation that tests run without a GPU (EMULATED), or not at all (OFF).
#
# PSANET_CUDA_WHEELS: a folder that holds NVIDIA's Python wheels (site-packages/nvidia), where there is no other
# installation of cuDNN, cuBLAS or NCCL. nvcc itself comes from PATH, CUDACXX or CMAKE_CUDA_COMPILER.

set(PSANET_CUDA AUTO CACHE STRING "The CUDA backend: AUTO, ON, OFF or EMULATED")
set_property(CACHE PSANET_CUDA PROPERTY STRINGS AUTO ON OFF EMULATED)
set(PSANET_CUDA_WHEELS "" CACHE PATH "Folder of NVIDIA's Python wheels (site-packages/nvidia) to find cuDNN and cuBLAS in")

if(NOT PSANET_CUDA MATCHES "^(AUTO|ON|OFF|EMULATED)$")
  message(FATAL_ERROR "PSANET_CUDA is ${PSANET_CUDA}, want AUTO, ON, OFF or EMULATED")
endif()

# Sets PSANET_CUDA_MISSING to what is missing, or to nothing.
macro(psanet_find_cuda)  # a macro: languages are enabled in the caller's scope
  set(PSANET_CUDA_MISSING "")
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(PSANET_CUDA_MISSING "nvcc (set CUDACXX or PATH)")
  else()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})  # CMake reads CUDAARCHS itself
      # Ampere and Hopper, and PTX that later ones compile when the program starts.
      set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPU architectures")
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 and 13 can
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    endif()
    find_package(CUDAToolkit QUIET)
    # A wheel is a folder with include and lib. They come before the toolkit: whoever names them wants them.
    set(wheels "")
    if(PSANET_CUDA_WHEELS)
      file(GLOB wheels LIST_DIRECTORIES true "${PSANET_CUDA_WHEELS}/*")
    endif()
    foreach(library cudart_static cublasLt cudnn)  # wheels have no lib<name>.so, only the one with the version
      find_library(PSANET_LIB_${library} NAMES_PER_DIR
        NAMES ${library} lib${library}.so.13 lib${library}.so.12 lib${library}.so.9
        HINTS ${wheels} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
      if(NOT PSANET_LIB_${library})
        string(APPEND PSANET_CUDA_MISSING " ${library}")
      endif()
    endforeach()
    find_path(PSANET_CUDNN_INCLUDE cudnn_graph.h HINTS ${wheels} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
    find_path(PSANET_CUBLAS_INCLUDE cublasLt.h HINTS ${wheels} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
    # CUPTI is for measuring only (bench/kernel_times.cpp): it may be missing.
    find_library(PSANET_LIB_cupti NAMES_PER_DIR NAMES cupti libcupti.so.13 libcupti.so.12
      HINTS ${wheels} ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/extras/CUPTI PATH_SUFFIXES lib lib64)
    find_path(PSANET_CUPTI_INCLUDE cupti.h
      HINTS ${wheels} ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_ROOT}/extras/CUPTI PATH_SUFFIXES include)
    foreach(header CUDNN CUBLAS)
      if(NOT PSANET_${header}_INCLUDE)
        string(APPEND PSANET_CUDA_MISSING " headers of ${header}")
      endif()
    endforeach()
  endif()
endmacro()

set(PSANET_CUDA_BACKEND none)
if(PSANET_CUDA STREQUAL "EMULATED")
  set(PSANET_CUDA_BACKEND emulated)
elseif(NOT PSANET_CUDA STREQUAL "OFF")
  psanet_find_cuda()
  if(NOT PSANET_CUDA_MISSING)
    set(PSANET_CUDA_BACKEND real)
  elseif(PSANET_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PSANET_CUDA=ON, but not found: ${PSANET_CUDA_MISSING}; see docs/cuda.md")
  else()
    message(STATUS "no CUDA backend, not found: ${PSANET_CUDA_MISSING}")
  endif()
endif()
message(STATUS "CUDA backend: ${PSANET_CUDA_BACKEND}")

if(NOT PSANET_CUDA_BACKEND STREQUAL "none")
  target_compile_definitions(psanet_flags INTERFACE PSANET_HAS_CUDA=1)
endif()

# psanet_emulated_cuda(NAME STATIC|OBJECT): a library that takes the place of the CUDA backend: our kernels through the host
# compiler, loops where the vendor libraries would be. Called from the folder whose source properties it may set.
function(psanet_emulated_cuda name kind)
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
  file(GLOB host CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cpp ${CMAKE_SOURCE_DIR}/tests/emulation/*.cpp)
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  if(PSANET_SANITIZE MATCHES "thread")
    # The race detector must see the kernels, not the scheduler.
    set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/emulation/cuda_emulator.cpp
      ${CMAKE_SOURCE_DIR}/tests/emulation/cuda_runtime_emulation.cpp PROPERTIES
      COMPILE_OPTIONS "-fno-sanitize=all" COMPILE_DEFINITIONS PSANET_EMULATOR_TSAN)
  endif()
  add_library(${name} ${kind} ${kernels} ${host})
  target_link_libraries(${name} PUBLIC psanet_flags fmt::fmt)
  target_compile_definitions(${name} PUBLIC PSANET_CUDA_EMULATED="tests/emulation/cuda_runtime_emulation.h")
  target_compile_options(${name} PRIVATE -Wno-unknown-pragmas -Wno-pedantic
    -Wno-maybe-uninitialized)  # of rows that are loaded under a condition and used under the same one
endfunction()
