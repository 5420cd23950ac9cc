/* SPDX-License-Identifier: MIT */

/**
 * @file kvstore.h
 * A persistent key-value store: one append-only log of JSON lines, one hash
 * index that all processes share, compaction by rename.
 *
 * Read this first:
 *
 * - A store is a directory. Any number of processes may read and write it at
 *   once; writers take turns, call by call, through a lock on the directory.
 *   Do not use it on a network file system.
 * - By default a call that changes the store returns when the change is on the
 *   disk. With KVSTORE_SYNC_NONE the change survives the death of the process
 *   but not of the machine.
 * - A handle may be used by any number of threads at once, except that no other
 *   call may run during kvstore_close(). A child of fork() cannot use its
 *   parent's handle: every call on it returns KVSTORE_INVALID, and
 *   kvstore_close() only frees memory there.
 * - The library prints nothing, never exits and installs no signal handler.
 * - Truncating or editing store.log in place, or truncating store.index, while
 *   a program has the store open is not supported. Deleting store.index is fine
 *   at any time: it is a cache.
 *
 * A call that fails returns the reason, and kvstore_last_error() then says more
 * about it. The file format is described in docs/format.md.
 */

#ifndef KVSTORE_H
#define KVSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of this header. */
#define KVSTORE_VERSION "0.1.0"

/** Longest key in bytes; the shortest has one byte. */
#define KVSTORE_KEY_SIZE_MAX 65535u

/** Longest value in bytes: 1 GiB. A value may be empty. */
#define KVSTORE_VALUE_SIZE_MAX 1073741824u

/** What makes a compaction due unless the options say otherwise: this many
 *  stale bytes, if they are also this percentage of the log. */
#define KVSTORE_COMPACTION_THRESHOLD 1048576u
#define KVSTORE_COMPACTION_PERCENT 50u

/** The outcome of a call. Zero is success; the numbers never change. */
typedef enum kvstore_status {
    KVSTORE_OK = 0,          /**< Done. */
    KVSTORE_NOT_FOUND = 1,   /**< The key has no value: an answer. */
    KVSTORE_INVALID_KEY = 2, /**< 0 or more than 65,535 bytes. */
    KVSTORE_INVALID = 3,     /**< An argument, or a handle after fork. */
    KVSTORE_TOO_LARGE = 4,   /**< Value over its limit, buffer too small. */
    KVSTORE_IO = 5,          /**< A system call failed; errno is kept. */
    KVSTORE_BAD_JSON = 6,    /**< A line that is not a record. */
    KVSTORE_CORRUPT = 7,     /**< A record does not verify. */
    KVSTORE_COMPACTION_FAILED = 8, /**< The log is as it was. */
    KVSTORE_NO_MEMORY = 9,         /**< An allocation failed. */
    KVSTORE_BUSY = 10,             /**< The lock was not free in time. */
    KVSTORE_READ_ONLY = 11,        /**< The handle was opened read-only. */
    KVSTORE_CONFLICT = 12,         /**< A condition was not met. */
    KVSTORE_UNSUPPORTED = 13       /**< Newer format or network file system. */
} kvstore_status;

/** When a change counts as done: kvstore_options.sync. */
enum {
    KVSTORE_SYNC_ALWAYS = 0, /**< When it is on the disk (fdatasync). */
    KVSTORE_SYNC_NONE = 1    /**< When the kernel has it. */
};

/** What runs a compaction that is due: kvstore_options.compaction. */
enum {
    /** The default: a thread of the library, which takes no signals, reports no
     *  progress and ends with the compaction. For programs that keep a store
     *  open: kvstore_close() abandons a long compaction. */
    KVSTORE_COMPACT_BACKGROUND = 0,
    /** The call that made it due, once its own record has been written. For
     *  programs that open a store, write a little and close it. */
    KVSTORE_COMPACT_INLINE = 1,
    /** Only kvstore_compact() and kvstore_compact_if_due(). */
    KVSTORE_COMPACT_MANUAL = 2
};

/** An open store. */
typedef struct kvstore kvstore;

/** Why this thread's last failing call failed. */
typedef struct kvstore_error {
    kvstore_status status; /**< What the call returned; KVSTORE_OK: none has
                                failed yet. */
    int system_errno;      /**< errno of the system call that failed, or 0. */
    uint64_t offset;       /**< Place in store.log; UINT64_MAX: none. */
    char message[256];     /**< One line of text, no full stop. Keys and values
                                never appear in it. */
} kvstore_error;

/** Counters of a store: kvstore_get_stats(). The four kinds of bytes, live,
 *  stale, blank and damaged, add up to log_bytes. */
typedef struct kvstore_stats {
    uint64_t keys;            /**< Keys that have a value. */
    uint64_t live_bytes;      /**< Bytes of the records that hold them. */
    uint64_t stale_bytes;     /**< Bytes of superseded records and removes. */
    uint64_t log_bytes;       /**< Bytes of store.log, not counting an
                                   unfinished line at its end. */
    uint64_t index_bytes;     /**< Bytes of the index. */
    uint64_t compactions;     /**< Of the store, by any process, since its
                                   index was last built from the log. */
    uint64_t damaged_records; /**< Lines that are not sound records. */
    uint64_t blank_bytes;     /**< Bytes of blank lines. */
    uint64_t damaged_bytes;   /**< Bytes of damaged lines. */
    uint64_t damaged_offset;  /**< Where the first damaged line begins;
                                   UINT64_MAX: there is none. */
    uint64_t tombstone_bytes; /**< Those of the stale bytes that are removes
                                   and the newest record of their key. A
                                   compaction keeps them while there is damage,
                                   and then they do not count towards its being
                                   due. */
    uint64_t unknown_records; /**< Records of a newer version: while there are
                                   any, the store can only be read. */
    uint64_t reserved[4];     /**< Zero. */
} kvstore_stats;

/**
 * Receives the progress of a call that reads much of the log: one that builds
 * the index, catches up with many lines, compacts, lists, verifies or repairs.
 * Such a call may make several passes, and the numbers begin anew with each.
 * Called every few mebibytes by the thread that makes the call, possibly under
 * the writers' lock: it must return soon, and call nothing in this library.
 *
 * @param context      kvstore_options.progress_context.
 * @param done_bytes   Bytes of the log read so far by this pass.
 * @param total_bytes  Bytes that the pass has to read.
 */
typedef void (*kvstore_progress)(void *context,
                                 uint64_t done_bytes,
                                 uint64_t total_bytes);

/** What is wrong at a place: kvstore_damage.kind. */
enum {
    KVSTORE_DAMAGE_LINE = 0,   /**< A line that is not a record. */
    KVSTORE_DAMAGE_SUM = 1,    /**< A record whose sum does not match. */
    KVSTORE_DAMAGE_BATCH = 2,  /**< A record of an incomplete batch. */
    KVSTORE_DAMAGE_INDEX = 3,  /**< A sound record, where the index leads
                                    neither to it nor to a later one of its
                                    key. */
    KVSTORE_DAMAGE_COUNTS = 4, /**< No place: the counters of the index are not
                                    those of the log. */
    KVSTORE_DAMAGE_MOVED = 5,  /**< Adjacent damaged lines that
                                    kvstore_repair() has moved to a file. */
    KVSTORE_DAMAGE_NEWER = 6   /**< A record of a newer version: it is sound,
                                    but the store can only be read. */
};

/** A place in store.log where something is wrong. */
typedef struct kvstore_damage {
    int kind;         /**< KVSTORE_DAMAGE_LINE and so on. */
    uint64_t offset;  /**< Where it begins; UINT64_MAX: no place. */
    uint64_t length;  /**< Its bytes, including the newline. */
    const void *key;  /**< The key as read from the line; NULL: there is none
                           that can be read. */
    size_t key_size;  /**< Bytes of the key. */
    const char *file; /**< The file that the bytes are in now, a name in the
                           directory of the store; NULL: still in the log. */
} kvstore_damage;

/**
 * Receives one damaged place. Called by the thread that makes the call, with no
 * lock held.
 *
 * @param context  As passed to the call.
 * @param damage   What is wrong; it and what it points to are valid until the
 *                 callback returns.
 * @return False to be called no more.
 */
typedef bool (*kvstore_visit_damage)(void *context,
                                     const kvstore_damage *damage);

/**
 * Receives one key. Called by the thread that makes the call, with no lock
 * held: it may call this library, even on the same handle.
 *
 * @param context   As passed to the call.
 * @param key       The key; valid until the callback returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @return False to be called no more.
 */
typedef bool (*kvstore_visit_key)(void *context,
                                  const void *key,
                                  size_t key_size);

/** How to open a store. In every member, zero means the default. */
typedef struct kvstore_options {
    size_t size;    /**< sizeof(kvstore_options), or 0 for the same. */
    int sync;       /**< KVSTORE_SYNC_ALWAYS or KVSTORE_SYNC_NONE. */
    int compaction; /**< KVSTORE_COMPACT_BACKGROUND, _INLINE, _MANUAL. */
    bool exclusive; /**< Keep the writers' lock while open: others can
                                  read, their writes are KVSTORE_BUSY, and
                                  this handle's are several times faster.
                                  While it is open, store.log may end in a
                                  line of tabs. */
    bool read_only; /**< Never write, not even the index; implies
                                  no_create. */
    bool no_create; /**< Fail if there is no store. */
    int32_t lock_timeout_ms; /**< How long to wait for the lock: 0 is 5000,
                                  -1 tries once, INT32_MAX waits forever. */
    uint64_t compaction_threshold; /**< Stale bytes; 0 is 1,048,576. */
    uint32_t compaction_percent;   /**< Stale share of the log, 1 to 100;
                                        0 is 50. */
    uint32_t reserved[9];          /**< Zero. */
    kvstore_progress progress;     /**< NULL: no progress is reported. */
    void *progress_context;        /**< Passed to progress; borrowed. */
} kvstore_options;

/** All defaults. */
#define KVSTORE_OPTIONS_INIT \
    { \
        sizeof(kvstore_options), KVSTORE_SYNC_ALWAYS, \
            KVSTORE_COMPACT_BACKGROUND, false, false, false, 0, 0, 0, {0}, \
            NULL, NULL \
    }

/**
 * Sets all options to their defaults, as KVSTORE_OPTIONS_INIT does.
 *
 * @param options  Overwritten; NULL does nothing.
 */
void kvstore_options_init(kvstore_options *options);

/**
 * Opens the store in a directory, and creates it if there is none.
 *
 * Maps the index that all processes share, store.index. If that can be trusted,
 * opening costs the same however large the store is. Otherwise, as after a
 * reboot or if the index was deleted, it costs one pass over the log under the
 * writers' lock, which builds the index for all processes. If another process
 * has the lock, it is the first call on the handle that waits for the lock, or
 * for the index, and not this one. If the lock is not free before the timeout,
 * or the index cannot be written, or the handle is read-only, the pass builds
 * an index in private memory.
 *
 * Opening changes no byte of an existing log. The next write mends what a
 * killed writer left: an unfinished last line is cut off; what may be more than
 * that is first saved beside the log as store.log.cut-<offset>. Damaged lines
 * stay where they are, and kvstore_stats counts those that the index knows of;
 * a line that is damaged later is reported when it is read.
 *
 * Creating makes the directory and those above it (mode 0700) and the log
 * (mode 0600, or as open as an existing directory is), all of it on the disk
 * before the call returns.
 *
 * @param dir        Path of the directory; borrowed until the call returns.
 * @param options    NULL for all defaults; borrowed.
 * @param store_out  Set to the handle on KVSTORE_OK, to be released with
 *                   kvstore_close(). Else NULL.
 *
 * @retval KVSTORE_OK           The store is open.
 * @retval KVSTORE_INVALID      A NULL or empty path, or an option out of
 *                              bounds.
 * @retval KVSTORE_IO           A system call failed. With no_create and no
 *                              store, system_errno is ENOENT and nothing was
 *                              created. If the store may not be written, it is
 *                              EACCES, EPERM or EROFS, unless read_only is set.
 * @retval KVSTORE_BUSY         With exclusive: another writer kept the lock
 *                              until the timeout.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  A network file system.
 *
 * A store that holds records of a newer version opens; its known records can
 * be read, and writing returns KVSTORE_UNSUPPORTED.
 *
 * Threads: any number at a time, also on one directory.
 */
kvstore_status kvstore_open(const char *dir,
                            const kvstore_options *options,
                            kvstore **store_out);

/**
 * Closes a store and frees its handle.
 *
 * Writes nothing: what was acknowledged needs no close, and with
 * KVSTORE_SYNC_NONE only kvstore_sync() brings it to the disk. A compaction in
 * the background is finished first if less than 64 MiB of the log remain to be
 * read, else abandoned: the log is as it was. In a child of fork() it touches
 * nothing that belongs to the parent.
 *
 * @param store  An open store; NULL does nothing. Invalid afterwards.
 *
 * Threads: no other call on this handle may be running.
 */
void kvstore_close(kvstore *store);

/**
 * Stores a value under a key, in place of any older one.
 *
 * Costs one appended line, and with KVSTORE_SYNC_ALWAYS one fdatasync. Now and
 * then a new key makes the index grow into a file of twice the size; if there
 * is no room for that, the call fails with ENOSPC before it writes. If the call
 * makes a compaction due, that begins as kvstore_options.compaction says;
 * whether it succeeds does not change this call's status. If a writer is faster
 * than a compaction that runs meanwhile, each of its calls waits a millisecond
 * until the compaction is ahead again.
 *
 * @param store       Open store.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value       Any bytes; borrowed. May be NULL if value_size is 0.
 * @param value_size  0 to KVSTORE_VALUE_SIZE_MAX bytes.
 *
 * @retval KVSTORE_OK           Stored; durable as the handle's options say.
 * @retval KVSTORE_INVALID_KEY  key_size breaks the bounds above.
 * @retval KVSTORE_TOO_LARGE    value_size breaks the bound above.
 * @retval KVSTORE_INVALID      A NULL pointer, or a handle after fork.
 * @retval KVSTORE_BUSY         Another writer kept the lock until the timeout.
 * @retval KVSTORE_READ_ONLY    The handle was opened read-only.
 * @retval KVSTORE_IO           A system call failed; system_errno says why.
 *                              After a failed fdatasync all further writes are
 *                              refused, including those of other processes,
 *                              until kvstore_compact() has rewritten the log.
 *                              (If the handle's index is in private memory,
 *                              only the handle's own are refused.)
 * @retval KVSTORE_CORRUPT      The log was changed under the handle.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  The store holds records of a newer version.
 *
 * On any status but KVSTORE_OK the key keeps its old value; only after a failed
 * fdatasync, or if the process is killed, may the new one appear. Threads: any
 * number at a time; those that wait are served together, by one append and one
 * sync.
 */
kvstore_status kvstore_set(kvstore *store,
                           const void *key,
                           size_t key_size,
                           const void *value,
                           size_t value_size);

/**
 * Reads the newest value of a key into a new buffer.
 *
 * Costs one index probe and one read of the key's line. A removed key is as
 * absent as one that was never set. If the index is found to be wrong, it is
 * rebuilt first.
 *
 * @param store           Open store.
 * @param key             Any bytes; borrowed until the call returns.
 * @param key_size        1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value_out       Set to a new buffer on KVSTORE_OK, with one NUL after
 *                        the value; released with kvstore_free(). Else NULL.
 * @param value_size_out  Bytes of the value, not counting the NUL. Else 0.
 *
 * @retval KVSTORE_OK           The key has this value.
 * @retval KVSTORE_NOT_FOUND    It has none. Sets no error.
 * @retval KVSTORE_INVALID_KEY  key_size breaks the bounds above.
 * @retval KVSTORE_INVALID      A NULL pointer, or a handle after fork.
 * @retval KVSTORE_CORRUPT      The key's newest line does not verify;
 *                              kvstore_last_error()->offset says where.
 * @retval KVSTORE_TOO_LARGE    The value was written by another program and is
 *                              larger than KVSTORE_VALUE_SIZE_MAX.
 * @retval KVSTORE_IO           A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  The key's newest record is of a newer version.
 * @retval KVSTORE_BUSY         The handle had to catch up with the store, and
 *                              another of its threads was doing so until the
 *                              timeout.
 *
 * No outcome changes the log. Threads: any number at a time, alongside
 * writers.
 */
kvstore_status kvstore_get(const kvstore *store,
                           const void *key,
                           size_t key_size,
                           void **value_out,
                           size_t *value_size_out);

/**
 * Reads the newest value of a key into the caller's buffer.
 *
 * Costs what kvstore_get() costs, without the buffer. No NUL is added.
 *
 * @param store           Open store.
 * @param key             Any bytes; borrowed until the call returns.
 * @param key_size        1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param buffer          Filled on KVSTORE_OK, else untouched. May be NULL if
 *                        capacity is 0, which asks for the size.
 * @param capacity        Bytes that buffer can hold.
 * @param value_size_out  Bytes of the value, on KVSTORE_OK and
 *                        KVSTORE_TOO_LARGE. Else 0.
 *
 * @retval KVSTORE_OK         The key has this value.
 * @retval KVSTORE_TOO_LARGE  It does not fit; *value_size_out is the size that
 *                            would do. That is 0 if none would: the value was
 *                            written by another program and is larger than
 *                            KVSTORE_VALUE_SIZE_MAX.
 *
 * All other statuses are those of kvstore_get(). No outcome changes the
 * log. Threads: any number at a time, alongside writers.
 */
kvstore_status kvstore_get_into(const kvstore *store,
                                const void *key,
                                size_t key_size,
                                void *buffer,
                                size_t capacity,
                                size_t *value_size_out);

/** One key for kvstore_get_many(), and what the call says about it. */
typedef struct kvstore_item {
    const void *key;       /**< Set by the caller: any bytes; borrowed until the
                                call returns. */
    size_t key_size;       /**< Set by the caller: 1 to KVSTORE_KEY_SIZE_MAX. */
    void *value;           /**< Set by the call, whatever it held before: a new
                                buffer if status is KVSTORE_OK, else NULL. */
    size_t value_size;     /**< Set by the call: bytes of the value; else 0. */
    kvstore_status status; /**< Set by the call: what kvstore_get() would have
                                returned for this key. */
} kvstore_item;

/**
 * Reads the newest values of many keys, each into a new buffer.
 *
 * Each item then says what kvstore_get() would have said of its key at some
 * moment during the call: what was acknowledged before the call is seen. So if
 * there are no writes meanwhile, all items show one state of the store. If
 * there are, they may not: of two values that another thread sets during the
 * call, the later may be seen and the earlier not.
 *
 * Costs as much as the same number of kvstore_get() calls, except that the
 * keys, in groups, wait for memory together rather than one by one: several
 * times less in a store that does not fit in the processor's cache.
 *
 * @param store  Open store.
 * @param items  The keys, in any order; the same one may occur more than once.
 *               The other members need no values before the call: the caller's
 *               buffers are never used. Each value that is not NULL has one NUL
 *               after it, and is released with kvstore_free(). May be NULL if
 *               count is 0.
 * @param count  Any number of items; 0 does nothing.
 *
 * @retval KVSTORE_OK         All keys were looked up: the items' statuses say
 *                            with what result, and KVSTORE_NOT_FOUND and even
 *                            KVSTORE_CORRUPT or KVSTORE_INVALID_KEY are
 *                            results. If some are failures,
 *                            kvstore_last_error() describes one of them.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  There was no memory to catch up with the store.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * Any status other than KVSTORE_OK means that the store could not be read, or
 * not to the end: each item has that status and no value, and there is nothing
 * to release. (If there is no memory for a value, or a line cannot be read,
 * only that item's status says so.) No outcome changes the log. Threads: any
 * number at a time, alongside writers.
 */
kvstore_status kvstore_get_many(const kvstore *store,
                                kvstore_item *items,
                                size_t count);

/**
 * Removes a key.
 *
 * Costs one appended line, and with KVSTORE_SYNC_ALWAYS one fdatasync; nothing
 * if the key is absent.
 *
 * @param store     Open store.
 * @param key       Any bytes; borrowed until the call returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 *
 * @retval KVSTORE_OK         Removed; durable as the handle's options say.
 * @retval KVSTORE_NOT_FOUND  The key has no value; nothing was written. Sets
 *                            no error.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set(). A key whose newest line is damaged can be removed.
 */
kvstore_status kvstore_remove(kvstore *store, const void *key, size_t key_size);

/**
 * Frees a value that kvstore_get() or kvstore_get_many() returned.
 *
 * @param value  The buffer; NULL does nothing.
 */
void kvstore_free(void *value);

/**
 * Compacts the log: writes the live records to a new file and renames it over
 * the old one.
 *
 * Costs one pass over the log and needs room for a second copy of the live
 * bytes. Others read and write meanwhile: what they write is copied in rounds,
 * and only the last round, of a mebibyte at most, keeps writers waiting. (If
 * they are faster than all the rounds, they wait for the rest. If the index is
 * in private memory, writers of this handle wait for all of it.) Damaged lines
 * are copied byte for byte, and while there are any, removes are kept, too.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK                 The log is compact, and on the disk.
 * @retval KVSTORE_COMPACTION_FAILED  The log is as it was; system_errno says
 *                                    why, if a system call failed.
 * @retval KVSTORE_INVALID            A NULL pointer, or a handle after fork.
 * @retval KVSTORE_BUSY               Another writer kept the lock until the
 *                                    timeout, or is compacting.
 * @retval KVSTORE_READ_ONLY          The handle was opened read-only.
 * @retval KVSTORE_IO                 The log could not be read or mended, or
 *                                    the new one is in place and its directory
 *                                    could not be synced: all data is there,
 *                                    and writes are refused until the next
 *                                    compaction.
 * @retval KVSTORE_NO_MEMORY          An allocation failed; the log is as it
 *                                    was.
 * @retval KVSTORE_UNSUPPORTED        The store holds records of a newer
 *                                    version; the log is as it was.
 *
 * Threads: any number at a time; they take turns, and wait for a compaction in
 * the background, up to the timeout.
 */
kvstore_status kvstore_compact(kvstore *store);

/**
 * Compacts the log if that is due: for handles with KVSTORE_COMPACT_MANUAL, at
 * a moment that suits the program.
 *
 * After a compaction has failed, in whatever process, none is due until there
 * are as many more stale bytes as the threshold.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK  It was not due, or the log is compact.
 *
 * All other statuses, and threads: as for kvstore_compact().
 */
kvstore_status kvstore_compact_if_due(kvstore *store);

/**
 * Brings everything that this handle has acknowledged so far to the disk.
 *
 * Costs one fdatasync. With KVSTORE_SYNC_ALWAYS it adds nothing.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK       All of it survives a power cut.
 * @retval KVSTORE_INVALID  A NULL pointer, or a handle after fork.
 * @retval KVSTORE_IO       The sync failed. Writes since the last successful
 *                          one may be lost by a power cut, and further writes
 *                          are refused as after a failed kvstore_set().
 *
 * Threads: any number at a time.
 */
kvstore_status kvstore_sync(kvstore *store);

/**
 * Sets how many stale bytes make a compaction due.
 *
 * It is due when at least this many bytes, and at least compaction_percent of
 * the log, are stale.
 *
 * @param store        Open store; NULL does nothing.
 * @param stale_bytes  0 is the default of 1,048,576; UINT64_MAX is never.
 *
 * Threads: any number at a time. Takes effect with the next write.
 */
void kvstore_set_compaction_threshold(kvstore *store, uint64_t stale_bytes);

/**
 * Reads the counters of a store.
 *
 * @param store      Open store.
 * @param stats_out  Filled on KVSTORE_OK, else zeroed.
 *
 * @retval KVSTORE_OK         The counters agree with each other.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 * @retval KVSTORE_CORRUPT    The index is damaged. The next write rebuilds it.
 *
 * No outcome changes the log. Threads: any number at a time.
 */
kvstore_status kvstore_get_stats(const kvstore *store,
                                 kvstore_stats *stats_out);

/**
 * Visits the keys of a store that begin with a prefix, in byte order: as memcmp
 * orders them, and a key before all longer ones that begin with it.
 *
 * A key is visited unless kvstore_get() would say KVSTORE_NOT_FOUND. So a key
 * whose newest line is damaged is visited, too: a get of it returns
 * KVSTORE_CORRUPT.
 *
 * Visits the store as it is at one moment at the beginning of the call: each
 * key that is there then, once, whatever is written, compacted or removed
 * meanwhile by other processes, other threads or the callback.
 *
 * Costs one pass over the log, since the index has no order. Holds the matching
 * keys in memory, with some 50 bytes for each of them, and briefly twice that.
 *
 * @param store        Open store.
 * @param prefix       Any bytes; borrowed. May be NULL if prefix_size is 0.
 * @param prefix_size  0 visits all keys.
 * @param visit        Called for each key, after the log has been read.
 * @param context      Passed to visit.
 *
 * @retval KVSTORE_OK         All keys were visited, or visit returned false.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_CORRUPT    The log was cut short under the handle. No key was
 *                            visited, nor on any of the statuses below.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * No outcome changes the log. Threads: any number at a time, alongside writers.
 */
kvstore_status kvstore_list(const kvstore *store,
                            const void *prefix,
                            size_t prefix_size,
                            kvstore_visit_key visit,
                            void *context);

/**
 * Checks every line of the log, and the index against all of them.
 *
 * Each line must be a sound record or blank. The index must lead from each
 * record's key to that record or to a later one of the same key; and if there
 * are no writes meanwhile, its counters must be those of the log. (An index in
 * private memory, as a read-only handle may have, was built from the log by
 * this handle and is not checked.)
 *
 * Checks the log as far as it is acknowledged at the beginning of the call. An
 * unfinished line after that is not damage.
 *
 * Costs one pass over the log, and one read for each record that is not its
 * key's newest. Writers and readers go on meanwhile.
 *
 * kvstore_repair() moves damage out of the log. To cure a damaged index, delete
 * store.index.
 *
 * @param store    Open store; may be read-only.
 * @param visit    Called for each damaged place in the order of the log; NULL
 *                 just to know whether there is any. If it returns false, the
 *                 call ends.
 * @param context  Passed to visit.
 *
 * @retval KVSTORE_OK         All is sound.
 * @retval KVSTORE_CORRUPT    Something is damaged, or of a newer version;
 *                            kvstore_last_error()->offset says where the first
 *                            of it is. Also if the log was cut short under the
 *                            handle, for which visit is not called.
 * @retval KVSTORE_INVALID    A NULL handle, or one after fork.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * No outcome changes the store. Threads: any number at a time, alongside
 * writers.
 */
kvstore_status kvstore_verify(const kvstore *store,
                              kvstore_visit_damage visit,
                              void *context);

/**
 * Moves the damaged lines out of the log.
 *
 * Each damaged place, one line or several adjacent ones, is copied byte for
 * byte to a new file store.log.cut-<offset> in the directory of the store (with
 * -1, -2 and so on appended if that name is taken). Then the log is rewritten
 * without them: all sound lines, including stale ones, in their order and byte
 * for byte. Afterwards kvstore_stats counts no damage, and compactions drop
 * removes again.
 *
 * A key that was KVSTORE_CORRUPT then has what its newest sound record says: an
 * older value, or none. What the damaged lines held is in the files alone.
 *
 * If nothing is damaged, does nothing.
 *
 * Costs one pass over the log, and if it is damaged, room for a second copy of
 * the whole log, two more passes, and a sync for each place. Writers wait
 * meanwhile; readers do not. Durable whatever the handle's options say: the
 * files with the damaged bytes before the new log takes the old one's place,
 * and the new log before the call returns.
 *
 * @param store    Open store.
 * @param visit    Called for each place that was moved, in the order of the
 *                 log, after everything else; may be NULL.
 * @param context  Passed to visit.
 *
 * @retval KVSTORE_OK  The log has no damage, and is on the disk.
 * @retval KVSTORE_IO  As for kvstore_compact(). If the new log is in place,
 *                     visit has been called.
 *
 * All other statuses, and threads: as for kvstore_compact(). On a failure
 * before the new log is in place, the log is as it was, and no file is left.
 */
kvstore_status kvstore_repair(kvstore *store,
                              kvstore_visit_damage visit,
                              void *context);

/**
 * Names a status in English.
 *
 * @param status  Any number.
 * @return A constant text without a full stop; never NULL.
 */
const char *kvstore_strerror(kvstore_status status);

/**
 * Says why this thread's last failing call failed.
 *
 * @return Never NULL. Owned by the library; valid until this thread's next
 *         failing call. Its status is KVSTORE_OK as long as none has failed.
 */
const kvstore_error *kvstore_last_error(void);

/**
 * Returns the version of the library.
 *
 * @return A constant text such as "0.1.0".
 */
const char *kvstore_version(void);

#ifdef __cplusplus
}
#endif

#endif
