# SPDX-License-Identifier: MIT
#
# Builds the examples with the installed files, runs them, and compares what they
# print. The one in Python needs a shared library, and python3.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/outside.cmake")

set(build "${WORK_DIR}/examples")
set(data "${build}/data")
file(REMOVE_RECURSE "${build}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${SOURCE_DIR}/examples" -B "${build}"
    -D "CMAKE_C_COMPILER=${C_COMPILER}" -D "CMAKE_PREFIX_PATH=${prefix}"
    -D "CMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Werror"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${CMAKE_COMMAND}" --build "${build}"
  COMMAND_ERROR_IS_FATAL ANY)
file(MAKE_DIRECTORY "${data}")
set(ENV{LD_LIBRARY_PATH} "${prefix}/${LIB_DIR}")

# Runs a program with arguments, and with input.txt as its standard input.
function(expect expected program)
  execute_process(
    COMMAND ${program} ${ARGN}
    INPUT_FILE "${build}/input.txt"
    OUTPUT_VARIABLE output
    COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "${program} ${ARGN} prints\n${output}not\n${expected}")
  endif()
endfunction()

# 2,500 lines, which are three batches, one of them not full.
set(lines "")
foreach(number RANGE 1 2500)
  string(APPEND lines "key:${number}\tvalue ${number}\n")
endforeach()
file(WRITE "${build}/input.txt" "${lines}")
set(program "${prefix}/${BIN_DIR}/kvstore")
expect("2500\n" "${build}/bulk_load" "${data}/loaded")
expect("value 2500\n" "${program}" --data-dir "${data}/loaded" get key:2500)

expect("100\n" "${build}/counter" "${data}/count" 4 25)
expect("104\n" "${build}/counter" "${data}/count" 1 4)

expect("computed: 49\n" "${build}/cache" "${data}/cache" 7 3600000)
expect("kept: 49\n" "${build}/cache" "${data}/cache" 7 3600000)
expect("computed: 64\n" "${build}/cache" "${data}/cache" 8 2000)
execute_process(COMMAND "${CMAKE_COMMAND}" -E sleep 3)
expect("computed: 64\n" "${build}/cache" "${data}/cache" 8 3600000)

string(CONCAT expected
  "watcher: set fruit:apple\n"
  "watcher: set fruit:lemon\n"
  "watcher: set fruit:plum\n"
  "watcher: remove fruit:lemon\n"
  "watcher: set fruit:~end\n"
  "iterator: fruit:apple old\n"
  "iterator: fruit:lemon old\n"
  "iterator: fruit:plum old\n")
expect("${expected}" "${build}/read_beside_writer" "${data}/fruits")

find_program(PYTHON NAMES python3)
if(PYTHON AND EXISTS "${prefix}/${LIB_DIR}/libkvstore.so")
  expect("114\n"
    "${PYTHON}" "${SOURCE_DIR}/examples/counter.py" "${data}/count" 10)
else()
  message(STATUS "counter.py was not run: no shared library, or no python3")
endif()
