/* SPDX-License-Identifier: MIT */

/* Checks every line of a log, and the index against all of them. */

#ifndef KV_VERIFICATION_H
#define KV_VERIFICATION_H

#include "index/keydir.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"

#include <stdint.h>

struct kv_verification {
    const struct kv_log *log;
    uint64_t end;                   /* Whole up to here. */
    const struct kv_keydir *keydir; /* A live index, or NULL: none to check. */
    const struct kv_progress *progress;
    kvstore_visit_damage visit; /* NULL: nobody is told. */
    void *context;
};

/* KVSTORE_OK: nothing is wrong. KVSTORE_CORRUPT: something is, and has been
 * told; or the log cannot be read up to its end. */
kvstore_status kv_verification_run(const struct kv_verification *verification);

#endif
