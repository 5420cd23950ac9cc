# SPDX-License-Identifier: MIT
#
# Checks what every file of ours must have, and what none may.
# Needs SOURCE_DIR and VERSION.

cmake_minimum_required(VERSION 3.25)
set(errors "")
set(line_count_max 800)

set(folders .ci bench cmake docs examples include src tests)
set(files "")
foreach(folder IN LISTS folders)
  file(GLOB_RECURSE found RELATIVE "${SOURCE_DIR}" "${SOURCE_DIR}/${folder}/*")
  list(APPEND files ${found})
endforeach()
list(APPEND files CMakeLists.txt .clang-format .clang-tidy .editorconfig)

set(marks
  "^/\\* SPDX-License-Identifier: MIT \\*/\n"
  "^(#(!|compdef)[^\n]*\n)?# SPDX-License-Identifier: MIT\n")
foreach(file IN LISTS files)
  if(file MATCHES "\\.(c|h|cpp)$")
    list(GET marks 0 mark)
  elseif(file MATCHES "(CMakeLists\\.txt|owed\\.txt|\\.cmake|\\.cmake\\.in|\\.sh)$"
      OR file MATCHES "(\\.pl|\\.twin)$"
      OR file MATCHES "^tests/mutation/(equivalent\\.txt|run)$"
      OR file MATCHES "(\\.bash|\\.zsh|\\.fish|/_kvstore)$"
      OR file MATCHES "^(\\.ci/run|\\.clang-format|\\.clang-tidy|\\.editorconfig)$")
    list(GET marks 1 mark)
  else()
    continue()
  endif()
  file(READ "${SOURCE_DIR}/${file}" text)
  if(NOT text MATCHES "${mark}")
    list(APPEND errors "${file}: does not begin with its SPDX line")
  endif()
  if(NOT text MATCHES "\n$")
    list(APPEND errors "${file}: does not end in a newline")
  endif()
  if(text MATCHES "[ \t]\n")
    list(APPEND errors "${file}: white space at the end of a line")
  endif()
  if(NOT file MATCHES "\\.(c|h|cpp)$")
    continue()
  endif()

  string(REGEX REPLACE "[^\n]" "" newlines "${text}")
  string(LENGTH "${newlines}" line_count)
  if(line_count GREATER line_count_max AND file MATCHES "^src/")
    list(APPEND errors "${file}: ${line_count} lines, over ${line_count_max}")
  endif()
  if(text MATCHES "\t")
    list(APPEND errors "${file}: a tab, not spaces")
  endif()
  if(file MATCHES "^(src|include)/"
      AND NOT file STREQUAL "src/os/system.c" AND text MATCHES "_GNU_SOURCE")
    list(APPEND errors "${file}: only src/os/system.c may ask for _GNU_SOURCE")
  endif()
endforeach()

# Every test is run, since its folder's CMakeLists.txt names it.
foreach(file IN LISTS files)
  if(file MATCHES "^tests/(unit|fault|cli)/(test_)?([^/]+)\\.(c|sh)$")
    set(folder "${CMAKE_MATCH_1}")
    set(name "${CMAKE_MATCH_3}")
    file(READ "${SOURCE_DIR}/tests/${folder}/CMakeLists.txt" text)
    if(NOT name STREQUAL "support" AND NOT text MATCHES "[ (/]${name}[\n ).]")
      list(APPEND errors "${file}: not in tests/${folder}/CMakeLists.txt")
    endif()
  endif()
endforeach()

# One version everywhere.
file(READ "${SOURCE_DIR}/include/kvstore.h" header)
if(NOT header MATCHES "#define KVSTORE_VERSION \"${VERSION}\"")
  list(APPEND errors "kvstore.h: KVSTORE_VERSION is not ${VERSION}")
endif()
file(GLOB pages "${SOURCE_DIR}/docs/*.[1-9]")
foreach(page IN LISTS pages)
  file(STRINGS "${page}" title REGEX "^\\.TH ")
  if(NOT title MATCHES " \"kvstore ${VERSION}\" ")
    list(APPEND errors "${page}: is not of version ${VERSION}")
  endif()
endforeach()

list(JOIN errors "\n" errors)
if(errors)
  message(FATAL_ERROR "${errors}")
endif()
list(LENGTH files count)
message(STATUS "${count} files looked at")
