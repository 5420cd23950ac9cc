/* SPDX-License-Identifier: MIT */

/* A table of system calls that records what a workload does to one store:
 * writes, cuts, names, syncs, and what was acknowledged. From the record the
 * states that a power cut may leave can be laid out (crash_states.h). It can
 * also let the process die, let a call fail, and lie about syncs.
 *
 * The store is in a directory of its own in a root; both are in the model, what
 * is above them is not. One trace is recorded at a time. */

#ifndef CRASH_TRACE_H
#define CRASH_TRACE_H

#include "kvstore.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_NAME_SIZE 40
#define CRASH_INODES_MAX 64
#define CRASH_KEYS_MAX 16
#define CRASH_FILES_MAX 8
#define CRASH_GROUPS_MAX 8

enum crash_event_type {
    CRASH_WRITE,      /* Bytes at an offset of an inode. */
    CRASH_CUT,        /* An inode's size. */
    CRASH_SYNC,       /* An inode is on the disk as it is. */
    CRASH_SYNC_LOST,  /* A sync failed: what is not on the disk may never be,
                         whatever later syncs say. */
    CRASH_LINK,       /* A name for a new inode. */
    CRASH_RENAME,     /* name becomes to. */
    CRASH_UNLINK,     /* A name is removed. */
    CRASH_SYNC_NAMES, /* The store's directory is on the disk as it is. */
    CRASH_MKDIR,      /* The store's directory was made, */
    CRASH_SYNC_ROOT,  /* and is on the disk. */
    CRASH_BEGIN,      /* A key may hold a value from now on; NULL: none. */
    CRASH_ACK,        /* The key holds it. */
    CRASH_BARRIER     /* All that was acknowledged is on the disk. */
};

struct crash_event {
    enum crash_event_type type;
    int inode;
    uint64_t offset; /* CUT: the size. */
    size_t size;
    char *bytes;
    char name[CRASH_NAME_SIZE];
    char to[CRASH_NAME_SIZE];
    int key;
    const char *value;
    bool is_durable; /* ACK: by itself. */
};

/* Calls that do nothing and report success. */
enum crash_lie {
    CRASH_LIE_FDATASYNC = 1,
    CRASH_LIE_FSYNC_FILE = 2,
    CRASH_LIE_FSYNC_DIRECTORY = 4,
    CRASH_LIE_LOCK = 8 /* Not for the calls made in beside(). */
};

struct crash_file {
    char name[CRASH_NAME_SIZE];
    char *bytes;
    size_t size;
};

/* Keys that are there all or none: prefix0, prefix1 and so on. */
struct crash_group {
    const char *prefix;
    const char *first; /* The first of them, which is traced. */
    unsigned count;
};

struct crash_trace {
    char root[SCRATCH_PATH_SIZE];
    char path[SCRATCH_PATH_SIZE + 16]; /* Of the store. */
    struct crash_event *events;
    size_t event_count;
    const char *keys[CRASH_KEYS_MAX];
    int key_count;
    const struct crash_group *groups[CRASH_GROUPS_MAX];
    int group_count;
    /* What is there at the beginning, durable: the inodes from 0 on. */
    struct crash_file base[CRASH_FILES_MAX];
    int base_count;
    bool has_directory; /* Else the store's is not there yet. */
    int inode_count;

    /* Set by the workload, after the beginning: */
    unsigned lies;
    uint64_t lies_at;        /* Only the n-th chance is taken. 0: each. */
    uint64_t dies_at;        /* The n-th change is half done, and no later call
                                does anything. 0: never. */
    uint64_t fails_sync_at;  /* The n-th sync fails. */
    uint64_t fails_write_at; /* The n-th write is half done, the next one fails
                                for lack of space. */
    /* Called before each call that is made while no process has the writers'
     * lock, but not for its own calls. NULL: nothing. */
    void (*beside)(void *context);
    void *beside_context;
    const char *kept; /* Bytes that must stay in some file, or NULL. */
    bool is_dead;
    bool has_failed;
};

/* Begins a trace in a fresh root: with a store that holds this log, or with no
 * store if log is NULL; or with these files. The table is in place until the
 * end. */
struct crash_trace *crash_trace_begin(const char *log);
struct crash_trace *crash_trace_begin_at(const struct crash_file *files,
                                         int count,
                                         bool has_directory);

/* Puts a table in place that is nearly the system's own; the record stays. */
void crash_trace_end(struct crash_trace *trace);

/* Frees the record and removes the root. */
void crash_trace_release(struct crash_trace *trace);

/* Lets the process die at the n-th change from now on. */
void crash_trace_die_in(struct crash_trace *trace, uint64_t n);

/* The process that died is gone, another one goes on. */
void crash_trace_revive(struct crash_trace *trace);

/* Says what a key of the base holds. */
void crash_trace_expect(struct crash_trace *trace,
                        const char *key,
                        const char *value);

/* Says what it may also hold. */
void crash_trace_allow(struct crash_trace *trace,
                       const char *key,
                       const char *value);

/* The calls, recorded with what they acknowledge. value NULL: remove. */
kvstore_status crash_trace_set(struct crash_trace *trace,
                               kvstore *store,
                               const char *key,
                               const char *value,
                               bool is_durable);

/* Writes a batch that gives both keys of a pair this value: they always have the
 * same. */
#define CRASH_PAIR_ONE "one"
#define CRASH_PAIR_OTHER "other"
kvstore_status crash_trace_write(struct crash_trace *trace,
                                 kvstore *store,
                                 const char *value,
                                 bool is_durable);

/* Writes a batch that gives all keys of a group this value. */
kvstore_status crash_trace_grow(struct crash_trace *trace,
                                kvstore *store,
                                const struct crash_group *group,
                                const char *value,
                                bool is_durable);

/* Says of which keys the store has others, so that keys can be counted. */
void crash_trace_count(struct crash_trace *trace,
                       const struct crash_group *group);

/* A durable handle has read this value: it stays. */
void crash_trace_see(struct crash_trace *trace,
                     const char *key,
                     const char *value);
void crash_trace_barrier(struct crash_trace *trace, kvstore_status status);

#endif
