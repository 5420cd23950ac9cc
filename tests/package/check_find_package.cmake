# SPDX-License-Identifier: MIT
#
# Uses the installed files with find_package(kvstore).

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/outside.cmake")

foreach(language IN ITEMS C CXX)
  set(build "${WORK_DIR}/find_package-${language}")
  file(REMOVE_RECURSE "${build}")
  set(compiler "")
  if(language STREQUAL "C")
    set(compiler "-DCMAKE_C_COMPILER=${C_COMPILER}")
  endif()
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${outside}" -B "${build}"
      -D LANGUAGE=${language} ${compiler} -D "CMAKE_PREFIX_PATH=${prefix}"
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" --build "${build}"
    COMMAND_ERROR_IS_FATAL ANY)
  run_outside("${build}/outside")
endforeach()
