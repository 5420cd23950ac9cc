# SPDX-License-Identifier: MIT
#
# Checks that each folder of src/ includes only those below it, and nothing
# private to them, without a circle among its own modules, that it has few
# floors, that no file is long, and that each .c file has its header. A module
# is a .c file and its header. Its floor is 1 above the highest of those that it
# uses in its folder.
# Needs SOURCE_DIR; OWED may name a file of known errors.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/folders.cmake")
set(src "${SOURCE_DIR}/src")
set(line_count_max 490)
set(floor_count_max 11)
set(errors "")
set(include_count 0)

function(check_include file module header)
  if(header STREQUAL "kvstore.h")
    return()
  endif()
  set(what "src/${file} includes \"${header}\"")
  string(REGEX REPLACE "\\.h$" "" used "${header}")
  kvstore_why_not_use("${module}" "${used}" reason)
  if(NOT header MATCHES "^[a-z]+/[a-z0-9_]+\\.h$" OR NOT EXISTS "${src}/${header}")
    list(APPEND errors "${what}, which is no header of src/FOLDER/")
  elseif(reason)
    list(APPEND errors "${what}: ${reason}")
  elseif(NOT used STREQUAL module)
    cmake_path(GET module PARENT_PATH folder)
    cmake_path(GET used PARENT_PATH used_folder)
    if(folder STREQUAL used_folder AND NOT used IN_LIST uses_${module})
      set(uses_${module} ${uses_${module}} "${used}" PARENT_SCOPE)
    endif()
  endif()
  set(errors "${errors}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE files RELATIVE "${src}" "${src}/*")
# What tools are told about a folder.
list(FILTER files EXCLUDE REGEX "/\\.clang-tidy$")
list(SORT files)
set(modules "")
foreach(file IN LISTS files)
  if(NOT file MATCHES "^([a-z]+)/([a-z0-9_]+)\\.([ch])$"
      OR NOT CMAKE_MATCH_1 IN_LIST kvstore_folders)
    list(JOIN kvstore_folders ", " known)
    list(APPEND errors "src/${file}: only .c and .h files in ${known}")
    continue()
  endif()
  set(folder "${CMAKE_MATCH_1}")
  set(module "${CMAKE_MATCH_1}/${CMAKE_MATCH_2}")
  if(NOT module IN_LIST modules)
    list(APPEND modules "${module}")
    list(APPEND modules_of_${folder} "${module}")
  endif()
  file(STRINGS "${src}/${file}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*\"")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^\"]*\"([^\"]*)\".*" "\\1" header "${line}")
    check_include("${file}" "${module}" "${header}")
    math(EXPR include_count "${include_count} + 1")
  endforeach()

  file(READ "${src}/${file}" text)
  if(file MATCHES "\\.h$")
    # A header whose functions are also in other files says so.
    string(REGEX REPLACE "\n \\*" " " text "${text}")
    string(REGEX MATCHALL "[Ii]mplemented in [a-z0-9_/., ]+" told "${text}")
    string(REGEX MATCHALL "[a-z0-9_]+\\.c" told "${told}")
    list(APPEND implemented_in_${folder} ${told})
  else()
    string(REGEX REPLACE "[^\n]" "" newlines "${text}")
    string(LENGTH "${newlines}" line_count)
    if(line_count GREATER line_count_max)
      list(APPEND errors "src/${file}: over ${line_count_max} lines")
    endif()
  endif()
endforeach()

# The commands of the program share the header commands.h.
foreach(file IN LISTS files)
  if(NOT file MATCHES "^([a-z]+)/([a-z0-9_]+)\\.c$")
    continue()
  endif()
  set(folder "${CMAKE_MATCH_1}")
  set(name "${CMAKE_MATCH_2}")
  if(NOT folder STREQUAL "cli" AND NOT EXISTS "${src}/${folder}/${name}.h"
      AND NOT "${name}.c" IN_LIST implemented_in_${folder})
    list(APPEND errors "src/${file}: no header is its own, and none says \
\"Implemented in ${name}.c\"")
  endif()
endforeach()

foreach(folder IN LISTS kvstore_folders)
  kvstore_find_floors(uses "${modules_of_${folder}}" floors circle)
  if(circle)
    kvstore_tell_circle(uses "${circle}" arrows)
    list(APPEND errors "src/${folder}: a circle of includes: ${arrows}")
  endif()
  if(floors GREATER floor_count_max)
    list(APPEND errors "src/${folder}: over ${floor_count_max} floors")
  endif()
endforeach()

if(include_count EQUAL 0)
  list(APPEND errors "no #include was found in ${src}")
endif()
kvstore_finish("${errors}" folders "${include_count} includes checked")
