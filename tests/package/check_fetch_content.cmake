# SPDX-License-Identifier: MIT
#
# Builds and installs a project that has kvstore in its tree, without any option
# for it, and then one that uses the first one's library.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/outside.cmake")

function(build source)
  cmake_path(GET source FILENAME name)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${WORK_DIR}/${name}"
      -D "CMAKE_C_COMPILER=${C_COMPILER}" ${ARGN}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" --build "${WORK_DIR}/${name}"
    COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
set(host "${CMAKE_CURRENT_LIST_DIR}/host")
build("${host}" -D "SOURCE_DIR=${SOURCE_DIR}" -D CMAKE_BUILD_TYPE=Debug)
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${WORK_DIR}/host" --prefix "${prefix}"
  COMMAND_ERROR_IS_FATAL ANY)
if(EXISTS "${prefix}/${BIN_DIR}/kvstore")
  message(FATAL_ERROR "the host installs kvstore's program, unasked")
endif()

build("${host}/user" -D "CMAKE_PREFIX_PATH=${prefix}")
run_outside("${WORK_DIR}/user/user")
