/* SPDX-License-Identifier: MIT */

/* Puts a new index, and with it a new log if there is one, in the place of
 * those that all processes have open. */

#ifndef KV_STORE_SWITCH_H
#define KV_STORE_SWITCH_H

#include "index/index.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_switch {
    const struct kv_io_file *directory;
    struct kv_table *lost_table; /* Without an old_table, with a new log: the
                                    index that has lost its name and that others
                                    may still have mapped; or NULL. */
    struct kv_table *old_table;  /* Of store.index, if that is trusted; else
                                    NULL, and no process can be notified. */
    bool is_store_new;           /* No other process can know of the log. */
    uint64_t poisoned_inode;     /* A log of which a sync has failed, or 0. */
    struct kv_log *log;          /* The log from now on; */
    bool is_log_new;             /* it is still store.log.compact. */
    struct kv_index *index;      /* Its index, not in use yet. */
    bool is_log_in_place;        /* Out: store.log is this log. */
    bool is_index_in_place;      /* Out: store.index is this index's, and it is
                                   shared. Else it serves this process alone. */
};

/* KVSTORE_OK: the log is in place, and on the disk with its name. Failing to
 * name the index is no failure: then no index has a name. */
kvstore_status kv_switch_run(struct kv_switch *change) KV_LOCKED;

/* Completes a switch whose process died: the index by name is of this log, and
 * its state is not LIVE. */
kvstore_status kv_switch_complete(const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  const struct kv_table *table) KV_LOCKED;

#endif
