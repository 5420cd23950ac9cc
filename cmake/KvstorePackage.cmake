# SPDX-License-Identifier: MIT
#
# The Debian package that `cpack -G DEB` makes in the folder of a build. It has
# what `cmake --install` installs, in the form that Debian wants, which
# KvstorePackageFiles.cmake gives it.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kvstore)
set(CPACK_PACKAGE_VENDOR "The kvstore authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
  "persistent key-value store whose data is a log of JSON lines")
set(CPACK_PACKAGE_DESCRIPTION
  "kvstore keeps keys and values in a log of JSON lines, which other programs
can read, beside an index that may be deleted at any time. When a write
returns, it is on the disk. Any number of processes may share a store; there
is no server.
.
This package has the program, for the command line and for scripts, and the
library for programs in C and C++, with its header.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# Who publishes it names another: cpack -D CPACK_DEBIAN_PACKAGE_MAINTAINER=...
set(CPACK_DEBIAN_PACKAGE_MAINTAINER
  "${CPACK_PACKAGE_VENDOR} <kvstore@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}")
# What programs need that link the archive.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libcjson-dev, pkgconf | pkg-config")

set(CPACK_PRE_BUILD_SCRIPTS
  "${CMAKE_CURRENT_LIST_DIR}/KvstorePackageFiles.cmake")
set(CPACK_KVSTORE_DATADIR "usr/${CMAKE_INSTALL_DATADIR}")
set(CPACK_KVSTORE_DOCDIR "usr/${CMAKE_INSTALL_DOCDIR}")
set(CPACK_KVSTORE_LIBDIR "usr/${CMAKE_INSTALL_LIBDIR}")
set(CPACK_KVSTORE_MANDIR "usr/${CMAKE_INSTALL_MANDIR}")
set(CPACK_KVSTORE_STRIP "${CMAKE_STRIP}")
include(CPack)
