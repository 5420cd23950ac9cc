# SPDX-License-Identifier: MIT
#
# Checks that all C is laid out as .clang-format says; `clang-format -i FILE`
# does that.
# Needs SOURCE_DIR and CLANG_FORMAT.

cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE files
  "${SOURCE_DIR}/bench/*.[ch]"
  "${SOURCE_DIR}/examples/*.[ch]"
  "${SOURCE_DIR}/include/*.[ch]"
  "${SOURCE_DIR}/src/*.[ch]"
  "${SOURCE_DIR}/tests/*.[ch]")
execute_process(
  COMMAND "${CLANG_FORMAT}" --dry-run --Werror --style=file ${files}
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "clang-format -i on these files mends it")
endif()
