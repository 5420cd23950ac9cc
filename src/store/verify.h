/* SPDX-License-Identifier: MIT */

/* Checks every line of a log, and the index against all of them. */

#ifndef KV_STORE_VERIFY_H
#define KV_STORE_VERIFY_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"

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

#endif
