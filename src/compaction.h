/* SPDX-License-Identifier: MIT */

/* Rewrites the live records of a log into a new one and puts it in the old
 * one's place. */

#ifndef KV_COMPACTION_H
#define KV_COMPACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "io.h"
#include "keydir.h"
#include "kvstore.h"
#include "log.h"

/* Is a compaction due? */
bool kv_compaction_is_due(const struct kv_index_counts *counts,
                          uint64_t log_size,
                          uint64_t threshold_bytes,
                          uint32_t threshold_percent);

/* Compacts the log as far as the keydir has it. Only under the writers' lock,
 * with the log's end settled. log_out and keydir_out are set when the new log
 * is in place, whatever the status; else the log is as it was.
 * KVSTORE_OK:      the new log is in place and on the disk.
 * KVSTORE_IO etc.: in place, but the directory could not be synced (log_out is
 *                  set); or a system call failed (log_out is not).
 * KVSTORE_CORRUPT: the keydir does not belong to the log. Build it anew.
 * KVSTORE_BUSY:    another compaction runs. */
kvstore_status kv_compaction_run(const struct kv_io_file *directory,
                                 const struct kv_log *log,
                                 const struct kv_keydir *keydir,
                                 struct kv_log *log_out,
                                 struct kv_keydir *keydir_out);

#endif
