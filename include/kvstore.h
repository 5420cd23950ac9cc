/* SPDX-License-Identifier: MIT */

/**
 * @file kvstore.h
 * A persistent key-value store: one append-only log of JSON lines, one hash
 * index that all processes share, compaction by rename.
 *
 * Read this first:
 *
 * - A store is a directory. Any number of processes may read and write it at
 *   once; writers take turns, for each call, behind a lock on the directory.
 *   Do not use it on a network file system.
 * - By default a call that changes the store returns when the change is on the
 *   disk. With KVSTORE_SYNC_NONE it survives the death of the process but not
 *   of the machine.
 * - A handle may be used by any number of threads at once, except that nothing
 *   may run beside kvstore_close(). A child of fork() cannot use its parent's
 *   handle: every call on it returns KVSTORE_INVALID, and kvstore_close() only
 *   frees memory there.
 * - The library prints nothing, never exits and installs no signal handler.
 * - Truncating or editing store.log in place, or truncating store.index, while
 *   a program has the store open is not supported. Deleting store.index is fine
 *   at any time: it is a cache.
 *
 * A call that fails returns its reason and leaves more about it in
 * kvstore_last_error(). The file format is described in docs/format.md.
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

/** What makes a compaction due, where the options do not say otherwise: so many
 *  stale bytes, and so many percent of the log. */
#define KVSTORE_COMPACTION_THRESHOLD 1048576u
#define KVSTORE_COMPACTION_PERCENT 50u

/** What a call came to. Zero is success; the numbers never change. */
typedef enum kvstore_status {
    KVSTORE_OK = 0,          /**< Done. */
    KVSTORE_NOT_FOUND = 1,   /**< The key is not there: an answer. */
    KVSTORE_INVALID_KEY = 2, /**< 0 or more than 65,535 bytes. */
    KVSTORE_INVALID = 3,     /**< An argument, or a handle after fork. */
    KVSTORE_TOO_LARGE = 4,   /**< Value over its limit, buffer too small. */
    KVSTORE_IO = 5,          /**< A system call failed; errno is kept. */
    KVSTORE_BAD_JSON = 6,    /**< A line that is no record. */
    KVSTORE_CORRUPT = 7,     /**< A record does not verify. */
    KVSTORE_COMPACTION_FAILED = 8, /**< The log is as it was. */
    KVSTORE_NO_MEMORY = 9,         /**< An allocation failed. */
    KVSTORE_BUSY = 10,             /**< The lock was not to be had in time. */
    KVSTORE_READ_ONLY = 11,        /**< The handle was opened read-only. */
    KVSTORE_CONFLICT = 12,         /**< A condition was not met. */
    KVSTORE_UNSUPPORTED = 13       /**< Newer format, network file system. */
} kvstore_status;

/** When a change counts as done: kvstore_options.sync. */
enum {
    KVSTORE_SYNC_ALWAYS = 0, /**< When it is on the disk (fdatasync). */
    KVSTORE_SYNC_NONE = 1    /**< When the kernel has it. */
};

/** Who runs a compaction that is due: kvstore_options.compaction. */
enum {
    /** The default: a thread of the library, which takes no signals, tells no
     *  progress and ends with the compaction. For programs that keep a store
     *  open: kvstore_close() gives a long compaction up. */
    KVSTORE_COMPACT_BACKGROUND = 0,
    /** The call that made it due, when its own record has been written. For
     *  programs that open a store, write a little and close it. */
    KVSTORE_COMPACT_INLINE = 1,
    /** Nobody but kvstore_compact() and kvstore_compact_if_due(). */
    KVSTORE_COMPACT_MANUAL = 2
};

/** An open store. */
typedef struct kvstore kvstore;

/** Why this thread's last failing call failed. */
typedef struct kvstore_error {
    kvstore_status status; /**< What the call returned; KVSTORE_OK: none yet. */
    int system_errno;      /**< errno of the system call that failed, or 0. */
    uint64_t offset;       /**< Place in store.log, or UINT64_MAX: none. */
    char message[256];     /**< One line of text, no full stop. Keys and values
                                never appear in it. */
} kvstore_error;

/** Counters of a store: kvstore_get_stats(). The four kinds of bytes, live,
 *  stale, blank and damaged, add up to log_bytes. */
typedef struct kvstore_stats {
    uint64_t keys;            /**< Keys that have a value. */
    uint64_t live_bytes;      /**< Bytes of the records that hold them. */
    uint64_t stale_bytes;     /**< Bytes of superseded records and removes. */
    uint64_t log_bytes;       /**< Bytes of store.log, an unfinished line at
                                   its end not counted. */
    uint64_t index_bytes;     /**< Bytes of the index. */
    uint64_t compactions;     /**< Of the store, by anybody, since its index
                                   was last built from the log. */
    uint64_t damaged_records; /**< Lines that are no sound record. */
    uint64_t blank_bytes;     /**< Bytes of blank lines. */
    uint64_t damaged_bytes;   /**< Bytes of damaged lines. */
    uint64_t damaged_offset;  /**< The first of them, or UINT64_MAX: none. */
    uint64_t tombstone_bytes; /**< Of the stale: removes that are the newest
                                   of their key. A compaction keeps them while
                                   there is damage, and then they do not count
                                   for whether it is due. */
    uint64_t unknown_records; /**< Of a newer version: while there are any,
                                   the store can only be read. */
    uint64_t reserved[4];     /**< Zero. */
} kvstore_stats;

/**
 * Told how far a call is that reads much of the log: one that builds the index,
 * catches up with many lines, compacts, lists, verifies or repairs. A call may
 * make several passes, each of which begins anew. Called every few mebibytes by the thread that
 * makes the call, maybe under the writers' lock: it returns soon, and calls
 * nothing of this library.
 *
 * @param context      kvstore_options.progress_context.
 * @param done_bytes   Bytes of the log read so far by this pass.
 * @param total_bytes  Bytes that it has to read.
 */
typedef void (*kvstore_progress)(void *context,
                                 uint64_t done_bytes,
                                 uint64_t total_bytes);

/** What is wrong with a place: kvstore_damage.kind. */
enum {
    KVSTORE_DAMAGE_LINE = 0,   /**< A line that is no record. */
    KVSTORE_DAMAGE_SUM = 1,    /**< A record whose sum does not fit. */
    KVSTORE_DAMAGE_BATCH = 2,  /**< A record of a batch that is not whole. */
    KVSTORE_DAMAGE_INDEX = 3,  /**< A sound record that the index does not lead
                                    to, nor to a later one of its key. */
    KVSTORE_DAMAGE_COUNTS = 4, /**< No place: the counters of the index are not
                                    those of the log. */
    KVSTORE_DAMAGE_MOVED = 5,  /**< Neighbouring damaged lines that
                                    kvstore_repair() has moved to a file. */
    KVSTORE_DAMAGE_NEWER = 6   /**< A record of a newer version: sound, and the
                                    store can only be read. */
};

/** A place in store.log with which something is wrong. */
typedef struct kvstore_damage {
    int kind;         /**< KVSTORE_DAMAGE_LINE and so on. */
    uint64_t offset;  /**< Where it begins; UINT64_MAX: no place. */
    uint64_t length;  /**< Its bytes, the newline counted. */
    const void *key;  /**< The key that the line tells; NULL: it tells none. */
    size_t key_size;  /**< Bytes of the key. */
    const char *file; /**< Where the bytes are now, a name in the directory of
                           the store; NULL: where they were. */
} kvstore_damage;

/**
 * Told of one damaged place. Called by the thread that makes the call, with no
 * lock held.
 *
 * @param context  As handed to the call.
 * @param damage   What is wrong; it and what it points at hold until the
 *                 callback returns.
 * @return false: do not tell of any more.
 */
typedef bool (*kvstore_visit_damage)(void *context,
                                     const kvstore_damage *damage);

/**
 * Told of one key. Called by the thread that makes the call, with no lock held:
 * it may call this library, also on the same handle.
 *
 * @param context   As handed to the call.
 * @param key       The key; holds until the callback returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @return false: do not tell of any more.
 */
typedef bool (*kvstore_visit_key)(void *context,
                                  const void *key,
                                  size_t key_size);

/** How to open a store. Zero means the default everywhere. */
typedef struct kvstore_options {
    size_t size;    /**< sizeof(kvstore_options), or 0 for the same. */
    int sync;       /**< KVSTORE_SYNC_ALWAYS or KVSTORE_SYNC_NONE. */
    int compaction; /**< KVSTORE_COMPACT_BACKGROUND, _INLINE, _MANUAL. */
    bool exclusive; /**< Keep the writers' lock while open: others read,
                                  their writes are KVSTORE_BUSY, and this
                                  handle's are several times faster.
                                  store.log may end in a line of tabs as long
                                  as it is open. */
    bool read_only; /**< Never write, the index neither; implies
                                  no_create. */
    bool no_create; /**< Fail where there is no store. */
    int32_t lock_timeout_ms; /**< How long to wait for the lock: 0 is 5000,
                                  -1 tries once, INT32_MAX waits for ever. */
    uint64_t compaction_threshold; /**< Stale bytes; 0 is 1,048,576. */
    uint32_t compaction_percent;   /**< Stale share of the log, 1 to 100;
                                        0 is 50. */
    uint32_t reserved[9];          /**< Zero. */
    kvstore_progress progress;     /**< NULL: nobody is told. */
    void *progress_context;        /**< Handed to progress; borrowed. */
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
 * Opens the store in a directory, and creates it where there is none.
 *
 * Maps the index that all processes share, store.index. Where that can be
 * trusted, opening costs the same however large the store is. Else it costs one
 * pass over the log under the writers' lock, which builds the index for
 * everybody: after a reboot, or where the index was deleted. If another process
 * has the lock, the first call waits for it, or for the index, in the place of
 * this one. Where the lock is not to be had until the timeout, or the index
 * cannot be written, and in a read-only handle, the pass builds an index in
 * private memory.
 *
 * Opening changes no byte of a log that is there. The next write mends what a
 * killed writer left: an unfinished last line is cut off; what may be more than
 * that is first saved beside the log as store.log.cut-<offset>. Lines that are
 * damaged stay where they are, and are counted in kvstore_stats as the index
 * has them; a line that is damaged afterwards is told when it is read.
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
 * @retval KVSTORE_INVALID      A NULL or empty path, an option out of bounds.
 * @retval KVSTORE_IO           A system call failed. No store and no_create:
 *                              system_errno is ENOENT and nothing was created.
 *                              A store that may not be written: EACCES, EPERM
 *                              or EROFS, unless read_only is set.
 * @retval KVSTORE_BUSY         exclusive, and another writer kept the lock
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
 * the background is finished first if less than 64 MiB of the log are left to
 * be read, else given up: the log is as it was. In a child of fork() it touches
 * nothing of the parent's.
 *
 * @param store  An open store; NULL does nothing. Invalid afterwards.
 *
 * Threads: no other call on this handle may be running.
 */
void kvstore_close(kvstore *store);

/**
 * Stores a value under a key, in place of an older one.
 *
 * Costs one appended line, and with KVSTORE_SYNC_ALWAYS one fdatasync. Now and
 * then a new key makes the index grow into a file of twice the size; where
 * there is no room for that, the call fails with ENOSPC before it writes. Where
 * the call makes a compaction due, that begins as kvstore_options.compaction
 * says; whether it succeeds does not change this call's status. If a writer is
 * faster than a compaction that runs beside it, each of its calls waits a
 * millisecond until the compaction is ahead again.
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
 *                              refused, those of other processes too, until
 *                              kvstore_compact() has written the log anew. (In
 *                              a handle whose index is in private memory, only
 *                              its own.)
 * @retval KVSTORE_CORRUPT      The log was changed under the handle.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  The store holds records of a newer version.
 *
 * On any status but KVSTORE_OK the key keeps its old value; only after a
 * failed fdatasync, or when the process is killed, the new one may appear.
 * Threads: any number at a time; those that wait are served together, by one
 * append and one sync.
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
 * absent as one that was never set. Where the index is found to be wrong, it is
 * built anew first.
 *
 * @param store           Open store.
 * @param key             Any bytes; borrowed until the call returns.
 * @param key_size        1 to KVSTORE_KEY_SIZE_MAX bytes.
 * @param value_out       Set to a new buffer on KVSTORE_OK, one NUL behind the
 *                        value; released with kvstore_free(). Else NULL.
 * @param value_size_out  Bytes of the value, the NUL not counted. Else 0.
 *
 * @retval KVSTORE_OK           The key has this value.
 * @retval KVSTORE_NOT_FOUND    It has none. Sets no error.
 * @retval KVSTORE_INVALID_KEY  key_size breaks the bounds above.
 * @retval KVSTORE_INVALID      A NULL pointer, or a handle after fork.
 * @retval KVSTORE_CORRUPT      The key's newest line does not verify;
 *                              kvstore_last_error()->offset says where.
 * @retval KVSTORE_TOO_LARGE    A value over KVSTORE_VALUE_SIZE_MAX that another
 *                              program wrote.
 * @retval KVSTORE_IO           A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY    An allocation failed.
 * @retval KVSTORE_UNSUPPORTED  The key's newest record is of a newer version.
 * @retval KVSTORE_BUSY         The index had to be followed, and another thread
 *                              of this handle was at it until the timeout.
 *
 * No outcome changes the log. Threads: any number at a time, beside
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
 * @retval KVSTORE_TOO_LARGE  It does not fit; *value_size_out says what would.
 *                            That is 0 if no buffer would: the value, of
 *                            another program, has more bytes than
 *                            KVSTORE_VALUE_SIZE_MAX.
 *
 * All other statuses are those of kvstore_get(). No outcome changes the
 * log. Threads: any number at a time, beside writers.
 */
kvstore_status kvstore_get_into(const kvstore *store,
                                const void *key,
                                size_t key_size,
                                void *buffer,
                                size_t capacity,
                                size_t *value_size_out);

/** One key of kvstore_get_many(), and what the call has to say of it. */
typedef struct kvstore_item {
    const void *key;       /**< Set by the caller: any bytes; borrowed until the
                                call returns. */
    size_t key_size;       /**< Set by the caller: 1 to KVSTORE_KEY_SIZE_MAX. */
    void *value;           /**< Set by the call, whatever it was: a new buffer
                                if status is KVSTORE_OK, else NULL. */
    size_t value_size;     /**< Set by the call: bytes of the value; else 0. */
    kvstore_status status; /**< Set by the call: what kvstore_get() would have
                                returned for this key. */
} kvstore_item;

/**
 * Reads the newest values of many keys, each into a new buffer.
 *
 * What each item then says is what kvstore_get() would have said of its key at
 * some moment during the call: what was acknowledged before the call is seen.
 * So where nobody writes meanwhile, all items are of one state of the store.
 * Where somebody does, they need not be: of two values that he sets during the
 * call, the later one may be seen and the earlier one not.
 *
 * Costs what as many calls of kvstore_get() cost, but that the keys, in groups,
 * wait for memory together and not one after the other: several times less, in
 * a store that does not fit the processor's cache.
 *
 * @param store  Open store.
 * @param items  The keys, in any order; the same one may occur more than once.
 *               The other members need no values before the call: a buffer of
 *               the caller's is never taken. Each value that is not NULL has one
 *               NUL behind it, and is released with kvstore_free(). May be NULL
 *               if count is 0.
 * @param count  Any number of items; 0 does nothing.
 *
 * @retval KVSTORE_OK         All keys were looked up: the items' statuses say
 *                            with what result, and KVSTORE_NOT_FOUND and even
 *                            KVSTORE_CORRUPT or KVSTORE_INVALID_KEY are results.
 *                            If some are failures, kvstore_last_error() tells
 *                            of one of them.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  There was no memory to follow the index.
 * @retval KVSTORE_BUSY       As kvstore_get().
 *
 * On any other status than KVSTORE_OK the store could not be read, or no longer:
 * then each item has that status and no value, and there is nothing to be
 * released. (Where there is no memory for a value, or a line cannot be read, that
 * is its item's status alone.) No outcome changes the log. Threads: any number at
 * a time, beside writers.
 */
kvstore_status kvstore_get_many(const kvstore *store,
                                kvstore_item *items,
                                size_t count);

/**
 * Removes a key.
 *
 * Costs one appended line, and with KVSTORE_SYNC_ALWAYS one fdatasync; nothing
 * where the key is absent.
 *
 * @param store     Open store.
 * @param key       Any bytes; borrowed until the call returns.
 * @param key_size  1 to KVSTORE_KEY_SIZE_MAX bytes.
 *
 * @retval KVSTORE_OK         Removed; durable as the handle's options say.
 * @retval KVSTORE_NOT_FOUND  The key has no value; nothing was written. Sets
 *                            no error.
 *
 * All other statuses, what holds after a failure, and threads: as
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
 * Costs one pass over the log and needs room for the live bytes a second time.
 * Others read and write meanwhile: what they write is copied in rounds, and only
 * the last one, of a mebibyte at most, keeps writers waiting. (If they are
 * faster than all rounds, they wait for the rest. Where the index is in private
 * memory, writers of this handle wait for all of it.) Damaged lines are carried
 * along byte for byte, and while there are any, so are removes.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK                 The log is compact, and on the disk.
 * @retval KVSTORE_COMPACTION_FAILED  The log is as it was; system_errno says
 *                                    why, where a system call failed.
 * @retval KVSTORE_INVALID            A NULL pointer, or a handle after fork.
 * @retval KVSTORE_BUSY               Another writer kept the lock until the
 *                                    timeout, or compacts.
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
 * Compacts the log if that is due: for handles with KVSTORE_COMPACT_MANUAL, at a
 * moment that suits the program.
 *
 * After a compaction of anybody's has failed, none is due before as many bytes
 * more as the threshold says are stale.
 *
 * @param store  Open store.
 *
 * @retval KVSTORE_OK  It was not due, or the log is compact.
 *
 * All other statuses, and threads: as kvstore_compact().
 */
kvstore_status kvstore_compact_if_due(kvstore *store);

/**
 * Brings everything that this handle has acknowledged so far to the disk.
 *
 * Costs one fdatasync. With KVSTORE_SYNC_ALWAYS there is nothing it could add.
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
 * It is due when this many bytes, and compaction_percent of the log, are
 * stale.
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
 * @retval KVSTORE_BUSY       As kvstore_get().
 * @retval KVSTORE_CORRUPT    The index is damaged. The next write builds it
 *                            anew.
 *
 * No outcome changes the log. Threads: any number at a time.
 */
kvstore_status kvstore_get_stats(const kvstore *store,
                                 kvstore_stats *stats_out);

/**
 * Visits the keys of a store that begin with a prefix, in byte order: as memcmp
 * orders them, a shorter one before those that it begins.
 *
 * A key is visited if kvstore_get() of it would not be KVSTORE_NOT_FOUND. So
 * one whose newest line is damaged is visited, too: a get of it says
 * KVSTORE_CORRUPT.
 *
 * What is visited is the store as it is at one moment at the beginning of the
 * call: each key that was there then once, whatever is written, compacted or
 * removed meanwhile, by other processes, other threads or the callback.
 *
 * Costs one pass over the log; there is no order in the index. Holds the keys
 * that match in memory, with some 50 bytes for each of them, and for a moment
 * twice that.
 *
 * @param store        Open store.
 * @param prefix       Any bytes; borrowed. May be NULL if prefix_size is 0.
 * @param prefix_size  0 visits all keys.
 * @param visit        Called for each key, after the log has been read.
 * @param context      Handed to visit.
 *
 * @retval KVSTORE_OK         All keys were visited, or visit returned false.
 * @retval KVSTORE_INVALID    A NULL pointer, or a handle after fork.
 * @retval KVSTORE_CORRUPT    The log was cut short under the handle. No key
 *                            was visited; nor on any of the following.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As kvstore_get().
 *
 * No outcome changes the log. Threads: any number at a time, beside writers.
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
 * record's key to that record or to a later one of the same key; and where
 * nobody writes meanwhile, its counters must be those of the log. (An index in
 * private memory, as a read-only handle may have, was built from the log by this
 * handle and is not checked.)
 *
 * What is checked is the log up to where it is acknowledged at the beginning of
 * the call. An unfinished line behind that is no damage.
 *
 * Costs one pass over the log, and one read for each record that is not its
 * key's newest. Writers and readers go on meanwhile.
 *
 * Damage of the log is what kvstore_repair() moves aside. A damaged index is
 * cured by deleting store.index.
 *
 * @param store    Open store; may be read-only.
 * @param visit    Called for each damaged place in the order of the log; NULL
 *                 just to know whether there is any. If it returns false, the
 *                 call ends.
 * @param context  Handed to visit.
 *
 * @retval KVSTORE_OK         All is sound.
 * @retval KVSTORE_CORRUPT    Something is damaged, or of a newer version;
 *                            kvstore_last_error()->offset says where the first
 *                            of it is. Also if the log was cut short under the
 *                            handle, which is not told to visit.
 * @retval KVSTORE_INVALID    A NULL handle, or one after fork.
 * @retval KVSTORE_IO         A system call failed; system_errno says why.
 * @retval KVSTORE_NO_MEMORY  An allocation failed.
 * @retval KVSTORE_BUSY       As kvstore_get().
 *
 * No outcome changes the store. Threads: any number at a time, beside writers.
 */
kvstore_status kvstore_verify(const kvstore *store,
                              kvstore_visit_damage visit,
                              void *context);

/**
 * Moves the damaged lines out of the log.
 *
 * Each damaged place, one line or several neighbouring ones, is copied byte for
 * byte to a new file store.log.cut-<offset> in the directory of the store (with
 * -1, -2 and so on behind it where there is such a file). Then the log is
 * written anew without them: all sound lines, stale ones too, in their order and
 * byte for byte. Afterwards kvstore_stats counts no damage, and compactions drop
 * removes again.
 *
 * A key that was KVSTORE_CORRUPT then reads as its newest sound record has it:
 * it has an older value, or none. What the damaged lines held is in the files
 * alone.
 *
 * Where nothing is damaged, nothing is done.
 *
 * Costs one pass over the log, and for a damaged one room for the whole log a
 * second time, two more passes, and a sync for each place. Writers wait
 * meanwhile; readers do not. Durable whatever the handle's options say: the
 * files with the damaged bytes before the new log takes the old one's place, and
 * that before the call returns.
 *
 * @param store    Open store.
 * @param visit    Called for each place that was moved, in the order of the log,
 *                 behind everything else; NULL: nobody is told.
 * @param context  Handed to visit.
 *
 * @retval KVSTORE_OK  The log has no damage, and is on the disk.
 * @retval KVSTORE_IO  As kvstore_compact(). Where the new log is in place, visit
 *                     has been called.
 *
 * All other statuses, and threads: as kvstore_compact(). On a failure before the
 * new log is in place, the log is as it was, and no file is left.
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
 * Tells why this thread's last failing call failed.
 *
 * @return Never NULL. Owned by the library; holds until this thread's next
 *         failing call. Its status is KVSTORE_OK as long as none has failed.
 */
const kvstore_error *kvstore_last_error(void);

/**
 * Tells the version of the library.
 *
 * @return A constant text such as "0.1.0".
 */
const char *kvstore_version(void);

#ifdef __cplusplus
}
#endif

#endif
