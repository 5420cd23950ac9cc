/* SPDX-License-Identifier: MIT */

/* Where the reader of a log's changes is. */

#ifndef KV_STORE_CHANGES_PLACE_H
#define KV_STORE_CHANGES_PLACE_H

#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/pointer.h"

#include <stdbool.h>
#include <stdint.h>

/* A place in a log, where a line begins, and what comes before it. */
struct kv_changes_place {
    uint64_t offset;
    uint64_t follows;           /* As in struct kv_table_totals, */
    struct kv_log_pointer last; /* and so are these. */
    uint64_t last_sum;
    struct kv_fold_judged judged;
    uint32_t batch_next;  /* Amid a batch: the number of its next record; or
                             0. */
    uint64_t batch_count; /* How many changes of it follow. */
};

/* Notes the last line that was read. */
void kv_changes_pass(struct kv_changes_place *place,
                     const struct kv_fold_item *item);

/* Finds the place at an end of the log that is not known otherwise, by a fold of
 * all before it. */
kvstore_status kv_changes_find(const struct kv_log *log,
                               uint64_t end,
                               struct kv_changes_place *place_out);

/* Finds out whether the line before a place is what it was. */
kvstore_status kv_changes_match(const struct kv_changes_place *place,
                                const struct kv_log *log,
                                bool *matches_out);

#endif
