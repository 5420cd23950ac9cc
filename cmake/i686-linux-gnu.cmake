# SPDX-License-Identifier: MIT
#
# 32-bit x86, compiled and run on a 64-bit machine. Debian's gcc-i686-linux-gnu
# provides the compiler and the C library; tests/portability/run fetches the
# other libraries to build/foreign/i386. What is built names the loader of that C
# library, and where its libraries are: so it can be run directly; or else by
# qemu-i386, where the kernel has no use for programs of 32 bits.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_C_COMPILER i686-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE i386-linux-gnu)

set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}/../build/foreign/i386")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

set(system_libraries /usr/i686-linux-gnu/lib)
string(CONCAT CMAKE_EXE_LINKER_FLAGS_INIT
  "-Wl,--dynamic-linker=${system_libraries}/ld-linux.so.2 "
  "-Wl,--disable-new-dtags -Wl,-rpath,${system_libraries}")

execute_process(COMMAND "${system_libraries}/ld-linux.so.2" --version
  RESULT_VARIABLE loader_status OUTPUT_QUIET ERROR_QUIET)
if(NOT loader_status EQUAL 0)
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-i386 -cpu max)
endif()
