# SPDX-License-Identifier: MIT
#
# What both ways of using the installed files share.

set(prefix "${WORK_DIR}/prefix")
set(outside "${CMAKE_CURRENT_LIST_DIR}/outside")

# Runs the outside program, which stores a value and prints what it reads back.
# One that pkg-config has linked is not told where a shared library is.
function(run_outside program)
  set(data "${program}-data")
  file(REMOVE_RECURSE "${data}")
  set(ENV{LD_LIBRARY_PATH} "${prefix}/${LIB_DIR}")
  execute_process(
    COMMAND "${program}" "${data}"
    OUTPUT_VARIABLE value
    COMMAND_ERROR_IS_FATAL ANY)
  if(NOT value STREQUAL "Alice\n")
    message(FATAL_ERROR "${program} says '${value}'")
  endif()
endfunction()
