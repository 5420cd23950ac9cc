# SPDX-License-Identifier: MIT
#
# This machine, with the C library musl in the place of glibc. Debian's
# musl-tools provides the compiler; tests/portability/run builds the other
# libraries, in build/foreign/musl. The kernel's headers are not there.

set(CMAKE_C_COMPILER musl-gcc)

set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}/../build/foreign/musl")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
