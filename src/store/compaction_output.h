/* SPDX-License-Identifier: MIT */

/* What goes to the new log of a compaction, byte by byte, and what must be put
 * between lines so that a fold of it judges each line as a fold of the old log
 * did. */

#ifndef KV_STORE_COMPACTION_OUTPUT_H
#define KV_STORE_COMPACTION_OUTPUT_H

#include "index/check.h"
#include "index/index.h"
#include "index/parts.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/pointer.h"
#include "os/file.h"
#include "record/expiry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tests use a smaller one, for as many more writes. */
#ifndef KV_COMPACTION_BUFFER_SIZE
#define KV_COMPACTION_BUFFER_SIZE ((size_t)1 << 20)
#endif

/* A compaction under way. */
struct kv_compaction {
    /* Set by the caller, all of it borrowed until kv_compaction_release(): */
    const struct kv_io_file *directory;
    const struct kv_log *log;     /* The old one. */
    const struct kv_index *index; /* Its index, whole up to totals.applied, and
                                     perhaps past that. */
    const struct kv_progress *progress; /* Of the copy; may be NULL. */
    const atomic_bool *is_given_up;     /* A caller cannot wait; may be NULL. */

    /* The result, not in its place yet. A caller that puts it there sets both
     * to none here. */
    struct kv_log new_log;
    struct kv_index new_index;

    /* How far it is: */
    uint64_t end;         /* Of the part of the old log being copied. */
    uint64_t copied;      /* The old log up to here is in the new one. */
    uint64_t unhurried;   /* Here it had not been given up yet. */
    struct kv_index mark; /* Not an index, just the last line that was copied,
                             to check that it is still there. */
    uint64_t follows;     /* What kv_fold_follows() says of its last line. */
    bool keeps_removes;   /* There is damage. */
    uint64_t written;     /* Bytes of the new log that are in the file, */
    uint64_t synced;      /* and on the disk. */
    bool is_open;         /* The last line that was copied has no newline, */
    uint64_t open_until;  /* and ended here in the old log. */
    char tail[2];         /* The last bytes before the buffer. */
    struct kv_expiry expiry;
    struct kv_index_check *check;
    struct kv_parts *newest; /* Slots on their way to the new index. */
    struct kv_parts
        *others;  /* Of other records, to be looked up in the old one. */
    char *buffer; /* Bytes of it that are not in the file yet. */
    size_t buffered;
};

/* Where the next byte goes. */
static inline uint64_t kv_compaction_offset(
    const struct kv_compaction *compaction)
{
    return compaction->written + compaction->buffered;
}

/* Writes to the file what is in the buffer. */
kvstore_status kv_compaction_flush(struct kv_compaction *compaction);

/* What must come before a line: a newline that ends the line before it
 * (is_parted), and belongs to it; and a blank line of blank_size bytes. */
struct kv_compaction_gap {
    bool is_parted;
    size_t blank_size;
};
struct kv_compaction_gap kv_compaction_gap_before(
    const struct kv_compaction *compaction,
    const struct kv_fold_item *item);
kvstore_status kv_compaction_put_gap(struct kv_compaction *compaction,
                                     struct kv_compaction_gap gap);

/* Puts a line, and its newline if it has one. */
kvstore_status kv_compaction_put_line(struct kv_compaction *compaction,
                                      const struct kv_fold_item *item);

#endif
