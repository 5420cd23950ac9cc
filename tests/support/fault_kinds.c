/* SPDX-License-Identifier: MIT */

/* The ways in which system calls and allocations fail. */

#include "fault_kinds.h"

#include <errno.h>

#define READS (FAULT_BIT(FAULT_PREAD))
#define WRITES (FAULT_BIT(FAULT_PWRITE))
#define SYNCS (FAULT_BIT(FAULT_FDATASYNC) | FAULT_BIT(FAULT_FSYNC))
#define LOOKS \
    (FAULT_BIT(FAULT_FSTAT) | FAULT_BIT(FAULT_FSTATAT) | \
     FAULT_BIT(FAULT_FILE_SYSTEM_TYPE) | FAULT_BIT(FAULT_FILE_END) | \
     FAULT_BIT(FAULT_MOUNT_ID) | FAULT_BIT(FAULT_GET_ACCESS_LIST) | \
     FAULT_BIT(FAULT_SIZE_LIMIT) | FAULT_BIT(FAULT_NEXT_DATA) | \
     FAULT_BIT(FAULT_BIRTH))
#define NAMES \
    (FAULT_BIT(FAULT_MKDIR) | FAULT_BIT(FAULT_RENAMEAT) | \
     FAULT_BIT(FAULT_UNLINKAT))
#define OPENS (FAULT_BIT(FAULT_OPENAT))
#define MODES \
    (FAULT_BIT(FAULT_FCHOWN) | FAULT_BIT(FAULT_FCHMOD) | \
     FAULT_BIT(FAULT_SET_ACCESS_LIST))
#define LOCKS (FAULT_BIT(FAULT_FLOCK) | FAULT_BIT(FAULT_IS_HELD))
#define LISTS (FAULT_BIT(FAULT_OPENDIR) | FAULT_BIT(FAULT_READDIR))
#define MEMORY \
    (FAULT_BIT(FAULT_MALLOC) | FAULT_BIT(FAULT_MMAP) | \
     FAULT_BIT(FAULT_POPULATE))
#define CUTS (FAULT_BIT(FAULT_FTRUNCATE))
#define BLOCKS (FAULT_BIT(FAULT_ALLOCATE_BLOCKS))

/* EINTR is met once: a call that is tried again would never end. */
const struct fault_kind fault_kinds[] = {
    {"EIO",
     READS | WRITES | SYNCS | LOOKS | NAMES | OPENS | MODES | CUTS | BLOCKS |
         LISTS | FAULT_BIT(FAULT_GETRANDOM),
     EIO,
     FAULT_NOTHING_DONE,
     true,
     true},
    {"EIO when done",
     WRITES | NAMES | OPENS | MODES | CUTS | SYNCS | FAULT_BIT(FAULT_CLOSE) |
         FAULT_BIT(FAULT_CLOSEDIR),
     EIO,
     FAULT_DONE,
     true,
     false},
    {"EINTR",
     READS | WRITES | SYNCS | OPENS | CUTS | BLOCKS | FAULT_BIT(FAULT_FLOCK) |
         FAULT_BIT(FAULT_GETRANDOM),
     EINTR,
     FAULT_NOTHING_DONE,
     false,
     false},
    {"EINTR when closed",
     FAULT_BIT(FAULT_CLOSE) | FAULT_BIT(FAULT_CLOSEDIR),
     EINTR,
     FAULT_DONE,
     true,
     false},
    {"ENOSPC",
     WRITES | SYNCS | NAMES | OPENS | BLOCKS | FAULT_BIT(FAULT_SET_ACCESS_LIST),
     ENOSPC,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EDQUOT",
     WRITES | SYNCS | NAMES | OPENS | BLOCKS | FAULT_BIT(FAULT_SET_ACCESS_LIST),
     EDQUOT,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EFBIG", WRITES | BLOCKS, EFBIG, FAULT_NOTHING_DONE, true, false},
    {"ENOSPC after half", WRITES, ENOSPC, FAULT_HALF_THEN_FAIL, true, false},
    {"half", READS | WRITES, 0, FAULT_HALF_DONE, true, false},
    {"EMFILE",
     OPENS | FAULT_BIT(FAULT_DUP_HIGH) | FAULT_BIT(FAULT_OPENDIR) |
         FAULT_BIT(FAULT_BOOT_ID),
     EMFILE,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"ENFILE",
     OPENS | FAULT_BIT(FAULT_OPENDIR) | FAULT_BIT(FAULT_BOOT_ID),
     ENFILE,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EACCES",
     OPENS | FAULT_BIT(FAULT_MKDIR) | FAULT_BIT(FAULT_RENAMEAT) |
         FAULT_BIT(FAULT_UNLINKAT) | FAULT_BIT(FAULT_OPENDIR) |
         FAULT_BIT(FAULT_FSTATAT),
     EACCES,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EROFS",
     NAMES | OPENS | CUTS | MODES,
     EROFS,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EPERM",
     MODES | CUTS | BLOCKS | FAULT_BIT(FAULT_MMAP) | FAULT_BIT(FAULT_RENAMEAT) |
         FAULT_BIT(FAULT_UNLINKAT),
     EPERM,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EBUSY",
     FAULT_BIT(FAULT_RENAMEAT) | FAULT_BIT(FAULT_UNLINKAT),
     EBUSY,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"ENOLCK", LOCKS, ENOLCK, FAULT_NOTHING_DONE, true, false},
    {"ENOSYS",
     BLOCKS | LOOKS | LOCKS | FAULT_BIT(FAULT_GETRANDOM) |
         FAULT_BIT(FAULT_POPULATE),
     ENOSYS,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"EOPNOTSUPP",
     BLOCKS | MODES | FAULT_BIT(FAULT_GET_ACCESS_LIST) |
         FAULT_BIT(FAULT_NEXT_DATA),
     EOPNOTSUPP,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"ENODEV", FAULT_BIT(FAULT_MMAP), ENODEV, FAULT_NOTHING_DONE, true, false},
    {"EAGAIN",
     FAULT_BIT(FAULT_MMAP) | FAULT_BIT(FAULT_START_THREAD),
     EAGAIN,
     FAULT_NOTHING_DONE,
     true,
     false},
    {"ENOMEM",
     MEMORY | OPENS | LOOKS | LISTS | FAULT_BIT(FAULT_BOOT_ID),
     ENOMEM,
     FAULT_NOTHING_DONE,
     true,
     true},
};
const size_t fault_kind_count = sizeof fault_kinds / sizeof *fault_kinds;

#define ALL ((UINT64_C(1) << FAULT_CALL_COUNT) - 1)
#define DOERS \
    (WRITES | NAMES | OPENS | MODES | CUTS | SYNCS | FAULT_BIT(FAULT_CLOSE) | \
     FAULT_BIT(FAULT_CLOSEDIR))

/* A close does its work even if it fails. */
const struct fault_kind fault_any = {
    "any",
    ALL & ~(FAULT_BIT(FAULT_CLOSE) | FAULT_BIT(FAULT_CLOSEDIR)),
    FAULT_USUAL,
    FAULT_NOTHING_DONE,
    false,
    false};

const struct fault_kind fault_any_when_done =
    {"any when done", DOERS, FAULT_USUAL, FAULT_DONE, false, false};

int fault_usual_error(enum fault_call call)
{
    switch (call) {
    case FAULT_MALLOC:
    case FAULT_CJSON_MALLOC:
    case FAULT_MMAP:
    case FAULT_POPULATE:
        return ENOMEM;
    case FAULT_OPENAT:
    case FAULT_DUP_HIGH:
    case FAULT_OPENDIR:
    case FAULT_BOOT_ID:
        return EMFILE;
    case FAULT_PWRITE:
    case FAULT_ALLOCATE_BLOCKS:
    case FAULT_MKDIR:
        return ENOSPC;
    case FAULT_FLOCK:
    case FAULT_IS_HELD:
        return ENOLCK;
    case FAULT_START_THREAD:
        return EAGAIN;
    default:
        return EIO;
    }
}

const char *fault_call_name(enum fault_call call)
{
    static const char *const names[FAULT_CALL_COUNT] = {
        [FAULT_OPENAT] = "openat",
        [FAULT_CLOSE] = "close",
        [FAULT_DUP_HIGH] = "dup_high",
        [FAULT_PREAD] = "pread",
        [FAULT_PWRITE] = "pwrite",
        [FAULT_FTRUNCATE] = "ftruncate",
        [FAULT_FDATASYNC] = "fdatasync",
        [FAULT_FSYNC] = "fsync",
        [FAULT_FSTAT] = "fstat",
        [FAULT_FSTATAT] = "fstatat",
        [FAULT_FCHOWN] = "fchown",
        [FAULT_FCHMOD] = "fchmod",
        [FAULT_GET_ACCESS_LIST] = "get_access_list",
        [FAULT_MKDIR] = "mkdir",
        [FAULT_RENAMEAT] = "renameat",
        [FAULT_UNLINKAT] = "unlinkat",
        [FAULT_FLOCK] = "flock",
        [FAULT_FILE_SYSTEM_TYPE] = "file_system_type",
        [FAULT_GETRANDOM] = "getrandom",
        [FAULT_ALLOCATE_BLOCKS] = "allocate_blocks",
        [FAULT_MMAP] = "mmap",
        [FAULT_FILE_END] = "file_end",
        [FAULT_MOUNT_ID] = "mount_id",
        [FAULT_OPENDIR] = "opendir",
        [FAULT_MALLOC] = "malloc",
        [FAULT_CJSON_MALLOC] = "cJSON's malloc",
        [FAULT_SIZE_LIMIT] = "size_limit",
        [FAULT_SET_ACCESS_LIST] = "set_access_list",
        [FAULT_IS_HELD] = "is_held",
        [FAULT_POPULATE] = "populate",
        [FAULT_NEXT_DATA] = "next_data",
        [FAULT_BIRTH] = "birth",
        [FAULT_BOOT_ID] = "boot_id",
        [FAULT_READDIR] = "readdir",
        [FAULT_CLOSEDIR] = "closedir",
        [FAULT_START_THREAD] = "start_thread",
    };
    return names[call];
}
