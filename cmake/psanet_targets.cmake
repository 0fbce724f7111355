# What every target of ours has in common.

find_program(PSANET_CCACHE ccache)
if(PSANET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PSANET_CCACHE})
endif()

add_library(psanet_flags INTERFACE)
target_include_directories(psanet_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(psanet_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Werror -fno-math-errno -fno-trapping-math>
  # GCC 12 and 13 see overlapping copies in plain std::string concatenations (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(PSANET_SANITIZE)
  # With sanitizers GCC sees uninitialised values where there are none (in the standard library, too).
  target_compile_options(psanet_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
  target_compile_options(psanet_flags INTERFACE -fsanitize=${PSANET_SANITIZE} -fno-omit-frame-pointer)
  if(PSANET_SANITIZE MATCHES "undefined")  # by itself it says what it saw and goes on, and the test passes
    target_compile_options(psanet_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
  target_link_options(psanet_flags INTERFACE -fsanitize=${PSANET_SANITIZE})
endif()

# psanet_library(NAME folder-relative-globs... ): one static library a folder, without what is below it and has a
# CMakeLists.txt of its own.
function(psanet_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${ARGN})
  foreach(source ${sources})
    get_filename_component(folder ${source} DIRECTORY)
    if(NOT folder STREQUAL CMAKE_CURRENT_SOURCE_DIR AND EXISTS ${folder}/CMakeLists.txt)
      list(REMOVE_ITEM sources ${source})
    endif()
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC psanet_flags)
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE psanet_flags)
  endif()
endfunction()
