/* SPDX-License-Identifier: MIT */

/* What a store must offer to be measured. Each file in stores/ ends in one
 * table of this form for each way in which its store is opened, and knows
 * nothing of the workloads; they know nothing of the stores.
 *
 * A call that fails says why with bench_fail() and returns false. A function is
 * NULL if the store has no such operation: its cells show "-". */

#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include "data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a workload wants the store opened. */
struct bench_settings {
    const char *dir;        /* Exists; the store is alone in it. */
    uint64_t keys;          /* How many the store will hold, or holds. */
    int variant;            /* Of the table that opens it. */
    bool is_durable;        /* A set that returned survives a power cut. */
    bool compacts_by_order; /* Not by itself, if the store has the choice. */
    bool is_alone;          /* No other process opens the store meanwhile. */
    bool is_expiring;       /* Only set_expiring() will be called. */
};

/* How long keys live that expire. */
#define BENCH_LIFETIME_MS 1000

/* What a store knows of itself. */
struct bench_counters {
    uint64_t compactions; /* That have ended, in any process. */
    uint64_t log_bytes;
    uint64_t live_bytes; /* Of those, what a compaction copies. */
    uint64_t index_bytes;
};

enum bench_answer { BENCH_FOUND, BENCH_MISSING, BENCH_FAILED };

/* How many keys get_many() is asked for. */
#define BENCH_MANY 16

/* One record of a batch. */
struct bench_pair {
    char key[BENCH_KEY_SIZE];
    char value[BENCH_VALUE_SIZE];
};

/* A command to run; its arguments point into text or to constants. */
#define BENCH_ARGUMENT_COUNT_MAX 12
struct bench_command {
    const char *arguments[BENCH_ARGUMENT_COUNT_MAX]; /* NULL at the end. */
    char text[3][4096];
};

/* What a one-shot command should do. */
struct bench_task {
    const char *dir;
    const char *key;   /* Text, like the value. */
    const char *value; /* NULL: get, else set. */
    uint64_t keys;
};

/* Sees one record of a scan. */
typedef void (*bench_visit)(void *context, const void *key, const void *value);

struct bench_store {
    const char *name;
    const char *family; /* The name in --stores for all variants together. */
    const char *(*version)(void); /* NULL: it has no call for that. */
    int variant;
    bool is_ours;
    bool is_floor;           /* No store: the cost of hardware and kernel. */
    bool shares_writing;     /* Several processes may write in turn. */
    bool has_threads;        /* One process may have several sessions. */
    bool has_order;          /* A scan is in the order of the keys. */
    bool is_faster_in_batch; /* How a store is filled off the clock. */
    const char *survives_kill;
    const char *survives_power_cut;
    const char *writers;    /* What may write at the same time. */
    const char *index_file; /* Files whose names begin so are for it, too. */
    const char *log_file;
    const char *new_log_file; /* There while a compaction runs. */

    bool (*open)(const struct bench_settings *settings, void **store_out);
    void (*close)(void *store);
    /* One session for each thread; NULL if the store itself serves them all. */
    bool (*connect)(void *store, void **session_out);
    void (*disconnect)(void *session);

    bool (*set)(void *session, const char *key, const char *value);
    enum bench_answer (*get)(void *session, const char *key, char *value_out);
    bool (*remove)(void *session, const char *key);
    /* Sets a key that lives for BENCH_LIFETIME_MS. */
    bool (*set_expiring)(void *session, const char *key, const char *value);
    /* Sets all of them, as one transaction if the store has such: then all are
     * there or none, even if the process is killed. */
    bool (*set_batch)(void *session,
                      const struct bench_pair *pairs,
                      size_t count);
    /* Gets sixteen with one call; all of them are there. */
    bool (*get_many)(void *session,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE]);
    bool (*scan)(void *session, bench_visit visit, void *context);
    /* Scans the keys that begin so, if the store has an order. */
    bool (*scan_prefix)(void *session,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context);
    bool (*compact)(void *session);
    bool (*index_bytes)(void *session, uint64_t *bytes_out);
    bool (*counters)(void *session, struct bench_counters *counters_out);
    /* Sets whether the store may compact by itself once that is due, as it may
     * when it is opened. */
    void (*let_compact)(void *session, bool may_compact);
    /* The store's own command for a task; arguments[0] is its program. */
    void (*tool)(const struct bench_task *task, struct bench_command *command);
};

/* Describes this process's first failure, for the table. Returns false. */
bool bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The first failure, or NULL. Once it is forgotten, the next one is the
 * first. */
const char *bench_failure(void);
void bench_forget_failure(void);

/* "1.2.3", in a buffer that the next call overwrites. */
const char *bench_version(int major, int minor, int patch);

/* The path of a file in a store's directory. */
bool bench_path(char *path_out, size_t size, const char *dir, const char *file);

/* Copies a value out; its size must be that of all values. */
enum bench_answer bench_take_value(const void *value,
                                   size_t size,
                                   char *value_out);

/* The size of a cache that holds the whole store, so that no store is slow for
 * lack of memory that others take without asking. */
uint64_t bench_cache_bytes(const struct bench_settings *settings);

/* All that were built in, by number; NULL after the last. */
const struct bench_store *bench_store_at(size_t number);

#endif
