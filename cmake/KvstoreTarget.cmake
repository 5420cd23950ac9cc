# SPDX-License-Identifier: MIT
#
# How every target of this project is compiled. These are functions rather than
# an interface target, so that no option reaches programs that link the library.

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)
include(GNUInstallDirs)

check_pie_supported(LANGUAGES C)

function(kvstore_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla)
endfunction()

# Adds a compiler option if the compiler accepts it.
function(kvstore_compile_option_if_taken target option)
  string(MAKE_C_IDENTIFIER "KVSTORE_HAS${option}" has_option)
  check_c_compiler_flag(${option} ${has_option})
  if(${has_option})
    target_compile_options(${target} PRIVATE ${option})
  endif()
endfunction()

# Does the same for the linker.
function(kvstore_link_option_if_taken target option)
  string(MAKE_C_IDENTIFIER "KVSTORE_HAS${option}" has_option)
  check_linker_flag(C ${option} ${has_option})
  if(${has_option})
    target_link_options(${target} PRIVATE ${option})
  endif()
endfunction()

# Counts how often lines are run, correctly even if threads run them at once.
function(kvstore_coverage target)
  target_compile_options(${target} PRIVATE
    --coverage -O0 -fprofile-update=atomic)
  target_link_options(${target} PUBLIC --coverage)
endfunction()

# The C library warns about a level that it, or the compiler, does not know.
block()
  set(CMAKE_REQUIRED_FLAGS
    "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror")
  check_c_source_compiles("
    #include <string.h>
    int main(int count, char **words)
    {
        return (int)strlen(words[count - 1]);
    }" KVSTORE_HAS_FORTIFY_3)
endblock()
set(KVSTORE_FORTIFY_LEVEL 2)
if(KVSTORE_HAS_FORTIFY_3)
  set(KVSTORE_FORTIFY_LEVEL 3)
endif()

# Adds sanitizers, or else what hardens a build for use.
function(kvstore_hardening target)
  if(KVSTORE_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${KVSTORE_SANITIZE} -fno-sanitize-recover=all
      -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC
      $<BUILD_INTERFACE:-fsanitize=${KVSTORE_SANITIZE}>)
    return()
  endif()
  kvstore_compile_option_if_taken(${target} -fstack-protector-strong)
  kvstore_compile_option_if_taken(${target} -fstack-clash-protection)
  # Restricts the targets of indirect branches and returns (x86).
  kvstore_compile_option_if_taken(${target} -fcf-protection=full)
  # Fortified calls exist only in optimised code. Some distributions define a
  # level of their own; redefining it would be a warning. In the library the
  # third level checks no more calls than the second, and a set takes a
  # twentieth longer.
  set(level ${KVSTORE_FORTIFY_LEVEL})
  get_target_property(type ${target} TYPE)
  if(type MATCHES "LIBRARY")
    set(level 2)
  endif()
  set(is_optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
  target_compile_options(${target} PRIVATE
    $<${is_optimised}:-U_FORTIFY_SOURCE>
    $<${is_optimised}:-D_FORTIFY_SOURCE=${level}>)
endfunction()

function(kvstore_compiled_as_usual target)
  target_compile_features(${target} PRIVATE c_std_11)
  set_target_properties(${target} PROPERTIES
    C_EXTENSIONS OFF
    C_STANDARD_REQUIRED ON
    POSITION_INDEPENDENT_CODE ON)
  # With 32 bits, large file sizes and times after 2038 must be asked for.
  target_compile_definitions(${target} PRIVATE
    _POSIX_C_SOURCE=200809L
    _FILE_OFFSET_BITS=64
    _TIME_BITS=64)
  kvstore_warnings(${target})
  kvstore_hardening(${target})
endfunction()

# A library from the sources in src/.
function(kvstore_library target)
  kvstore_compiled_as_usual(${target})
  # The code can be linked into shared objects, and is no slower for that.
  kvstore_compile_option_if_taken(${target} -fno-semantic-interposition)
  target_include_directories(${target}
    PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_include_directories(${target}
    SYSTEM PRIVATE ${KVSTORE_XXHASH_INCLUDE_DIR})
  target_link_libraries(${target} PRIVATE cJSON::cJSON Threads::Threads)
endfunction()

# A program that people run. If this library and cJSON are static ones, the
# program is linked without any shared one: it then starts as fast as /bin/true.
function(kvstore_program target)
  kvstore_compiled_as_usual(${target})
  if(KVSTORE_SANITIZE)
    return()
  endif()
  get_target_property(cjson_type cJSON::cJSON TYPE)
  get_target_property(kvstore_type kvstore TYPE)
  if("${kvstore_type},${cjson_type}" STREQUAL "STATIC_LIBRARY,STATIC_LIBRARY")
    check_linker_flag(C -static-pie KVSTORE_HAS_STATIC_PIE)
    if(KVSTORE_HAS_STATIC_PIE)
      # Among the libraries it comes after CMake's -pie, and so takes effect.
      target_link_libraries(${target} PRIVATE -static-pie)
    endif()
  endif()
  # The whole table of functions is bound at the start and read-only from then
  # on; no memory for data is executable.
  kvstore_link_option_if_taken(${target} -Wl,-z,relro,-z,now)
  kvstore_link_option_if_taken(${target} -Wl,-z,noexecstack)
endfunction()
