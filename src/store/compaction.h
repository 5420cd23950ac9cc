/* SPDX-License-Identifier: MIT */

/* Rewrites the live records of a log into a new one, beside writers, and puts
 * it in the old one's place. */

#ifndef KV_STORE_COMPACTION_H
#define KV_STORE_COMPACTION_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"
#include "record/expiry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is a compaction due? */
bool kv_compaction_is_due(const struct kv_table_counts *counts,
                          uint64_t log_size,
                          uint64_t threshold_bytes,
                          uint32_t threshold_percent);

/* A compaction under way. */
struct kv_compaction {
    /* Set by the caller, all of it borrowed up to kv_compaction_release(): */
    const struct kv_io_file *directory;
    const struct kv_log *log;     /* The old one. */
    const struct kv_index *index; /* Its index, whole up to totals.applied,
                                       and further or not from then on. */
    const struct kv_progress *progress; /* Of the copy; may be NULL. */
    const atomic_bool *is_given_up;     /* Somebody cannot wait; may be NULL. */

    /* What comes of it, not in its place yet. Whoever puts it there sets both
     * to none here. */
    struct kv_log new_log;
    struct kv_index new_index;

    /* How far it is: */
    uint64_t end;         /* Of what is being copied of the old log. */
    uint64_t copied;      /* The old log up to here is in the new one. */
    uint64_t unhurried;   /* Here nobody had given it up yet. */
    struct kv_index mark; /* No index: just the last line that was copied, to
                              see whether it is still there. */
    uint64_t follows;     /* What kv_fold_follows() says of its last line. */
    bool keeps_removes;   /* There is damage. */
    uint64_t written;     /* Bytes of the new log that are in the file, */
    uint64_t synced;      /* and on the disk. */
    bool is_open;         /* The last line that was copied has no newline, */
    uint64_t open_until;  /* and ended here in the old log. */
    struct kv_log_pointer last; /* The last line that was copied. */
    char tail[2];               /* The last bytes that were put. */
    struct kv_expiry expiry;
    uint64_t met; /* The sum over the records that the index led to. */
    struct kv_compaction_queue *queue;
    struct kv_compaction_marks *marks;
    char *buffer; /* Bytes of it that are not in the file yet. */
    size_t buffered;
};

/* The rest is none or zero when it begins. Claims store.log.compact, under the
 * writers' lock, with the log's end settled. KVSTORE_BUSY: another compaction
 * runs. After a failure, too, the caller releases it. */
kvstore_status kv_compaction_begin(struct kv_compaction *compaction);

/* Copies what is live of the old log as far as the index had it at the
 * beginning, and builds the new index, in the same kind of memory. Takes no
 * lock: what is written meanwhile lies behind.
 * KVSTORE_CORRUPT: the index does not belong to the log. Build it anew.
 * KVSTORE_BUSY:    given up. */
kvstore_status kv_compaction_copy(struct kv_compaction *compaction);

/* Copies all records that the old log has gained up to an offset, Sets and
 * Removes, and applies them. They are published. Statuses as above. Given up
 * where more than 64 MiB lie between the end and the place where it was when
 * somebody asked for that: so in the copy, too. */
kvstore_status kv_compaction_follow(struct kv_compaction *compaction,
                                    uint64_t end);

/* Brings the new log to the disk, as far as it is written. */
kvstore_status kv_compaction_sync(struct kv_compaction *compaction);

/* Is all that the store's log has in the new pair? Else KVSTORE_CORRUPT: what was
 * acknowledged once has rotted and looks torn. */
kvstore_status kv_compaction_check(const struct kv_compaction *compaction,
                                   const struct kv_table_totals *old);

/* Gives up what is not in its place yet. */
void kv_compaction_release(struct kv_compaction *compaction);

/* --- The file of the new log --- */

/* Makes store.log.compact, locked, with the mode and the owner of a log that is
 * to be written anew. A leftover is removed, unless somebody holds its lock:
 * KVSTORE_BUSY, another compaction runs. After a failure, too, the caller
 * discards the log. */
kvstore_status kv_successor_create(const struct kv_io_file *directory,
                                   const struct kv_log *log,
                                   struct kv_log *new_log);

/* Renames the new log over the old one, if store.log.compact still is it. */
kvstore_status kv_successor_rename(const struct kv_io_file *directory,
                                   struct kv_log *new_log);

/* Gives up a new log that was not renamed. */
void kv_successor_discard(const struct kv_io_file *directory,
                          struct kv_log *new_log);

#endif
