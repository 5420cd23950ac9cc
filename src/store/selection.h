/* SPDX-License-Identifier: MIT */

/* The keys of a snapshot that are in a range, in order, and what is stored under
 * them: what lists, iterators and backups are made of. */

#ifndef KV_STORE_SELECTION_H
#define KV_STORE_SELECTION_H

#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "record/expiry.h"
#include "store/notes.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_selection {
    /* Set by the caller; the log is borrowed as long as the selection is used,
     * the rest until it is made. */
    struct kv_log *log;
    uint64_t end;       /* Whole up to here. */
    bool may_map;       /* The log may be mapped, if many lines are read. */
    uint64_t key_count; /* Of the log, as a guess. */
    const struct kv_progress *progress;
    const kvstore_range *range; /* Of keys; NULL: all. */
    bool
        is_of_records; /* Each key's newest sound record, also a Remove, and also
                           before damage that tells the key; what has expired
                           counts as removed. */

    /* The rest is zero at first. The result: */
    struct kv_notes notes;
    bool has_damage; /* There is some in the log, of any key, or a record of a
                        newer version; */
    uint64_t folded; /* which was read up to here. */

    struct kv_expiry expiry;
    char *key; /* For one that is not in its line as it is. */
};

/* Makes it, in one pass over the log: a note for each key of the range for which
 * kvstore_get() would not return KVSTORE_NOT_FOUND. After a failure, too, the
 * caller releases it. */
kvstore_status kv_selection_make(struct kv_selection *selection);
void kv_selection_release(struct kv_selection *selection);

#endif
