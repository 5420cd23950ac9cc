# SPDX-License-Identifier: MIT
#
# Checks what the library defines and needs. Reads symbols rather than source
# text, so that macros and comments cannot deceive it: file by file in ARCHIVE,
# which is made of the same sources with a seam for tests. PRODUCT, the library
# that programs link, must not have that seam, and shows them kvstore_* alone.
# Needs SOURCE_DIR, ARCHIVE, PRODUCT, NM and CONFIG.

cmake_minimum_required(VERSION 3.25)
set(errors "")

# These reach the system; only system.c may need them.
set(system_calls
  access aligned_alloc calloc chmod chown clock clock_gettime close closedir creat dup dup2 faccessat
  fallocate fchmod fchmodat fchown fcntl fdatasync fdopendir fgetxattr flock
  fopen fork free fremovexattr fsetxattr fstat fstatat fstatfs fsync ftruncate
  getentropy getline getrandom getrlimit gettimeofday ioctl kill link linkat lockf lseek lstat madvise malloc mkdir mkdirat mkstemp mmap
  mprotect msync munmap nanosleep clock_nanosleep open openat opendir poll
  posix_fallocate posix_memalign pread preadv pwrite pwritev read readdir
  readlink readv realloc reallocarray rename renameat renameat2 rmdir select
  setrlimit stat statfs statvfs statx strdup strndup sync_file_range syscall
  time timespec_get truncate unlink unlinkat usleep write writev)

# xxhash.h has functions that call these; they are unused, but only an optimised
# build drops them.
if(CONFIG STREQUAL "Debug" OR NOT CONFIG)
  list(REMOVE_ITEM system_calls malloc free)
endif()

# No file may need these: the library prints nothing, never exits and installs
# no signal handler.
set(forbidden
  _exit _Exit exit quick_exit abort fprintf fputc fputs fwrite perror printf
  putc putchar puts vfprintf vprintf stderr stdout stdin signal sigaction
  syslog)

execute_process(
  COMMAND "${NM}" -A -g "${ARCHIVE}"
  OUTPUT_VARIABLE output
  COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" lines "${output}")
file(READ "${SOURCE_DIR}/include/kvstore.h" header)

set(defined "")
foreach(line IN LISTS lines)
  # libkvstore.a:file.c.o:0000000000000010 T kv_io_open
  if(NOT line MATCHES "[:(]([A-Za-z0-9_]+)\\.c\\.o.*[ :]([A-Za-z]) ([^ ]+)$")
    continue()
  endif()
  set(member "${CMAKE_MATCH_1}")
  set(type "${CMAKE_MATCH_2}")
  set(symbol "${CMAKE_MATCH_3}")
  if(type STREQUAL "U")
    # Finds the plain name of calls for large files and of fortified calls.
    string(REGEX REPLACE "^__([a-z0-9_]+)_chk$" "\\1" plain "${symbol}")
    string(REGEX REPLACE "^__([a-z0-9_]+)_2$" "\\1" plain "${plain}")
    string(REGEX REPLACE "64$" "" plain "${plain}")
    if(symbol MATCHES "XXH")
      list(APPEND errors "${member}.c needs ${symbol}: xxHash is header-only")
    elseif(symbol MATCHES "^cJSON_" AND NOT member STREQUAL "foreign")
      list(APPEND errors
        "${member}.c calls ${symbol}: only foreign.c uses cJSON")
    elseif(plain IN_LIST system_calls AND NOT member STREQUAL "system")
      list(APPEND errors "${member}.c calls ${plain}: only system.c may")
    elseif(plain IN_LIST forbidden)
      list(APPEND errors "${member}.c uses ${plain}: the library may not")
    endif()
  elseif(symbol MATCHES "^__")
    # The compiler's own symbols, such as those that sanitizers add.
  else()
    list(APPEND defined "${symbol}")
    if(type MATCHES "^[BCDGS]$")
      list(APPEND errors "${member}.c: ${symbol} is a global variable")
    endif()
    if(symbol MATCHES "^kvstore_")
      if(NOT header MATCHES "[^a-z0-9_]${symbol}\\(")
        list(APPEND errors "${member}.c: ${symbol} is not in kvstore.h")
      endif()
    elseif(NOT symbol MATCHES "^kv_")
      list(APPEND errors "${member}.c: ${symbol} has no kv_ before it")
    endif()
  endif()
endforeach()

# Everything that the header declares is there, and no seam for tests.
string(REGEX MATCHALL "[^a-z0-9_]kvstore_[a-z0-9_]+\\(" promises "${header}")
foreach(promise IN LISTS promises)
  string(REGEX REPLACE "^.(.*)\\($" "\\1" symbol "${promise}")
  if(NOT symbol IN_LIST defined)
    list(APPEND errors "kvstore.h names ${symbol}(), which is not defined")
  endif()
endforeach()
execute_process(
  COMMAND "${NM}" "${PRODUCT}"
  OUTPUT_VARIABLE product
  COMMAND_ERROR_IS_FATAL ANY)
foreach(seam IN ITEMS kv_io_swap_table kv_io_step)
  if(product MATCHES " ${seam}\n")
    list(APPEND errors "${seam} is for kvstore_testing alone")
  endif()
endforeach()

# What a program that links it can see of it: all that the header promises, and
# nothing that could be a name of the program's own.
set(seen_by_programs -g)
if(PRODUCT MATCHES "\\.so(\\.[0-9]+)*$")
  set(seen_by_programs -D)
endif()
execute_process(
  COMMAND "${NM}" ${seen_by_programs} "${PRODUCT}"
  OUTPUT_VARIABLE product
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " [A-TV-Za-v] [^\n]+" product "${product}")
set(shown "")
foreach(line IN LISTS product)
  string(SUBSTRING "${line}" 3 -1 symbol)
  if(symbol MATCHES "^kvstore_")
    list(APPEND shown "${symbol}")
  elseif(NOT symbol MATCHES "^__")
    list(APPEND errors "${PRODUCT} shows ${symbol} to programs")
  endif()
endforeach()
foreach(symbol IN LISTS defined)
  if(symbol MATCHES "^kvstore_" AND NOT symbol IN_LIST shown)
    list(APPEND errors "${PRODUCT} hides ${symbol}() from programs")
  endif()
endforeach()
list(LENGTH shown shown_count)

list(REMOVE_DUPLICATES errors)
list(JOIN errors "\n" errors)
if(errors)
  message(FATAL_ERROR "${errors}")
endif()
list(LENGTH defined count)
message(STATUS "${count} symbols checked, ${shown_count} are public")
