# SPDX-License-Identifier: MIT
#
# Have the tests run enough lines of the library? Those of the .c files in src/
# count, in whatever folder, as they were built for the tests; headers, the
# program and the tests do not. What a child of fork runs is not seen where it
# ends by _exit() or a signal.
# Needs GCOV, SOURCE_DIR and BINARY_DIR.

cmake_minimum_required(VERSION 3.25)
set(percent_min 90)

set(objects "${BINARY_DIR}/CMakeFiles/kvstore_testing.dir/src")
file(GLOB_RECURSE sources
  RELATIVE "${SOURCE_DIR}/src" "${SOURCE_DIR}/src/*.c")
list(FILTER sources EXCLUDE REGEX "^cli/")
if(NOT sources)
  message(FATAL_ERROR "no source was found in ${SOURCE_DIR}/src")
endif()
list(SORT sources)
set(all_lines 0)
set(all_run 0)
set(report "")
set(missed "")

foreach(source IN LISTS sources)
  set(data "${objects}/${source}.gcda")
  if(NOT EXISTS "${data}")
    message(FATAL_ERROR "${source}: no test has run any of it: ${data}")
  endif()
  # One line of text for each line of the source, "count:number:text"; count is
  # - where there is nothing to run, and ##### where nothing was.
  execute_process(
    COMMAND "${GCOV}" --stdout "${data}"
    WORKING_DIRECTORY "${objects}"
    OUTPUT_VARIABLE text
    ERROR_VARIABLE problem
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source}: ${problem}")
  endif()
  # Headers that the source includes have parts of their own.
  string(FIND "${text}" "0:Source:${SOURCE_DIR}/src/${source}" start)
  math(EXPR start "${start} + 2")
  string(SUBSTRING "${text}" ${start} -1 text)
  string(FIND "${text}" "0:Source:" end)
  string(SUBSTRING "${text}" 0 ${end} text)
  # These would be taken for those of a list.
  string(REGEX REPLACE "[];[\\]" "." text "${text}")
  string(REGEX MATCHALL "\n *([0-9]+\\*?|#####|=====): *[0-9]+:" marks "${text}")
  list(LENGTH marks lines)
  list(FILTER marks INCLUDE REGEX "#####|=====")
  list(LENGTH marks not_run)
  math(EXPR run "${lines} - ${not_run}")
  math(EXPR all_lines "${all_lines} + ${lines}")
  math(EXPR all_run "${all_run} + ${run}")
  math(EXPR tenths "${run} * 1000 / ${lines}")
  math(EXPR percent "${tenths} / 10")
  math(EXPR tenth "${tenths} % 10")
  string(APPEND report "${percent}.${tenth} %  ${source}  ${run} of ${lines}\n")
  if(not_run GREATER 0)
    string(REGEX REPLACE "[^0-9;]" "" numbers "${marks}")
    list(JOIN numbers " " numbers)
    string(APPEND missed "${source}: ${numbers}\n")
  endif()
endforeach()

math(EXPR tenths "${all_run} * 1000 / ${all_lines}")
math(EXPR percent "${tenths} / 10")
math(EXPR tenth "${tenths} % 10")
message("${report}${percent}.${tenth} %  all  ${all_run} of ${all_lines}")
message("\nLines that no test runs:\n${missed}")
if(percent LESS percent_min)
  message(FATAL_ERROR "fewer than ${percent_min} % of the lines were run")
endif()
