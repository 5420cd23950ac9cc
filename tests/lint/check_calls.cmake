# SPDX-License-Identifier: MIT
#
# Checks that modules call only those that they may include, and that there is
# no circle among the calls within a folder. Reads the symbols that each object
# defines and needs, compiled file by file: a declaration in the wrong place, or
# one repeated by hand, deceives the check of includes, but not this one.
# Needs NM and OBJECTS, separated by |; OWED may name a file of known errors.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/folders.cmake")
set(errors "")
set(modules "")
set(call_count 0)

string(REPLACE "|" ";" objects "${OBJECTS}")
foreach(object IN LISTS objects)
  if(NOT object MATCHES "/src/([a-z]+)/([a-z0-9_]+)\\.c\\.o(bj)?$")
    list(APPEND errors "${object}: not of a file src/FOLDER/NAME.c")
    continue()
  endif()
  set(folder "${CMAKE_MATCH_1}")
  set(module "${CMAKE_MATCH_1}/${CMAKE_MATCH_2}")
  list(APPEND modules "${module}")
  list(APPEND modules_of_${folder} "${module}")
  execute_process(
    COMMAND "${NM}" -g "${object}"
    OUTPUT_VARIABLE output
    COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[A-Za-z] kv[a-z]*_[A-Za-z0-9_]+" symbols "${output}")
  foreach(line IN LISTS symbols)
    string(SUBSTRING "${line}" 0 1 type)
    string(SUBSTRING "${line}" 2 -1 symbol)
    if(type STREQUAL "U")
      list(APPEND needs_${module} "${symbol}")
    else()
      set("home_of_${symbol}" "${module}")
    endif()
  endforeach()
endforeach()

foreach(module IN LISTS modules)
  foreach(symbol IN LISTS needs_${module})
    set(used "${home_of_${symbol}}")
    if(used STREQUAL "")
      continue()
    endif()
    math(EXPR call_count "${call_count} + 1")
    kvstore_why_not_use("${module}" "${used}" reason)
    cmake_path(GET module PARENT_PATH folder)
    cmake_path(GET used PARENT_PATH used_folder)
    if(reason)
      list(APPEND errors
        "src/${module}.c calls ${symbol} of src/${used}.c: ${reason}")
    elseif(folder STREQUAL used_folder AND NOT used IN_LIST calls_${module})
      list(APPEND calls_${module} "${used}")
    endif()
  endforeach()
endforeach()

foreach(folder IN LISTS kvstore_folders)
  kvstore_find_floors(calls "${modules_of_${folder}}" floors circle)
  if(circle)
    kvstore_tell_circle(calls "${circle}" arrows)
    list(APPEND errors "src/${folder}: a circle of calls: ${arrows}")
  endif()
endforeach()

if(call_count EQUAL 0)
  list(APPEND errors "no call between two files was found")
endif()
kvstore_finish("${errors}" calls "${call_count} names checked")
