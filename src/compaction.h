/* SPDX-License-Identifier: MIT */

/* Rewrites the live records of a log into a new one and puts it in the old
 * one's place. */

#ifndef KV_COMPACTION_H
#define KV_COMPACTION_H

#include "fold.h"
#include "io.h"
#include "keydir.h"
#include "kvstore.h"
#include "log.h"

#include <stdbool.h>
#include <stdint.h>

/* Is a compaction due? */
bool kv_compaction_is_due(const struct kv_index_counts *counts,
                          uint64_t log_size,
                          uint64_t threshold_bytes,
                          uint32_t threshold_percent);

/* Writes what is live, as far as the keydir has the log, to a new log in
 * store.log.compact, which is on the disk on KVSTORE_OK, and builds its keydir,
 * in the same kind of memory. Neither has its name yet. Only under the writers'
 * lock, with the log's end settled; the totals are those of the new log, with
 * one compaction more.
 * KVSTORE_CORRUPT: the keydir does not belong to the log. Build it anew.
 * KVSTORE_BUSY:    another compaction runs.
 * On a failure nothing is left but the old log. */
kvstore_status kv_compaction_write(const struct kv_io_file *directory,
                                   const struct kv_log *log,
                                   const struct kv_keydir *keydir,
                                   const struct kv_progress *progress,
                                   struct kv_log *log_out,
                                   struct kv_keydir *keydir_out);

/* Opens or creates store.log.compact, empty and locked, with the mode and the
 * owner of a log that is to be written anew. After a failure, too, the caller
 * discards it. KVSTORE_BUSY: another compaction runs. */
kvstore_status kv_compaction_create_log(const struct kv_io_file *directory,
                                        const struct kv_log *log,
                                        struct kv_log *new_log);

/* Renames the new log over the old one, if store.log.compact still is it. */
kvstore_status kv_compaction_rename(const struct kv_io_file *directory,
                                    struct kv_log *new_log);

/* Gives up a new log that was not renamed. */
void kv_compaction_discard(const struct kv_io_file *directory,
                           struct kv_log *new_log);

#endif
