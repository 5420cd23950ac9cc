# SPDX-License-Identifier: MIT
#
# Checks that check_folders.cmake and check_calls.cmake refuse what they should.
# Each fault is planted in a copy of src/ or in a small tree.
# Needs SOURCE_DIR, SCRATCH_DIR, CC and NM.

cmake_minimum_required(VERSION 3.25)
set(owed "${SCRATCH_DIR}/owed.txt")
set(src "${SCRATCH_DIR}/src")
set(failures "")
set(refusal_count 0)

# A few empty files.
function(plant_fresh_tree)
  file(REMOVE_RECURSE "${SCRATCH_DIR}")
  foreach(module IN ITEMS os/error os/file record/text log/log store/store)
    file(WRITE "${src}/${module}.h" "")
    file(WRITE "${src}/${module}.c" "#include \"${module}.h\"\n")
  endforeach()
  file(WRITE "${src}/cli/main.c" "#include \"kvstore.h\"\n")
endfunction()

# Runs a check, which must fail for this reason; or, if that is empty, must
# pass.
function(expect what reason)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -D "SOURCE_DIR=${SCRATCH_DIR}" -D "NM=${NM}"
      -D "OWED=${owed}" ${ARGN}
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    RESULT_VARIABLE result)
  # message() breaks long lines.
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  string(FIND "${output}" "${reason}" place)
  if(reason STREQUAL "" AND NOT result EQUAL 0)
    list(APPEND failures "${what}: refused:\n${output}")
  elseif(NOT reason STREQUAL "" AND (result EQUAL 0 OR place EQUAL -1))
    list(APPEND failures "${what}: not refused with \"${reason}\":\n${output}")
  endif()
  set(failures "${failures}" PARENT_SCOPE)
  math(EXPR refusal_count "${refusal_count} + 1")
  set(refusal_count ${refusal_count} PARENT_SCOPE)
endfunction()

macro(expect_of_folders what reason)
  expect("${what}" "${reason}" -P "${CMAKE_CURRENT_LIST_DIR}/check_folders.cmake")
  plant_fresh_tree()
endmacro()

# Plants all faults at once among the real files.
file(REMOVE_RECURSE "${SCRATCH_DIR}")
file(COPY "${SOURCE_DIR}/src" DESTINATION "${SCRATCH_DIR}")
file(WRITE "${src}/os/planted.h" "#include \"os/planted_too.h\"\n")
file(WRITE "${src}/os/planted_too.h" "#include \"os/planted.h\"\n")
file(APPEND "${src}/os/error.h" "#include \"log/log.h\"\n")
file(APPEND "${src}/index/table.c" "#include \"log/padding.h\"\n")
string(REPEAT "\n" 491 lines)
file(APPEND "${src}/record/text.c" "${lines}")
foreach(reason IN ITEMS
    "planted -> planted_too, planted_too -> planted"
    "src/os/error.h includes \"log/log.h\": no folder knows those above it"
    "src/index/table.c includes \"log/padding.h\": it is private to src/log"
    "src/record/text.c: over 490 lines")
  expect("the real files" "${reason}"
    -P "${CMAKE_CURRENT_LIST_DIR}/check_folders.cmake")
endforeach()

plant_fresh_tree()
expect_of_folders("what is as it is to be" "")

file(WRITE "${src}/os/planted.h" "#include \"os/planted_too.h\"\n")
file(WRITE "${src}/os/planted_too.h" "")
expect_of_folders("one header that includes another" "")

file(WRITE "${src}/record/planted.h" "#include \"record/planted_too.h\"\n")
file(WRITE "${src}/record/planted_too.h" "#include \"record/planted.h\"\n")
expect_of_folders("a circle of two headers"
  "planted -> planted_too, planted_too -> planted")

file(WRITE "${src}/os/planted.h" "")
file(WRITE "${src}/os/planted.c" "#include \"os/planted_too.h\"\n")
file(WRITE "${src}/os/planted_too.h" "")
file(WRITE "${src}/os/planted_too.c" "#include \"os/planted_last.h\"\n")
file(WRITE "${src}/os/planted_last.h" "#include \"os/planted.h\"\n")
expect_of_folders("a circle of three modules"
  "planted -> planted_too, planted_last -> planted, planted_too -> planted_last")

file(APPEND "${src}/os/error.h" "#include \"log/log.h\"\n")
expect_of_folders("an include from below"
  "src/os/error.h includes \"log/log.h\": no folder knows those above it")

file(WRITE "${src}/cli/planted.c" "#include \"record/text.h\"\n")
expect_of_folders("a helper of record in the program" "")

file(WRITE "${src}/cli/planted.c" "#include \"store/store.h\"\n")
expect_of_folders("the inside of the library in the program"
  "src/cli/planted.c includes \"store/store.h\": no folder knows those above it")

file(WRITE "${src}/log/padding.h" "")
file(WRITE "${src}/log/padding.c" "#include \"log/padding.h\"\n")
file(APPEND "${src}/log/log.c" "#include \"log/padding.h\"\n")
expect_of_folders("what is private within its folder" "")

foreach(folder IN ITEMS index store cli)
  file(WRITE "${src}/log/padding.h" "")
  file(WRITE "${src}/${folder}/planted.c" "#include \"log/padding.h\"\n")
  file(WRITE "${src}/${folder}/planted.h" "")
  expect_of_folders("what is private, from above"
    "src/${folder}/planted.c includes \"log/padding.h\": it is private to src/log")
endforeach()

file(WRITE "${src}/store/planted.h" "#include \"store.h\"\n")
expect_of_folders("an include without its folder"
  "src/store/planted.h includes \"store.h\", which is no header of src/FOLDER/")

string(REPEAT "\n" 490 lines)
file(WRITE "${src}/os/planted.h" "")
file(WRITE "${src}/os/planted.c" "${lines}")
expect_of_folders("a file of 490 lines" "")

file(WRITE "${src}/os/planted.h" "")
file(WRITE "${src}/os/planted.c" "${lines}\n")
expect_of_folders("a long file" "src/os/planted.c: over 490 lines")

set(name "planted")
file(WRITE "${src}/record/${name}.h" "")
foreach(i RANGE 10)
  file(WRITE "${src}/record/${name}_x.h" "#include \"record/${name}.h\"\n")
  string(APPEND name "_x")
endforeach()
expect_of_folders("twelve floors" "src/record: over 11 floors")

file(WRITE "${src}/log/planted.c" "")
expect_of_folders("a file without a header"
  "src/log/planted.c: no header is its own")

file(WRITE "${src}/log/planted.c" "")
file(WRITE "${src}/log/planted_too.h"
  "/* Of two parts.\n *\n * Implemented in padding.c and\n * planted.c. */\n")
expect_of_folders("a file that a header names" "")

file(WRITE "${src}/planted.c" "")
expect_of_folders("a file in no folder" "src/planted.c: only .c and .h files in")

file(WRITE "${src}/util/planted.h" "")
expect_of_folders("another folder" "src/util/planted.h: only .c and .h files in")

file(WRITE "${owed}" "folders: src/os/paid.c: over 490 lines\n")
expect_of_folders("what is paid" "strike it: folders: src/os/paid.c")

# Calls. The path of an object says which file was compiled.
function(compile file text)
  file(WRITE "${src}/${file}" "${text}")
  execute_process(
    COMMAND "${CC}" -c "${src}/${file}" -o "${src}/${file}.o"
    COMMAND_ERROR_IS_FATAL ANY)
endfunction()

macro(expect_of_calls what reason)
  file(GLOB_RECURSE objects "${src}/*.c.o")
  list(JOIN objects "|" objects)
  file(WRITE "${owed}" "")
  expect("${what}" "${reason}" -D "OBJECTS=${objects}"
    -P "${CMAKE_CURRENT_LIST_DIR}/check_calls.cmake")
  file(REMOVE_RECURSE "${SCRATCH_DIR}")
endmacro()

file(REMOVE_RECURSE "${SCRATCH_DIR}")
set(one "void kv_two(void);\nvoid kv_one(void);\nvoid kv_one(void)\n{\n")
set(two "void kv_one(void);\nvoid kv_two(void);\nvoid kv_two(void)\n{\n")
compile(os/one.c "${one}    kv_two();\n}\n")
compile(os/two.c "${two}}\n")
expect_of_calls("a call within a folder" "")

compile(os/one.c "${one}    kv_two();\n}\n")
compile(os/two.c "${two}    kv_one();\n}\n")
expect_of_calls("a circle of calls"
  "src/os: a circle of calls: one -> two, two -> one")

compile(os/one.c "${one}    kv_two();\n}\n")
compile(log/two.c "${two}}\n")
expect_of_calls("a call from below" "src/os/one.c calls kv_two of src/log/two.c")

compile(log/one.c "${one}    kv_two();\n}\n")
compile(os/two.c "${two}}\n")
expect_of_calls("a call from above" "")

compile(log/one.c "${one}    kv_two();\n}\n")
compile(log/padding.c "${two}}\n")
expect_of_calls("a call of what is private within its folder" "")

compile(store/one.c "${one}    kv_two();\n}\n")
compile(log/padding.c "${two}}\n")
expect_of_calls("a call of what is private"
  "src/store/one.c calls kv_two of src/log/padding.c: it is private to src/log")

file(REMOVE_RECURSE "${SCRATCH_DIR}")
if(failures)
  list(JOIN failures "\n" failures)
  message(FATAL_ERROR "${failures}")
endif()
message(STATUS "${refusal_count} verdicts are right")
