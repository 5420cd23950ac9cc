# SPDX-License-Identifier: MIT
#
# Installs, moves the installed files, since none may depend on its first place,
# and compares them with what is promised. LIBRARY_FILES are separated by |.

cmake_minimum_required(VERSION 3.25)
set(first "${WORK_DIR}/first")
set(prefix "${WORK_DIR}/prefix")

file(REMOVE_RECURSE "${first}" "${prefix}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --config "${CONFIG}"
    --prefix "${first}"
  OUTPUT_QUIET
  COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${first}" "${prefix}")

string(TOLOWER "${CONFIG}" config)
if(NOT config)
  set(config noconfig)
endif()
string(REPLACE "|" ";" library_files "${LIBRARY_FILES}")
list(TRANSFORM library_files PREPEND "${LIB_DIR}/")
file(GLOB documents RELATIVE "${SOURCE_DIR}"
  "${SOURCE_DIR}/docs/*.md" "${SOURCE_DIR}/docs/plots/*.svg"
  "${SOURCE_DIR}/examples/*")
list(APPEND documents LICENSE README.md)
list(TRANSFORM documents PREPEND "${DOC_DIR}/")
set(promised
  ${documents}
  ${BIN_DIR}/kvstore
  ${DATA_DIR}/bash-completion/completions/kvstore
  ${DATA_DIR}/fish/vendor_completions.d/kvstore.fish
  ${DATA_DIR}/zsh/site-functions/_kvstore
  ${INCLUDE_DIR}/kvstore.h
  ${LIB_DIR}/cmake/kvstore/FindcJSON.cmake
  ${LIB_DIR}/cmake/kvstore/kvstoreConfig.cmake
  ${LIB_DIR}/cmake/kvstore/kvstoreConfigVersion.cmake
  ${LIB_DIR}/cmake/kvstore/kvstoreTargets-${config}.cmake
  ${LIB_DIR}/cmake/kvstore/kvstoreTargets.cmake
  ${library_files}
  ${LIB_DIR}/pkgconfig/kvstore.pc
  ${MAN_DIR}/man1/kvstore.1
  ${MAN_DIR}/man3/kvstore.3
  ${MAN_DIR}/man5/kvstore-log.5)
file(GLOB_RECURSE installed RELATIVE "${prefix}" "${prefix}/*")
list(SORT promised)
list(SORT installed)
if(NOT installed STREQUAL promised)
  list(JOIN promised "\n  " promised)
  list(JOIN installed "\n  " installed)
  message(FATAL_ERROR "installed:\n  ${installed}\npromised:\n  ${promised}")
endif()

# No file names a path of the machine that it was built on.
foreach(file IN LISTS installed)
  if(file MATCHES "\\.(cmake|pc)$")
    file(READ "${prefix}/${file}" text)
    if(text MATCHES "${WORK_DIR}" OR text MATCHES "${BUILD_DIR}")
      message(FATAL_ERROR "${file} names the folder that it was built in")
    endif()
  endif()
endforeach()

# The installed program is the one that was built, and works.
set(data "${WORK_DIR}/data-installed")
file(REMOVE_RECURSE "${data}")
set(program "${prefix}/${BIN_DIR}/kvstore")
execute_process(
  COMMAND "${program}" --data-dir "${data}" set user Alice
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND "${program}" --data-dir "${data}" get user
  OUTPUT_VARIABLE value
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT value STREQUAL "Alice\n")
  message(FATAL_ERROR "the installed program says '${value}'")
endif()
