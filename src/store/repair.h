/* SPDX-License-Identifier: MIT */

/* Takes the damaged places out of a log: saves each beside it, and writes a new
 * log without them. */

#ifndef KV_STORE_REPAIR_H
#define KV_STORE_REPAIR_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/mend.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Neighbouring damaged lines, and where they are saved. */
struct kv_repair_place {
    uint64_t offset;
    uint64_t end;
    char name[KV_CUT_NAME_SIZE]; /* Empty: not saved yet. */
};

struct kv_repair {
    const struct kv_io_file *directory;
    const struct kv_log *log;
    uint64_t end; /* The log up to here. */
    const struct kv_progress *progress;
    struct kv_repair_place *places; /* Owned. */
    size_t count;
    size_t capacity;
    bool is_unterminated; /* The last line lacks its newline. */
};

/* Finds the damaged places, by a fold of the whole log: the index is not asked.
 * The caller has set the first four members, the rest is zero. The caller
 * releases the repair, also after a failure. */
kvstore_status kv_repair_find(struct kv_repair *repair);

/* Saves each place, and writes all that is between them to store.log.compact,
 * byte for byte; both are on the disk on KVSTORE_OK. Builds the index of that
 * log, in the same kind of memory as the old one. The new log does not have its
 * name yet. Only under the writers' lock.
 * KVSTORE_BUSY: a compaction is running. On a failure nothing is left but the
 * old log. */
kvstore_status kv_repair_write(struct kv_repair *repair,
                               const struct kv_index *index,
                               struct kv_log *log_out,
                               struct kv_index *index_out);

/* Removes what was saved: the old log still holds it. */
void kv_repair_undo(struct kv_repair *repair);

void kv_repair_release(struct kv_repair *repair);

#endif
