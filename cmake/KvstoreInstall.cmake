# SPDX-License-Identifier: MIT
#
# What `cmake --install` installs, and where: the header, the library, the
# program, the pages of the manual, the completions, the documents, and what
# find_package(kvstore) and pkg-config need.
# None of it holds an absolute path, so the installed folder can be moved. A
# project that this one is a part of gets what its own libraries and their users
# need: the library, the header and the packages.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(kvstore_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvstore")
set(kvstore_pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(TARGETS kvstore EXPORT kvstoreTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/include/kvstore.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(PROJECT_IS_TOP_LEVEL)
  install(TARGETS kvstore_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  foreach(page IN ITEMS kvstore.1 kvstore.3 kvstore-log.5)
    string(REGEX REPLACE ".*\\." "man" section "${page}")
    install(FILES "${PROJECT_SOURCE_DIR}/docs/${page}"
      DESTINATION "${CMAKE_INSTALL_MANDIR}/${section}")
  endforeach()
  # Where the shells look for completions, and by which names.
  set(kvstore_completions "${CMAKE_CURRENT_LIST_DIR}/completions")
  install(FILES "${kvstore_completions}/kvstore.bash"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
    RENAME kvstore)
  install(FILES "${kvstore_completions}/_kvstore"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(FILES "${kvstore_completions}/kvstore.fish"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
  # In the same places to each other as here, so that their links lead on.
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}"
    FILES_MATCHING PATTERN "*.md" PATTERN "*.svg")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()

# Programs link what an archive needs. A shared library brings it along, and the
# program finds that library where it is installed with it.
get_target_property(kvstore_type kvstore TYPE)
if(kvstore_type STREQUAL "SHARED_LIBRARY")
  set(kvstore_needs_found OFF)
  set(kvstore_pc_requires "")
  set(kvstore_pc_libs "-lkvstore")
  file(RELATIVE_PATH kvstore_bin_to_lib
    "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
  set_property(TARGET kvstore_cli APPEND PROPERTY
    INSTALL_RPATH "$ORIGIN/${kvstore_bin_to_lib}")
else()
  set(kvstore_needs_found ON)
  set(kvstore_pc_requires "libcjson")
  set(kvstore_pc_libs "-lkvstore -lpthread")
endif()

# find_package(kvstore)
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/kvstoreConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/kvstoreConfig.cmake"
  INSTALL_DESTINATION "${kvstore_cmake_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/kvstoreConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/kvstoreConfig.cmake"
  "${PROJECT_BINARY_DIR}/kvstoreConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindcJSON.cmake"
  DESTINATION "${kvstore_cmake_dir}")
install(EXPORT kvstoreTargets
  NAMESPACE kvstore::
  DESTINATION "${kvstore_cmake_dir}")
export(EXPORT kvstoreTargets
  NAMESPACE kvstore::
  FILE "${PROJECT_BINARY_DIR}/kvstoreTargets.cmake")

# pkg-config, with paths relative to the file itself.
file(RELATIVE_PATH kvstore_pc_to_prefix
  "/prefix/${kvstore_pkgconfig_dir}" "/prefix")
string(REGEX REPLACE "/$" "" kvstore_pc_to_prefix "${kvstore_pc_to_prefix}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(kvstore_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  set(kvstore_pc_prefix "\${pcfiledir}/${kvstore_pc_to_prefix}")
endif()
cmake_path(APPEND kvstore_pc_libdir "\${prefix}" "${CMAKE_INSTALL_LIBDIR}")
cmake_path(APPEND kvstore_pc_includedir
  "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/kvstore.pc.in"
  "${PROJECT_BINARY_DIR}/kvstore.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/kvstore.pc"
  DESTINATION "${kvstore_pkgconfig_dir}")
