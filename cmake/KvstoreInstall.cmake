# SPDX-License-Identifier: MIT
#
# What `cmake --install` installs, and where: the header, the archive, the
# program, its manual page, and what find_package(kvstore) and pkg-config need.
# None of it holds an absolute path, so the installed folder can be moved.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(kvstore_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvstore")
set(kvstore_pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(TARGETS kvstore EXPORT kvstoreTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS kvstore_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/include/kvstore.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/docs/kvstore.1"
  DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")

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
