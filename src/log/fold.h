/* SPDX-License-Identifier: MIT */

/* The fold: visits every line of a log from an offset on, in order, and says
 * of each what it is. Opening, catching up, compaction and verification are
 * folds. It alone decides what is damage and what is an unfinished write, and
 * whether a batch is whole. It changes nothing. */

#ifndef KV_LOG_FOLD_H
#define KV_LOG_FOLD_H

#include "kvstore.h"
#include "log/log.h"
#include "log/pointer.h"
#include "log/skip.h"
#include "record/record.h"

#include <stdbool.h>
#include <stdint.h>

/* A line and the verdict on it. */
struct kv_fold_item {
    struct kv_log_pointer pointer;
    const char *bytes; /* Without the newline; NULL: too long to be held, and
                          not a record. */
    size_t size;
    bool is_open;   /* It ends without a newline, before a line that NULs have
                       cut it from. */
    bool is_closed; /* It cannot be decoded, but looks completely written. */
    /* SET and REMOVE must be applied. A record of a batch that is not whole is
     * DAMAGED here, whatever record->type says. */
    enum kv_record_type type;
    const struct kv_record *record;
};

/* What matters about a line for the next one: it cannot be decoded; or it is a
 * record of a batch that is not whole, whose next record has this number; or 0.
 * A record that follows either belongs to a batch that is not whole. */
#define KV_FOLD_FOLLOWS_DAMAGE UINT64_MAX
uint64_t kv_fold_follows(const struct kv_fold_item *item);

/* Any status but KVSTORE_OK ends the fold with that status. What the item
 * points at is valid until the call returns. */
typedef kvstore_status (*kv_fold_visit)(void *context,
                                        const struct kv_fold_item *item);

/* Where to report how far a fold is; tell is NULL: nowhere. */
struct kv_progress {
    kvstore_progress tell;
    void *context;
};

/* Up to where batches are judged: a fold that goes on amid one need not measure
 * the rest of it again. */
struct kv_fold_judged {
    uint64_t whole_until;  /* Records of a batch before this are whole, */
    uint64_t broken_until; /* and before this they are not. */
};

/* What to fold: the bytes [offset, end), of which the first begins a line. */
struct kv_fold_range {
    uint64_t offset;
    uint64_t end;
    uint64_t follows; /* What kv_fold_follows() says of the line before. */
    struct kv_fold_judged judged; /* By the fold of what is before; or zero. */
    bool may_be_padded; /* The range goes to the end of the file, where an
                           exclusive writer has or had padding. */
    const struct kv_progress *progress; /* May be NULL. */
    const bool *is_over; /* True after a visit that wants no more: the fold ends
                            with KVSTORE_OK. May be NULL. */
    const struct kv_log_skip *skip; /* Lines that need not be visited; NULL: all
                                       must. */
};

struct kv_fold_result {
    uint64_t offset;  /* Past the last line visited, its newline counted. */
    uint64_t follows; /* What kv_fold_follows() says of that line. */
    struct kv_fold_judged judged;
    bool is_torn;         /* What is at offset is an unfinished write. */
    uint64_t batch_end;   /* If it is torn and begins with records of a batch,
                             which count down from the first: past these. Else
                             0. */
    bool is_unterminated; /* The last line lacks its newline, which is counted
                             even so: offset is one past the file's end. The
                             next writer adds it. */
    bool is_unsure; /* A line that was skipped is of a batch, so the verdict
                             on the next one is not known: the fold has ended
                             there, and must be made without skipping. */
};

/* True if this line, whose newline follows, would look completely written at
 * this offset of a log with these two bytes before it. Then it is damage
 * wherever it cannot be decoded, and not an unfinished write. Near the
 * beginning of a log the bytes that are not there do not count. */
bool kv_fold_is_closed_at(const char *bytes,
                          size_t size,
                          uint64_t offset,
                          const char before[2]);

/* On KVSTORE_OK every line of the range was visited except a torn tail and
 * padding, or every line up to the one that was enough. */
kvstore_status kv_fold(const struct kv_log *log,
                       struct kv_fold_range range,
                       kv_fold_visit visit,
                       void *context,
                       struct kv_fold_result *result_out);

#endif
