# SPDX-License-Identifier: MIT
#
# Builds libkvstore.so, and checks what it shows to programs and by which name
# they will look for it.

cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${BUILD_DIR}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${BUILD_DIR}"
    -D BUILD_SHARED_LIBS=ON -D KVSTORE_BUILD_TESTS=OFF
    -D "CMAKE_BUILD_TYPE=${CONFIG}" -D "CMAKE_C_COMPILER=${C_COMPILER}"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${CMAKE_COMMAND}" --build "${BUILD_DIR}"
  COMMAND_ERROR_IS_FATAL ANY)

set(library "${BUILD_DIR}/libkvstore.so")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -D "SOURCE_DIR=${SOURCE_DIR}" -D "NM=${NM}"
    -D "ARCHIVE=${TESTING_ARCHIVE}" -D "PRODUCT=${library}" -D CONFIG=Debug
    -P "${SOURCE_DIR}/tests/lint/check_symbols.cmake"
  COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${library}" soname REGEX "^libkvstore\\.so\\.0$")
if(NOT soname)
  message(FATAL_ERROR "libkvstore.so is not known as libkvstore.so.0")
endif()

execute_process(
  COMMAND "${BUILD_DIR}/kvstore" --version
  COMMAND_ERROR_IS_FATAL ANY)
