# SPDX-License-Identifier: MIT
#
# What the finished library defines for the programs that link it: kvstore_* and
# nothing else. The names that its modules share, kv_*, are free for a program's
# own functions.

# A shared library exports what the linker is told. An archive has no such list,
# so its objects are made one, in which objcopy makes those names local.
function(kvstore_only_public_names target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "SHARED_LIBRARY")
    set(exports "${PROJECT_SOURCE_DIR}/cmake/kvstore.exports")
    target_link_options(${target} PRIVATE "LINKER:--version-script=${exports}")
    set_target_properties(${target} PROPERTIES LINK_DEPENDS "${exports}")
    return()
  endif()

  if(NOT CMAKE_OBJCOPY)
    message(FATAL_ERROR "objcopy, of binutils or LLVM, was not found")
  endif()
  # The objects hold machine code, whatever is done with the program later; and
  # what else the flags may ask of a linker is left to that program.
  set(only_joined -r -nostdlib -fno-lto -fno-sanitize=all)
  target_compile_options(${target} PRIVATE -fno-lto)
  separate_arguments(flags NATIVE_COMMAND "${CMAKE_C_FLAGS}")
  if(CMAKE_C_COMPILER_TARGET)
    list(PREPEND flags
      "${CMAKE_C_COMPILE_OPTIONS_TARGET}${CMAKE_C_COMPILER_TARGET}")
  endif()
  set(archive "$<TARGET_FILE:${target}>")
  set(object "$<TARGET_FILE_DIR:${target}>/${target}.o")
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND "${CMAKE_C_COMPILER}" ${flags} ${only_joined}
      -o "${object}" "$<TARGET_OBJECTS:${target}>"
    COMMAND "${CMAKE_OBJCOPY}" --wildcard "--localize-symbol=kv_*" "${object}"
    COMMAND "${CMAKE_COMMAND}" -E rm "${archive}"
    COMMAND "${CMAKE_AR}" qcs "${archive}" "${object}"
    COMMAND "${CMAKE_COMMAND}" -E rm "${object}"
    COMMAND_EXPAND_LISTS
    VERBATIM)
endfunction()
