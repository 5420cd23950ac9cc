/* SPDX-License-Identifier: MIT */

/* The keys of a log, in order. */

#ifndef KV_STORE_LIST_H
#define KV_STORE_LIST_H

#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"

#include <stddef.h>
#include <stdint.h>

struct kv_list {
    const struct kv_log *log;
    uint64_t end; /* Whole up to here. */
    const struct kv_progress *progress;
    const void *prefix; /* Only keys that begin with it. */
    size_t prefix_size;
};

/* Visits in byte order each key for which kvstore_get() would not return
 * KVSTORE_NOT_FOUND. Nothing is visited before the log has been read. */
kvstore_status kv_list_run(const struct kv_list *list,
                           kvstore_visit_key visit,
                           void *context);

#endif
