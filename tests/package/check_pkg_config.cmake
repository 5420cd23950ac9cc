# SPDX-License-Identifier: MIT
#
# Uses the installed files with pkg-config, without CMake.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/outside.cmake")

find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
find_program(CXX_COMPILER NAMES c++ g++ clang++ REQUIRED)

set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIB_DIR}/pkgconfig")
execute_process(
  COMMAND "${PKG_CONFIG}" --cflags --libs kvstore
  OUTPUT_VARIABLE flags
  COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")

set(work "${WORK_DIR}/pkg_config")
file(REMOVE_RECURSE "${work}")
file(MAKE_DIRECTORY "${work}")
execute_process(
  COMMAND "${C_COMPILER}" "${outside}/main.c" "${outside}/own_names.c"
    -o "${work}/c" ${flags}
  COMMAND_ERROR_IS_FATAL ANY)
run_outside("${work}/c")
execute_process(
  COMMAND "${CXX_COMPILER}" "${outside}/main.cpp" -o "${work}/cxx" ${flags}
  COMMAND_ERROR_IS_FATAL ANY)
run_outside("${work}/cxx")
