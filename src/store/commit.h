/* SPDX-License-Identifier: MIT */

/* Records that threads want written. */

#ifndef KV_STORE_COMMIT_H
#define KV_STORE_COMMIT_H

#include "index/apply.h"
#include "kvstore.h"
#include "os/gate.h"
#include "record/record.h"

#include <stdbool.h>

/* A record that a thread wants written. Another thread may do it. */
struct kv_store_write {
    struct kv_gate_waiter waiter;      /* The first member. */
    const struct kv_record_plan *plan; /* Its key and its value, and the line */
    const char *line;                  /* that they make. */

    /* For the thread that writes it: */
    kvstore_status status;
    kvstore_error error;
    bool is_prepared; /* It goes to the log. */
    struct kv_index_target target;
};

/* Writes a record, whose plan and line are set, and whose target may have been
 * begun or has tag 0, alone or with those of other
 * threads. KVSTORE_NOT_FOUND, without an error set: a Remove of what is not
 * there. */
kvstore_status kv_store_commit(kvstore *store, struct kv_store_write *write);

#endif
