# SPDX-License-Identifier: MIT
#
# Checks that the program is hardened: it can be loaded anywhere, binds all
# functions at the start, keeps data from being run, and guards its stack and
# its copies. Needs READELF, PROGRAM, LIBRARY and START_FILE, which the compiler
# links in front of a program; and, for what the compiler and the linker
# provide, HAS_STACK_PROTECTOR, HAS_CONTROL_FLOW, HAS_RELRO and
# HAS_FORTIFIED_CALLS.

cmake_minimum_required(VERSION 3.25)
set(errors "")

function(read_elf options file text_out)
  execute_process(
    COMMAND "${READELF}" ${options} "${file}"
    OUTPUT_VARIABLE text
    ERROR_QUIET
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "readelf cannot read ${file}")
  endif()
  set(${text_out} "${text}" PARENT_SCOPE)
endfunction()

function(expect is_expected text expression complaint)
  if(${is_expected} AND NOT text MATCHES "${expression}")
    list(APPEND errors "${complaint}")
    set(errors "${errors}" PARENT_SCOPE)
  endif()
endfunction()

read_elf("-hW" "${PROGRAM}" header)
read_elf("-dW" "${PROGRAM}" dynamic)
read_elf("-lW" "${PROGRAM}" segments)
read_elf("-sW" "${PROGRAM}" symbols)

expect(TRUE "${header}" "Type: +DYN" "it is loaded at a fixed address")
expect(TRUE "${dynamic}" "FLAGS_1[^\n]* PIE" "it is not marked as a PIE")
expect(TRUE "${segments}" "GNU_STACK[^\n]* RW +0x" "its stack can be run")
if("${segments}" MATCHES "LOAD[^\n]* RWE ")
  list(APPEND errors "some of its memory can be written and run")
endif()
expect(HAS_RELRO "${dynamic}" "FLAGS_1[^\n]* NOW" "it binds functions lazily")
expect(HAS_RELRO "${segments}" "GNU_RELRO" "what it has bound can be changed")
expect(HAS_STACK_PROTECTOR "${symbols}" "__stack_chk_fail"
  "its stack is not protected")
expect(HAS_FORTIFIED_CALLS "${symbols}" "__(v?f?s?n?printf|memcpy|p?read)_chk"
  "it makes no fortified calls")

# The linker marks a program with what all of its parts have, so the start file,
# which comes with the compiler, must have it, too.
if(HAS_CONTROL_FLOW)
  set(noted "x86 feature: IBT, SHSTK")
  read_elf("-nW" "${LIBRARY}" notes)
  expect(TRUE "${notes}" "${noted}" "the library does not control its jumps")
  set(start_notes "")
  if(EXISTS "${START_FILE}")
    read_elf("-nW" "${START_FILE}" start_notes)
  endif()
  if("${start_notes}" MATCHES "${noted}")
    read_elf("-nW" "${PROGRAM}" notes)
    expect(TRUE "${notes}" "${noted}" "it does not control where it jumps to")
  endif()
endif()

if(errors)
  list(JOIN errors "\n  " text)
  message(FATAL_ERROR "${PROGRAM}:\n  ${text}")
endif()
