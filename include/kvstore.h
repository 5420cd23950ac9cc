/* SPDX-License-Identifier: MIT */

/**
 * @file kvstore.h
 * A persistent key-value store: one append-only log of JSON lines, one hash
 * index that all processes share, compaction by rename.
 *
 * Read this first:
 *
 * - A store is a directory. Any number of processes may read and write it at
 *   once; writers take turns, call by call, through a lock on the directory
 *   (flock): a caller that holds one itself keeps them all out.
 *   Do not use it on a network file system: docs/reliability.md says which are
 *   recognised, and refused.
 * - By default a call that changes the store returns when the change is on the
 *   disk. With KVSTORE_SYNC_NONE the change survives the death of the process
 *   but not of the machine.
 * - A handle may be used by any number of threads at once, except that no other
 *   call may run during kvstore_close(). A child of fork() cannot use its
 *   parent's handle: every call on it returns KVSTORE_INVALID, and
 *   kvstore_close() only frees memory there.
 * - A call holds off the cancellation of its thread (pthread_cancel) until it is
 *   over, so that no lock is left behind; callbacks run with it held off, too.
 *   That is of use with deferred cancellation, the default; a thread whose
 *   cancellation is asynchronous must not call this library.
 * - 128 KiB of stack are enough for every call, callbacks not counted.
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

/** The same as a number: major * 1,000,000 + minor * 1,000 + patch. */
#define KVSTORE_VERSION_NUMBER 1000

/** On calls whose status must be looked at: to ignore it may lose data
 *  unnoticed. */
#if (defined(__cplusplus) && __cplusplus >= 201703L) || \
    (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define KVSTORE_CHECKED [[nodiscard]]
#elif defined(__GNUC__)
#define KVSTORE_CHECKED __attribute__((warn_unused_result))
#else
#define KVSTORE_CHECKED
#endif

/** Longest key in bytes; the shortest has one byte. */
#define KVSTORE_KEY_SIZE_MAX 65535u

/** Longest value in bytes: 1 GiB. A value may be empty. */
#define KVSTORE_VALUE_SIZE_MAX 1073741824u

/** When a key expires: milliseconds since 1970, UTC, as CLOCK_REALTIME has them,
 *  from 1 to KVSTORE_EXPIRES_MAX; or one of the other two. From that moment on
 *  the key is absent from every answer. If the clock is set back, it is there
 *  again, until a compaction has dropped it. */
#define KVSTORE_EXPIRES_NEVER INT64_C(0)
#define KVSTORE_EXPIRES_KEEP INT64_C(-1) /**< As it was; a new key: never. */
#define KVSTORE_EXPIRES_MAX INT64_C(9007199254740991) /**< 2^53 - 1 */

/** What must be true of a key before a write. An expired key is absent. */
enum {
    KVSTORE_IF_ANY = 0,     /**< Anything. */
    KVSTORE_IF_ABSENT = 1,  /**< It has no value. */
    KVSTORE_IF_PRESENT = 2, /**< It has one. */
    KVSTORE_IF_VALUE = 3    /**< It has exactly this one. */
};

/** What makes a compaction due unless the options say otherwise: this many
 *  stale bytes, if they are also this percentage of the log; or records that
 *  may have expired, as kvstore_set_compaction_threshold() says. */
#define KVSTORE_COMPACTION_THRESHOLD 1048576u
#define KVSTORE_COMPACTION_PERCENT 50u

/** The outcome of a call. Zero is success; the numbers never change. */
typedef enum kvstore_status {
    KVSTORE_OK = 0,          /**< Done. */
    KVSTORE_NOT_FOUND = 1,   /**< The key has no value: an answer. */
    KVSTORE_INVALID_KEY = 2, /**< 0 or more than 65,535 bytes. */
    KVSTORE_INVALID = 3,     /**< An argument, or a handle after fork. */
    KVSTORE_TOO_LARGE = 4,   /**< Value, batch or log over its limit, buffer
                                  too small. */
    KVSTORE_IO = 5,          /**< A system call failed; errno is kept. */
    KVSTORE_BAD_JSON = 6,    /**< A line that is not a record: calls return
                                  KVSTORE_CORRUPT for that. */
    KVSTORE_CORRUPT = 7,     /**< A record does not verify, or the log was
                                  changed under the handle. */
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

/** Whether opening a store costs the same however large it is, or why it costs a
 *  pass over the log each time: kvstore_stats.slow_open. */
enum {
    KVSTORE_OPEN_FAST = 0,
    /** The system does not tell one boot from another (no /proc), so the shared
     *  index may be older than what is in memory: it is checked. */
    KVSTORE_OPEN_NO_BOOT_ID = 1,
    /** Nor one mount from another: the same. */
    KVSTORE_OPEN_NO_MOUNT_ID = 2,
    /** This handle cannot use the shared index, or none could be made: it has
     *  one in private memory. */
    KVSTORE_OPEN_PRIVATELY = 3
};

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
    uint64_t expiring_keys;   /**< Of the keys: those that may expire, whether
                                   or not they have. Until a compaction, keys
                                   that have expired count. */
    uint64_t expiring_bytes;  /**< Of the live bytes: those of their records. */
    uint64_t slow_open;       /**< KVSTORE_OPEN_FAST, or why it takes long to
                                   open the store like this handle. */
    uint64_t compaction_due;  /**< 1: a compaction is due, by this handle's
                                   threshold and percent; 0: none is. */
} kvstore_stats;

/**
 * Receives the progress of a call that reads much of the log: one that builds
 * the index, catches up with many lines, compacts, lists, makes an iterator,
 * backs up, verifies or repairs.
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

/**
 * Receives, in one line of text, what the library did on its own and a human
 * should know: bytes of an unfinished write that were saved, an index that was
 * built anew since it was not true to the log, a compaction that was due and
 * failed. Called with no lock held, one call at a time, at the end of the call
 * that has met it, or of another one, or by the library's own thread: it may call
 * this library, but not close the handle. Four are kept until then, and what is
 * more than that is dropped.
 *
 * @param context  kvstore_options.warning_context.
 * @param message  No full stop, no newline; valid until the callback returns.
 */
typedef void (*kvstore_warning)(void *context, const char *message);

/** What is wrong at a place: kvstore_damage.kind. */
enum {
    KVSTORE_DAMAGE_LINE = 0,   /**< A line that is not a record. */
    KVSTORE_DAMAGE_SUM = 1,    /**< A record whose sum does not match. */
    KVSTORE_DAMAGE_BATCH = 2,  /**< A record of an incomplete batch. */
    KVSTORE_DAMAGE_INDEX = 3,  /**< A sound record, where the index leads
                                    neither to it nor to a later one of its
                                    key. */
    KVSTORE_DAMAGE_COUNTS = 4, /**< No place: the index as a whole, its counters
                                    or its slots, is not true to the log. */
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
    size_t size;    /**< sizeof(kvstore_options), or 0: the members that this
                         version has. That of a program built with an older
                         header is taken, too; that of a newer one if all that
                         is new to the library is zero. */
    int sync;       /**< KVSTORE_SYNC_ALWAYS or KVSTORE_SYNC_NONE. */
    int compaction; /**< KVSTORE_COMPACT_BACKGROUND, _INLINE, _MANUAL. */
    bool exclusive; /**< Keep the writers' lock while open: others can
                                  read, their writes are KVSTORE_BUSY, and
                                  this handle's are several times faster.
                                  While it is open, store.log may end in a
                                  line of tabs, and a copy of it that is made
                                  while this handle writes is no backup. */
    bool read_only; /**< Never write, not even the index; implies
                                  no_create, and exclusive is ignored. */
    bool no_create; /**< Fail if there is no store. */
    int32_t lock_timeout_ms; /**< How long to wait for the lock: 0 is 5000,
                                  -1 tries once, INT32_MAX waits forever. */
    uint64_t compaction_threshold; /**< Stale bytes; 0 is 1,048,576. */
    uint32_t compaction_percent;   /**< Stale share of the log, 1 to 100;
                                        0 is 50. */
    uint32_t reserved[9];          /**< Zero. */
    kvstore_progress progress;     /**< NULL: no progress is reported. */
    void *progress_context;        /**< Passed to progress; borrowed. */
    kvstore_warning warning;       /**< NULL: nobody is told. */
    void *warning_context;         /**< Passed to warning; borrowed. */
} kvstore_options;

/** All defaults. */
#define KVSTORE_OPTIONS_INIT \
    { \
        sizeof(kvstore_options), KVSTORE_SYNC_ALWAYS, \
            KVSTORE_COMPACT_BACKGROUND, false, false, false, 0, 0, 0, {0}, \
            NULL, NULL, NULL, NULL \
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
 * opening costs the same however large the store is. Otherwise it costs one pass
 * over the log under the writers' lock, which checks the index for all processes,
 * as after a reboot, or builds it, as if it was deleted. Where the system does not
 * tell one boot or one mount from another, each handle checks it, for itself
 * and without the lock: kvstore_stats.slow_open. If another process
 * has the lock, it is the first call on the handle that waits for the lock, or
 * for the index, and not this one. If the lock is not free before the timeout,
 * or the index cannot be written or mapped, or the handle is read-only, the pass
 * builds an index in private memory. By such an index the handle reads, compacts and
 * repairs; a set or a remove fails with KVSTORE_IO where no index can be made
 * for all processes, and system_errno says why.
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
 * @retval KVSTORE_INVALID      A NULL pointer, an empty path, or an option out
 *                              of bounds.
 * @retval KVSTORE_IO           A system call failed. With no_create and no
 *                              store, system_errno is ENOENT and nothing was
 *                              created. If the store may not be written, it is
 *                              EACCES, EPERM or EROFS, unless read_only is set.
 *                              It is 0 if store.index is there and store.log is
 *                              not: that is no place for a new store.
 * @retval KVSTORE_BUSY         With exclusive, or where the store has to be
 *                              created: another writer kept the lock until the
 *                              timeout.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_CORRUPT      The log was changed while it was read.
 * @retval KVSTORE_TOO_LARGE    The log is longer than 1 TiB, or has more keys
 *                              than an index can have: 12 billion, or 50 million
 *                              in a program of 32 bits.
 * @retval KVSTORE_UNSUPPORTED  A network, cluster or shared file system that is
 *                              recognised.
 *
 * A store that holds records of a newer version opens; its known records can
 * be read, and writing returns KVSTORE_UNSUPPORTED.
 *
 * A later call that has to read the whole log, as when another program has
 * replaced it, may return KVSTORE_CORRUPT or KVSTORE_TOO_LARGE for the same
 * reasons, even if its own list does not have them.
 *
 * Threads: any number at a time, also on one directory.
 */
KVSTORE_CHECKED kvstore_status kvstore_open(const char *dir,
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
 * @retval KVSTORE_TOO_LARGE    value_size breaks the bound above; or the log
 *                              would have more than 1 TiB: it takes no more
 *                              until a compaction has made it smaller; or the
 *                              index has as many keys as it can have.
 * @retval KVSTORE_INVALID      A NULL pointer, or a handle after fork.
 * @retval KVSTORE_BUSY         Another writer kept the lock until the timeout.
 * @retval KVSTORE_READ_ONLY    The handle was opened read-only.
 * @retval KVSTORE_IO           A system call failed; system_errno says why.
 *                              After a failed fdatasync (rather than a refused
 *                              one) all further writes are refused, including
 *                              those of other processes, until kvstore_compact()
 *                              has rewritten the log. So are writes where there
 *                              is no index for all processes, and none can be
 *                              made; and where store.log has a second name (a
 *                              hard link), since it may be another store's, too.
 * @retval KVSTORE_CORRUPT      The log was changed under the handle.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  The store holds records of a newer version.
 *
 * On any status but KVSTORE_OK the key keeps its old value, and what was written
 * of the line is cut off again. The new value may appear later all the same, and
 * then for all readers:
 *
 * - if the process is killed during the call;
 * - after a failed fdatasync, once the machine has been restarted or the index
 *   has been deleted: it is not known what the disk has;
 * - after a write that failed halfway, if the system refuses to cut the log,
 *   too. A line that lacks only its newline is a record, and so is each whole
 *   line where several threads were served together. The next writer, or the
 *   next process that opens the store and may write it, takes such lines for
 *   those of a writer that was killed. It cuts off the rest; if it cannot, its
 *   own write fails with KVSTORE_IO.
 *
 * Threads: any number at a time; those that wait are served together, by one
 * append and one sync.
 */
KVSTORE_CHECKED kvstore_status kvstore_set(kvstore *store,
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
 * @param buffer          Filled on KVSTORE_OK, else untouched (but on
 *                        KVSTORE_CORRUPT, if the log is being changed, it may
 *                        hold anything). May be NULL if capacity is 0, which
 *                        asks for the size.
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
    int64_t expires_ms;    /**< Set by the call: when the value expires;
                                KVSTORE_EXPIRES_NEVER: never, or no value. */
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
KVSTORE_CHECKED kvstore_status kvstore_remove(kvstore *store,
                                              const void *key,
                                              size_t key_size);

/**
 * Frees a value that kvstore_get(), kvstore_get_many() or kvstore_take()
 * returned.
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
 * in private memory, writers wait for all of it.) Damaged lines are copied byte
 * for byte, and while there are any, removes are kept, too.
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
KVSTORE_CHECKED kvstore_status kvstore_compact(kvstore *store);

/**
 * Compacts the log if that is due: for handles with KVSTORE_COMPACT_MANUAL, at
 * a moment that suits the program.
 *
 * When one is due says kvstore_set_compaction_threshold(). After a compaction
 * has failed, in whatever process, none is due until as many more bytes as the
 * threshold are stale, or may expire.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK    It was not due, or the log is compact.
 * @retval KVSTORE_BUSY  Another writer kept the lock until the timeout; or
 *                       another thread or process is compacting, for which this
 *                       call does not wait.
 *
 * All other statuses: as for kvstore_compact(). Threads: any number at a time.
 */
KVSTORE_CHECKED kvstore_status kvstore_compact_if_due(kvstore *store);

/**
 * Brings everything that this handle has acknowledged so far to the disk.
 *
 * Costs one fdatasync. With KVSTORE_SYNC_ALWAYS it adds nothing. While the disk
 * works, other threads and processes go on; calls of this one on one handle take
 * turns.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK         All of it survives a power cut.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_IO         The sync failed. Writes since the last successful
 *                            one may be lost by a power cut, and further writes
 *                            are refused as after a failed kvstore_set().
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * Threads: any number at a time.
 */
KVSTORE_CHECKED kvstore_status kvstore_sync(kvstore *store);

/**
 * Sets how many stale bytes make a compaction due.
 *
 * It is due when at least this many bytes, and at least compaction_percent of
 * the log, are stale; removes that are kept because of damage do not count. As
 * long as keys may expire it is also due when the log has twice the length that
 * was needed when that was last known, and this many bytes more, and half of it
 * is stale or may expire. It is not, in either case, just after one has failed:
 * see kvstore_compact_if_due().
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
 * @retval KVSTORE_CORRUPT    The log was changed under the handle.
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
 * Costs one pass over the log, since the index has no order; with a prefix, at
 * the speed of memory where few keys have it. Holds the matching keys in memory,
 * with 24 to 48 bytes for each of them.
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
 * @retval KVSTORE_OK  The log has no damage. If any was moved out of it, the
 *                     new log is on the disk.
 * @retval KVSTORE_IO  As for kvstore_compact(). If the new log is in place,
 *                     visit has been called.
 *
 * All other statuses, and threads: as for kvstore_compact(). On a failure
 * before the new log is in place, the log is as it was, and no file is left.
 */
KVSTORE_CHECKED kvstore_status kvstore_repair(kvstore *store,
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

/* --- Conditions and expiry --- */

/** Returns the time by which keys expire: milliseconds since 1970, UTC. */
int64_t kvstore_now_ms(void);

/** How to set a value: kvstore_set_with(). In every member, zero means the
 *  default. */
typedef struct kvstore_set_options {
    size_t size;          /**< sizeof(kvstore_set_options), or 0: the members up
                               to reserved, as this version has them. */
    int condition;        /**< KVSTORE_IF_ANY and so on. */
    const void *expected; /**< For KVSTORE_IF_VALUE: the value; borrowed. */
    size_t expected_size; /**< Its bytes. */
    int64_t expires_ms;   /**< When the value expires; KVSTORE_EXPIRES_NEVER or
                               _KEEP. */
    uint32_t reserved[8]; /**< Zero. */
} kvstore_set_options;

/**
 * Stores a value under a key if a condition is met, in one step: no other write
 * comes between.
 *
 * Costs a look at the key and what kvstore_set() costs.
 *
 * @param store       Open store.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value       Any bytes; borrowed. May be NULL if value_size is 0.
 * @param value_size  0 to KVSTORE_VALUE_SIZE_MAX bytes.
 * @param options     NULL for all defaults, which is kvstore_set(); borrowed.
 *
 * @retval KVSTORE_OK        Stored; durable as the handle's options say.
 * @retval KVSTORE_CONFLICT  The condition was not met; nothing was written. Sets
 *                           no error.
 * @retval KVSTORE_INVALID   A NULL pointer, an option out of its bounds, an
 *                           expiry that has passed, or a handle after fork.
 * @retval KVSTORE_CORRUPT   The key's newest line is damaged, and the condition
 *                           or KVSTORE_EXPIRES_KEEP asks for what it was;
 *                           nothing was written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status
kvstore_set_with(kvstore *store,
                 const void *key,
                 size_t key_size,
                 const void *value,
                 size_t value_size,
                 const kvstore_set_options *options);

/**
 * Removes a key if it has exactly this value: for a lock that may have expired,
 * and be another's by now.
 *
 * @param store       Open store.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value       Any bytes; borrowed. May be NULL if value_size is 0.
 * @param value_size  0 to KVSTORE_VALUE_SIZE_MAX bytes.
 *
 * @retval KVSTORE_OK        Removed; durable as the handle's options say.
 * @retval KVSTORE_CONFLICT  The key is absent or has another value; nothing was
 *                           written. Sets no error.
 * @retval KVSTORE_CORRUPT   The key's newest line is damaged; nothing was
 *                           written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_remove_if(kvstore *store,
                                                 const void *key,
                                                 size_t key_size,
                                                 const void *value,
                                                 size_t value_size);

/**
 * Reads a value as kvstore_get() does and removes its key, in one step: of
 * several callers one gets it.
 *
 * @param store           Open store.
 * @param key             Any bytes; borrowed until the call returns.
 * @param key_size        1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value_out       On KVSTORE_OK set to a new buffer, one NUL after the
 *                        value; released with kvstore_free(). Else NULL.
 * @param value_size_out  Bytes of the value, the NUL not counted. Else 0.
 *
 * @retval KVSTORE_OK         Read and removed; durable as the handle's options
 *                            say.
 * @retval KVSTORE_NOT_FOUND  The key has no value; nothing was written. Sets no
 *                            error.
 * @retval KVSTORE_CORRUPT    Its newest line is damaged; nothing was written.
 * @retval KVSTORE_TOO_LARGE  As for kvstore_get(), or as for kvstore_set();
 *                            nothing was written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_take(kvstore *store,
                                            const void *key,
                                            size_t key_size,
                                            void **value_out,
                                            size_t *value_size_out);

/**
 * Finds out whether a key has a value.
 *
 * Costs what kvstore_get() costs, but for the value's copy.
 *
 * @param store     Open store.
 * @param key       Any bytes; borrowed until the call returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 *
 * @retval KVSTORE_OK         It has one.
 * @retval KVSTORE_NOT_FOUND  It has none. Sets no error.
 *
 * All other statuses, and threads: as for kvstore_get().
 */
kvstore_status kvstore_exists(const kvstore *store,
                              const void *key,
                              size_t key_size);

/**
 * Gives the value of a key another expiry.
 *
 * Costs a read of the value and what kvstore_set() costs.
 *
 * @param store       Open store.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param expires_ms  When it expires, or KVSTORE_EXPIRES_NEVER.
 *
 * @retval KVSTORE_OK         Done; durable as the handle's options say.
 * @retval KVSTORE_NOT_FOUND  The key has no value; nothing was written. Sets no
 *                            error.
 * @retval KVSTORE_INVALID    A NULL pointer, KVSTORE_EXPIRES_KEEP, a time that
 *                            has passed or is out of bounds, or a handle after
 *                            fork.
 * @retval KVSTORE_CORRUPT    The key's newest line is damaged; nothing was
 *                            written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_expire(kvstore *store,
                                              const void *key,
                                              size_t key_size,
                                              int64_t expires_ms);

/**
 * Adds to a whole number, in one step: callers that count together lose no
 * count.
 *
 * The value is a decimal number of 64 bits with a sign or without, and white
 * space around it; +5 and 007 are numbers. An absent key counts as 0. What is
 * stored has no white space.
 *
 * @param store       Open store.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param amount      What to add; may be negative.
 * @param expires_ms  For a key that is absent: when it expires, or
 *                    KVSTORE_EXPIRES_NEVER or _KEEP. One that is there keeps its
 *                    expiry.
 * @param sum_out     Set to the sum on KVSTORE_OK, else 0. May be NULL.
 *
 * @retval KVSTORE_OK        Stored; durable as the handle's options say.
 * @retval KVSTORE_CONFLICT  The value is no such number, or the sum is beyond 64
 *                           bits; nothing was written. Sets no error.
 * @retval KVSTORE_INVALID   A NULL pointer, an expiry out of its bounds or, for a
 *                           key that is absent, one that has passed, or a handle
 *                           after fork.
 * @retval KVSTORE_CORRUPT   The key's newest line is damaged; nothing was
 *                           written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_increment(kvstore *store,
                                                 const void *key,
                                                 size_t key_size,
                                                 int64_t amount,
                                                 int64_t expires_ms,
                                                 int64_t *sum_out);

/* --- Batches --- */

/** Changes that are made together or not at all, and the conditions on which.
 *  Belongs to no store. One thread at a time. */
typedef struct kvstore_batch kvstore_batch;

/**
 * Creates an empty batch.
 *
 * @param batch_out  Set to the batch on KVSTORE_OK, to be released with
 *                   kvstore_batch_free(). Else NULL.
 *
 * @retval KVSTORE_OK         Created.
 * @retval KVSTORE_INVALID    A NULL pointer.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_IO         The system has no random bytes; system_errno says
 *                            why.
 */
kvstore_status kvstore_batch_create(kvstore_batch **batch_out);

/**
 * Adds to a batch that a key gets a value.
 *
 * Key and value are copied. Of several changes of one key the last counts, in
 * the place of the first.
 *
 * @param batch       The batch.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value       Any bytes; borrowed. May be NULL if value_size is 0.
 * @param value_size  0 to KVSTORE_VALUE_SIZE_MAX bytes.
 * @param expires_ms  When the value expires, or KVSTORE_EXPIRES_NEVER or _KEEP;
 *                    whether it has passed is judged by kvstore_write().
 *
 * @retval KVSTORE_OK           Added.
 * @retval KVSTORE_INVALID      A NULL pointer, or a time out of its bounds.
 * @retval KVSTORE_INVALID_KEY  key_size breaks the bounds above.
 * @retval KVSTORE_TOO_LARGE    value_size breaks the bound above, or the lines
 *                              of the batch would have more than 2^31 - 1 bytes
 *                              together.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 *
 * After a failure the batch is as it was.
 */
KVSTORE_CHECKED kvstore_status kvstore_batch_set(kvstore_batch *batch,
                                                 const void *key,
                                                 size_t key_size,
                                                 const void *value,
                                                 size_t value_size,
                                                 int64_t expires_ms);

/**
 * Adds to a batch that a key is removed. That it is absent then is no failure.
 *
 * Parameters and statuses: as for kvstore_batch_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_batch_remove(kvstore_batch *batch,
                                                    const void *key,
                                                    size_t key_size);

/**
 * Adds to a batch what must be true of a key before any of it is written. All
 * conditions must be met, also where there are several for one key.
 *
 * @param batch       The batch.
 * @param key         Any bytes; borrowed until the call returns.
 * @param key_size    1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param condition   KVSTORE_IF_ABSENT, _PRESENT or _VALUE; KVSTORE_IF_ANY only
 *                    says that the key must not be damaged.
 * @param value       For KVSTORE_IF_VALUE: any bytes; borrowed. May be NULL if
 *                    value_size is 0.
 * @param value_size  Its bytes; else 0.
 *
 * Statuses: as for kvstore_batch_set(); KVSTORE_INVALID also for another
 * condition.
 */
KVSTORE_CHECKED kvstore_status kvstore_batch_require(kvstore_batch *batch,
                                                     const void *key,
                                                     size_t key_size,
                                                     int condition,
                                                     const void *value,
                                                     size_t value_size);

/** Returns how many changes a batch has, one for each key; conditions are not
 *  counted. NULL has none. */
size_t kvstore_batch_count(const kvstore_batch *batch);

/** Removes all changes and conditions from a batch; NULL does nothing. */
void kvstore_batch_clear(kvstore_batch *batch);

/** Frees a batch; NULL does nothing. */
void kvstore_batch_free(kvstore_batch *batch);

/**
 * Writes a batch: all of its changes, or none.
 *
 * First judges all conditions, against the state before the batch. Costs a look
 * at each key that has a condition, KVSTORE_EXPIRES_KEEP or a removal, one
 * append, and with KVSTORE_SYNC_ALWAYS one fdatasync. After a crash, and in
 * iterators, watchers and backups, either all of it is there or nothing;
 * a kvstore_get() of another thread or process may see some of it before the
 * rest as long as this call has not returned, in the order of the batch.
 *
 * @param store  Open store.
 * @param batch  Changes and conditions; it is not changed, and may be written
 *               again, here or to another store. An empty one only has its
 *               conditions judged.
 *
 * @retval KVSTORE_OK         Written; durable as the handle's options say.
 * @retval KVSTORE_CONFLICT   A condition was not met; nothing was written. Sets
 *                            no error.
 * @retval KVSTORE_CORRUPT    The newest line of a key with a condition or
 *                            KVSTORE_EXPIRES_KEEP is damaged; nothing was
 *                            written.
 * @retval KVSTORE_INVALID    A NULL pointer, an expiry that has passed, or a
 *                            handle after fork.
 * @retval KVSTORE_TOO_LARGE  The lines have more than 2^31 - 1 bytes together,
 *                            or the log has no room for them below 1 TiB.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_set().
 */
KVSTORE_CHECKED kvstore_status kvstore_write(kvstore *store,
                                             const kvstore_batch *batch);

/** A key and what is stored under it, lent to the caller. Later versions may
 *  add members at the end. */
typedef struct kvstore_entry {
    const void *key;       /**< Any bytes. */
    size_t key_size;       /**< 1 to KVSTORE_KEY_SIZE_MAX. */
    const void *value;     /**< One NUL after it; NULL where there is none, or
                                none was asked for. */
    size_t value_size;     /**< Bytes of the value, the NUL not counted. */
    int64_t expires_ms;    /**< KVSTORE_EXPIRES_NEVER: never. */
    kvstore_status status; /**< KVSTORE_OK; or why there is no value:
                                KVSTORE_NOT_FOUND, _CORRUPT, _TOO_LARGE,
                                _UNSUPPORTED. */
} kvstore_entry;

/**
 * Puts into an empty batch what should change, of this key and of others.
 * Called by the thread that makes the call, with no lock held: it may take its
 * time, and call this library, even on the same handle. It may be called
 * several times.
 *
 * @param context  As passed to kvstore_update().
 * @param current  What the key has now; valid until the callback returns.
 * @param batch    To be filled.
 * @return False to leave everything as it is.
 */
typedef bool (*kvstore_update_fn)(void *context,
                                  const kvstore_entry *current,
                                  kvstore_batch *batch);

/**
 * Changes a key by what it has: reads it, has a callback make a batch of that,
 * and writes the batch if the key still is what was read; else begins anew.
 *
 * @param store     Open store.
 * @param key       Any bytes; borrowed until the call returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param update    Makes the batch.
 * @param context   Passed to update.
 *
 * @retval KVSTORE_OK        Written; durable as the handle's options say.
 * @retval KVSTORE_CONFLICT  update returned false, or a condition that it put
 *                           into the batch was not met; nothing was written.
 *                           Sets no error.
 * @retval KVSTORE_BUSY      Others were faster each time until the lock's
 *                           timeout, or kept the lock.
 * @retval KVSTORE_CORRUPT   The key's newest line is damaged; nothing was
 *                           written.
 *
 * All other statuses, what holds after a failure, and threads: as for
 * kvstore_write().
 */
KVSTORE_CHECKED kvstore_status kvstore_update(kvstore *store,
                                              const void *key,
                                              size_t key_size,
                                              kvstore_update_fn update,
                                              void *context);

/* --- Iteration --- */

/** Which keys to go through. Zero means all, in key order. What it points at is
 *  borrowed until the call returns. */
typedef struct kvstore_range {
    size_t size;        /**< sizeof(kvstore_range), or 0: the members up to
                                reserved, as this version has them. */
    const void *prefix; /**< Keys that begin with this. */
    size_t prefix_size;
    const void *from;     /**< Not before this key. */
    size_t from_size;     /**< 0: no such limit. */
    const void *to;       /**< Before this key. */
    size_t to_size;       /**< 0: no such limit. */
    uint64_t limit;       /**< At most so many keys; 0: all. */
    bool reverse;         /**< From the last key to the first. */
    bool keys_only;       /**< No values are read. */
    uint32_t reserved[8]; /**< Zero. */
} kvstore_range;

/** The keys of a store as they are at one moment, in byte order (memcmp, a key
 *  before all longer ones that begin with it), whatever is written, compacted
 *  or removed meanwhile. One thread at a time. */
typedef struct kvstore_iterator kvstore_iterator;

/**
 * Takes a snapshot of the keys in a range.
 *
 * Costs one pass over the log, since the index has no order; with a prefix, at
 * the speed of memory where few keys have it. Holds 24 bytes for each record that
 * matches, and drops those of older records whenever there are twice as many: so
 * at most 48 for each key. Keys that do not differ in their first bytes, past
 * what all have in common, are read from the log again. Whether a key has expired
 * is judged now. Until the iterator is freed, it has a descriptor of the log, and
 * the space of a log that was compacted meanwhile is not free.
 *
 * @param store         Open store.
 * @param range         NULL for all; borrowed until the call returns.
 * @param iterator_out  Set to the iterator on KVSTORE_OK, to be released with
 *                      kvstore_iterator_free(). Else NULL.
 *
 * @retval KVSTORE_OK         It stands before the first key.
 * @retval KVSTORE_INVALID    A NULL pointer, a member out of its bounds, or a
 *                            handle after fork.
 * @retval KVSTORE_CORRUPT    The log was cut short under the handle.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * No outcome changes the log. Threads: any number at a time, alongside writers.
 */
kvstore_status kvstore_iterator_create(const kvstore *store,
                                       const kvstore_range *range,
                                       kvstore_iterator **iterator_out);

/**
 * Goes on to the next key.
 *
 * A key whose newest line is damaged is one of them, and does not end the
 * iteration: the entry's status says so, and kvstore_last_error() says where.
 * Costs one read of the key's line; with keys_only, often none.
 *
 * @param iterator   The iterator. If its handle has been closed, it can only be
 *                   freed.
 * @param entry_out  Set to the key and its value, valid until the next call with
 *                   this iterator. NULL if there is none.
 *
 * @retval KVSTORE_OK         *entry_out is the next key.
 * @retval KVSTORE_NOT_FOUND  That was the last one. Sets no error.
 * @retval KVSTORE_INVALID    A NULL pointer, a handle that was closed, or after
 *                            fork.
 * @retval KVSTORE_CORRUPT    The log was changed under the handle, and the line
 *                            does not even tell its key. The next call goes on.
 * @retval KVSTORE_IO         A system call failed; system_errno says why. The
 *                            same key can be asked for again.
 * @retval KVSTORE_NO_MEMORY  An allocation failed. As for KVSTORE_IO.
 */
KVSTORE_CHECKED kvstore_status
kvstore_iterator_next(kvstore_iterator *iterator,
                      const kvstore_entry **entry_out);

/** Frees an iterator; NULL does nothing. */
void kvstore_iterator_free(kvstore_iterator *iterator);

/* --- Watching --- */

/** What has happened: kvstore_change.kind. */
enum {
    KVSTORE_CHANGE_SET = 0,    /**< A key has got this value. */
    KVSTORE_CHANGE_REMOVE = 1, /**< By a call; an expiry is no change. */
    KVSTORE_CHANGE_RESET = 2,  /**< Changes were missed: forget everything. All
                                    keys follow as sets, then CURRENT. */
    KVSTORE_CHANGE_CURRENT = 3 /**< What follows is news. */
};

/** A change of a store. */
typedef struct kvstore_change {
    int kind;                   /**< KVSTORE_CHANGE_SET and so on. */
    uint32_t batch_left;        /**< So many more changes that this watcher gets
                                     are of this batch. */
    const kvstore_entry *entry; /**< NULL for RESET and CURRENT. */
} kvstore_change;

/** What to watch. In every member, zero means the default. */
typedef struct kvstore_watch_options {
    size_t size;          /**< sizeof(kvstore_watch_options), or 0: the members
                               up to reserved, as this version has them. */
    const void *prefix;   /**< Keys that begin with this; borrowed until the
                               call returns. */
    size_t prefix_size;   /**< 0: all keys. */
    bool from_start;      /**< RESET, all keys and CURRENT come first. */
    bool keys_only;       /**< Entries have no values. */
    uint32_t reserved[8]; /**< Zero. */
} kvstore_watch_options;

/** Follows the changes of a store, by all processes, each once and in order.
 *  One thread at a time. */
typedef struct kvstore_watcher kvstore_watcher;

/**
 * Begins to watch a store, from this moment on.
 *
 * @param store        Open store; may be read-only.
 * @param options      NULL for all defaults; borrowed until the call returns.
 * @param watcher_out  Set to the watcher on KVSTORE_OK, to be released with
 *                     kvstore_watcher_free(). Else NULL.
 *
 * Statuses and threads: as for kvstore_iterator_create().
 */
kvstore_status kvstore_watcher_create(const kvstore *store,
                                      const kvstore_watch_options *options,
                                      kvstore_watcher **watcher_out);

/**
 * Waits for the next change.
 *
 * Looks every 10 ms whether there is one. Changes come in the order of the log,
 * each once; a batch is there as a whole. Compactions are followed. One that has
 * not looked while two of them came and went, or whose log was repaired,
 * exchanged or changed, gets KVSTORE_CHANGE_RESET, all keys that are there at one
 * moment, each once, KVSTORE_CHANGE_CURRENT, and what follows that moment; so
 * does one that cannot share the index, after each compaction. As long as a
 * watcher is behind, the space of a log that was compacted is not free. A reset
 * costs two passes over the log, and an index in private memory until
 * KVSTORE_CHANGE_CURRENT: 21 to 32 bytes for each key.
 *
 * The changes, replayed, lead to what kvstore_get() finds. A damaged line that
 * tells its key is a KVSTORE_CHANGE_SET whose entry has the status
 * KVSTORE_CORRUPT; a record of a newer version one with KVSTORE_UNSUPPORTED; a
 * value that is too long one with KVSTORE_TOO_LARGE; a KVSTORE_CHANGE_REMOVE has
 * KVSTORE_NOT_FOUND. A change whose key has expired since is told all the same,
 * with its time, and once that has come the key is absent. Lines that a program
 * appends without the lock are there when the next write or opening has found
 * them.
 *
 * A thread that waits may be cancelled (pthread_cancel): between two looks, when
 * it holds nothing. The watcher is as before.
 *
 * @param watcher     The watcher. If its handle has been closed, also by another
 *                    thread while this call waits, it can only be freed.
 * @param timeout_ms  0 looks once, INT32_MAX waits for ever.
 * @param change_out  Set to the change, valid until the next call with this
 *                    watcher. NULL if there is none.
 *
 * @retval KVSTORE_OK         *change_out is the next change.
 * @retval KVSTORE_NOT_FOUND  There was none in that time. Sets no error.
 * @retval KVSTORE_INVALID    A NULL pointer, a negative time, a handle that was
 *                            closed, or after fork.
 * @retval KVSTORE_CORRUPT    The log was cut short meanwhile.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get().
 *
 * After a failure nothing is lost: the next call goes on where this one was.
 */
KVSTORE_CHECKED kvstore_status
kvstore_watcher_next(kvstore_watcher *watcher,
                     int32_t timeout_ms,
                     const kvstore_change **change_out);

/** Frees a watcher; NULL does nothing. */
void kvstore_watcher_free(kvstore_watcher *watcher);

/* --- Backup --- */

/**
 * Writes the store as it is at one moment to a new directory, which is a store
 * then: compact, and on the disk when the call returns. Others write meanwhile.
 *
 * Costs two passes over the log, and the copy of the live bytes; 24 to 48 bytes
 * of memory for each key. Live records are copied as they are, in the order of
 * the log, except that the members of a batch lose that mark. Until all of it is
 * on the disk, the log in the directory is called store.log.compact, which no
 * program takes for a store.
 *
 * @param store  Open store; may be read-only.
 * @param dir    Path of the directory; borrowed. It is made if need be; it may
 *               be there, if it holds no store.
 *
 * @retval KVSTORE_OK         The copy is complete.
 * @retval KVSTORE_IO         A system call failed; system_errno says why:
 *                            EEXIST if the directory holds a store already,
 *                            or what is left of one.
 * @retval KVSTORE_INVALID    A NULL pointer or an empty path, or a handle after
 *                            fork.
 * @retval KVSTORE_CORRUPT    The log was cut short under the handle, or its last
 *                            line has rotted so that it looks unfinished.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As for kvstore_get(); or another program has the
 *                            writers' lock of that directory.
 * @retval KVSTORE_UNSUPPORTED  A network, cluster or shared file system that is
 *                              recognised; or the store has a record of a newer
 *                              version: offset says where.
 *
 * After a failure there is no store in the directory; or a whole one, if its
 * name was not synced and could not be taken away either. Damaged lines are
 * copied as they are. Threads: any number at a time, alongside writers.
 */
KVSTORE_CHECKED kvstore_status kvstore_backup(const kvstore *store,
                                              const char *dir);

#ifdef __cplusplus
}
#endif

#endif
