/* SPDX-License-Identifier: MIT */

/* The changes that the lines of a log make, one after another, for those who
 * watch a store. They are read piece by piece: a fold notes some of them, with
 * what they say, and large values are read one at a time. Knows one log at a
 * time, and nothing of handles. */

#ifndef KV_STORE_CHANGES_H
#define KV_STORE_CHANGES_H

#include "index/index.h"
#include "kvstore.h"
#include "log/log.h"
#include "record/expiry.h"
#include "store/changes_place.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_changes_note;

struct kv_changes {
    /* Set by the caller: */
    const void *prefix; /* Of the keys that matter; borrowed. */
    size_t prefix_size;
    bool is_keys_only;
    const struct kv_index *state; /* Only what it leads to, each as a Set; or
                                     NULL: all changes. */

    struct kv_expiry expiry;       /* Of the state: when it was looked at. */
    struct kv_changes_place place; /* Past what is noted. */

    struct kv_changes_note *notes;
    size_t count;
    size_t capacity;
    size_t taken; /* Of these. */
    char *bytes;  /* Keys and values. */
    size_t bytes_used;
    size_t bytes_capacity;
    uint32_t batch; /* Counts the batches. */
    bool is_full;
    char *value; /* A large one, of the change taken last. */
};

/* Notes further changes, up to an end of the log or until they are enough. None
 * must be left from before. After a failure the place is what it was. If the
 * place is short of the end and nothing is noted, the log does not read there,
 * and may be torn. */
kvstore_status kv_changes_read(struct kv_changes *changes,
                               const struct kv_log *log,
                               uint64_t end);

static inline bool kv_changes_are_left(const struct kv_changes *changes)
{
    return changes->taken < changes->count;
}

/* Takes the next change. What it lends is valid until the next call.
 * is_there_out: false if its line is not what it was when it was noted. */
kvstore_status kv_changes_take(struct kv_changes *changes,
                               const struct kv_log *log,
                               kvstore_change *change,
                               kvstore_entry *entry,
                               bool *is_there_out);

/* Goes on to a place of a log, and forgets what is noted. */
void kv_changes_go_to(struct kv_changes *changes,
                      const struct kv_changes_place *place);

void kv_changes_release(struct kv_changes *changes);

#endif
