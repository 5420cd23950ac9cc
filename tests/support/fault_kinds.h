/* SPDX-License-Identifier: MIT */

/* The ways in which system calls and allocations fail. */

#ifndef FAULT_KINDS_H
#define FAULT_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_call {
    FAULT_OPENAT,
    FAULT_CLOSE,
    FAULT_DUP_HIGH,
    FAULT_PREAD,
    FAULT_PWRITE,
    FAULT_FTRUNCATE,
    FAULT_FDATASYNC,
    FAULT_FSYNC,
    FAULT_FSTAT,
    FAULT_FSTATAT,
    FAULT_FCHOWN,
    FAULT_FCHMOD,
    FAULT_GET_ACCESS_LIST,
    FAULT_MKDIR,
    FAULT_RENAMEAT,
    FAULT_UNLINKAT,
    FAULT_FLOCK, /* Unlocking is not counted: it cannot fail. */
    FAULT_FILE_SYSTEM_TYPE,
    FAULT_GETRANDOM,
    FAULT_ALLOCATE_BLOCKS,
    FAULT_MMAP,
    FAULT_FILE_END,
    FAULT_MOUNT_ID,
    FAULT_OPENDIR,
    FAULT_MALLOC,
    FAULT_CJSON_MALLOC, /* After fault_table_hook_cjson(). */
    FAULT_SIZE_LIMIT,
    FAULT_SET_ACCESS_LIST,
    FAULT_IS_HELD,
    FAULT_POPULATE,
    FAULT_NEXT_DATA,
    FAULT_BIRTH,
    FAULT_BOOT_ID,
    FAULT_READDIR,
    FAULT_CLOSEDIR,
    FAULT_START_THREAD,
    FAULT_CALL_COUNT
};

#define FAULT_BIT(call) (UINT64_C(1) << (call))

enum fault_effect {
    FAULT_NOTHING_DONE,  /* The call fails. */
    FAULT_DONE,          /* It does its work, but fails. */
    FAULT_HALF_DONE,     /* A read or write does half, and says so. */
    FAULT_HALF_THEN_FAIL /* A write does half, and the next one fails. */
};

#define FAULT_USUAL (-1)

/* A way for calls to fail. */
struct fault_kind {
    const char *name;
    uint64_t calls; /* Bits of the calls that may fail in this way. */
    int error;      /* FAULT_USUAL: what is most likely for the call. */
    enum fault_effect effect;
    bool may_repeat; /* It may also be met by all calls from some call on. */
    bool is_common;  /* It is worth being met everywhere in a short run, too. */
};

/* All ways, except those of cJSON. */
extern const struct fault_kind fault_kinds[];
extern const size_t fault_kind_count;

/* Any call, with the errno that is most likely for it; and any that can do its
 * work and fail all the same. */
extern const struct fault_kind fault_any;
extern const struct fault_kind fault_any_when_done;

const char *fault_call_name(enum fault_call call);

/* Returns the errno that is most likely for a call. */
int fault_usual_error(enum fault_call call);

#endif
