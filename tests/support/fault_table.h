/* SPDX-License-Identifier: MIT */

/* A table of system calls that forwards to the system's own and lets the n-th
 * call fail. Counts calls, and what is open and allocated, so that leaks show.
 * One table for the whole program; not for use by several threads. */

#ifndef FAULT_TABLE_H
#define FAULT_TABLE_H

#include "os/file.h"

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
    FAULT_CALL_COUNT
};

#define FAULT_BIT(call) (UINT32_C(1) << (call))

enum fault_effect {
    FAULT_NOTHING_DONE,  /* The call fails. */
    FAULT_DONE,          /* It does its work, but fails. */
    FAULT_HALF_DONE,     /* A read or write does half, and says so. */
    FAULT_HALF_THEN_FAIL /* A write does half, and the next one fails. */
};

/* A way for calls to fail. */
struct fault_kind {
    const char *name;
    uint32_t calls; /* Bits of the calls that may fail in this way. */
    int error;
    enum fault_effect effect;
    bool may_repeat; /* It may also be met by all calls from some call on. */
};

/* All ways, except those of cJSON. */
extern const struct fault_kind fault_kinds[];
extern const size_t fault_kind_count;

/* Puts a table in place: no fault, all counts zero. */
void fault_table_install(void);

/* Puts the system's own table back, but nothing waits. */
void fault_table_uninstall(void);

/* Lets the n-th call, from 1, to which the kind applies fail; or it and all
 * after it. NULL: none. */
void fault_table_plan(const struct fault_kind *kind,
                      uint64_t n,
                      bool is_for_good);

/* Return how many calls have failed since the plan was made, all and of one
 * sort. */
uint64_t fault_table_fired(void);
uint64_t fault_table_fired_at(enum fault_call call);

/* The counts since the table was installed. */
uint64_t fault_table_calls(enum fault_call call);
uint64_t fault_table_all_calls(void);
int fault_table_open_files(void);
int64_t fault_table_allocations(void);

/* Returns how often something was closed that was not open, or more was freed
 * than was allocated. */
int fault_table_misuses(void);

/* Routes cJSON's allocations through the table, or back. */
void fault_table_hook_cjson(bool is_hooked);

#endif
