/* SPDX-License-Identifier: MIT */

/* Checks every line of a log, and the index against all of them. */

#ifndef KV_STORE_VERIFY_H
#define KV_STORE_VERIFY_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_verify {
    const struct kv_log *log;
    uint64_t end;                 /* Whole up to here. */
    const struct kv_index *index; /* A shared index, or NULL: none to check. */
    const struct kv_progress *progress;
    kvstore_visit_damage visit; /* NULL: no reports. */
    void *context;
};

/* KVSTORE_OK: nothing is wrong. KVSTORE_CORRUPT: something is, and has been
 * reported; or the log cannot be read up to its end. */
kvstore_status kv_verify_run(const struct kv_verify *verify);

/* Finds out whether an index is true to its log up to an end: each slot, and the
 * counts. is_sure_out: false if it was written meanwhile, so that this is not
 * known. Reports nothing. */
kvstore_status kv_verify_index(const struct kv_index *index,
                               const struct kv_log *log,
                               uint64_t end,
                               const struct kv_progress *progress,
                               bool *is_true_out,
                               bool *is_sure_out);

#endif
