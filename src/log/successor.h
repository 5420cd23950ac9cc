/* SPDX-License-Identifier: MIT */

/* The file of the log that will take the place of a store's log:
 * store.log.compact. */

#ifndef KV_LOG_SUCCESSOR_H
#define KV_LOG_SUCCESSOR_H

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"

#include <stdbool.h>

/* Creates store.log.compact, locked, with the mode and the owner of a log that
 * will be written anew; or, if that is NULL, of a new store's log. A leftover is
 * removed, unless a process holds its lock: KVSTORE_BUSY, another compaction is
 * running. After a failure, too, the caller discards the log. */
kvstore_status kv_successor_create(const struct kv_io_file *directory,
                                   const struct kv_log *log,
                                   struct kv_log *new_log);

/* Renames the new log over the old one, if store.log.compact is still that
 * file. */
kvstore_status kv_successor_rename(const struct kv_io_file *directory,
                                   struct kv_log *new_log);

/* Gives up a new log that was not renamed. */
void kv_successor_discard(const struct kv_io_file *directory,
                          struct kv_log *new_log);

/* Removes what has the name, if that is a file whose lock no compaction holds.
 * Returns whether it has. Only under the writers' lock. */
bool kv_successor_remove_leftover(const struct kv_io_file *directory);

#endif
