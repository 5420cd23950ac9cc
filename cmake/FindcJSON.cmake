# SPDX-License-Identifier: MIT
#
# Finds cJSON and defines the target cJSON::cJSON from what is installed: a
# static library, which is preferred unless shared ones are built, since a
# program that needs no shared one starts faster; cJSON's own CMake package, whose target is named cjson; or just
# the header cjson/cJSON.h and the library. Installed with kvstore, since
# programs that link kvstore also link cJSON.

if(TARGET cJSON::cJSON)
  set(cJSON_FOUND TRUE)
  return()
endif()

find_path(CJSON_HEADER_DIR cjson/cJSON.h)
find_library(CJSON_ARCHIVE_FILE
  "${CMAKE_STATIC_LIBRARY_PREFIX}cjson${CMAKE_STATIC_LIBRARY_SUFFIX}")
mark_as_advanced(CJSON_ARCHIVE_FILE CJSON_HEADER_DIR)
if(CJSON_ARCHIVE_FILE AND CJSON_HEADER_DIR AND NOT BUILD_SHARED_LIBS)
  add_library(cJSON::cJSON STATIC IMPORTED)
  set_target_properties(cJSON::cJSON PROPERTIES
    IMPORTED_LOCATION "${CJSON_ARCHIVE_FILE}"
    INTERFACE_INCLUDE_DIRECTORIES "${CJSON_HEADER_DIR}"
    INTERFACE_LINK_LIBRARIES m)
  set(cJSON_FOUND TRUE)
  return()
endif()

find_package(cJSON CONFIG QUIET)
if(TARGET cjson)
  add_library(cJSON::cJSON INTERFACE IMPORTED)
  target_link_libraries(cJSON::cJSON INTERFACE cjson)
  set(cJSON_FOUND TRUE)
  return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_CJSON QUIET libcjson)
endif()
find_path(CJSON_HEADER_DIR cjson/cJSON.h HINTS ${PC_CJSON_INCLUDE_DIRS})
find_library(CJSON_LIBRARY_FILE cjson HINTS ${PC_CJSON_LIBRARY_DIRS})
mark_as_advanced(CJSON_LIBRARY_FILE)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(cJSON
  REQUIRED_VARS CJSON_LIBRARY_FILE CJSON_HEADER_DIR)
if(cJSON_FOUND)
  add_library(cJSON::cJSON UNKNOWN IMPORTED)
  set_target_properties(cJSON::cJSON PROPERTIES
    IMPORTED_LOCATION "${CJSON_LIBRARY_FILE}"
    INTERFACE_INCLUDE_DIRECTORIES "${CJSON_HEADER_DIR}"
    INTERFACE_LINK_LIBRARIES m)
endif()
