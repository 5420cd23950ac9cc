/* SPDX-License-Identifier: MIT */

/* Mends what a killed writer left at the log's end. */

#ifndef KV_LOG_MEND_H
#define KV_LOG_MEND_H

#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"

#include <stdint.h>

/* Copies the bytes [offset, end) of a log from one file to a place in another,
 * which ends there. Holes stay holes.
 * KVSTORE_IO: the log is not that long any more. */
kvstore_status kv_mend_copy(const struct kv_io_file *from,
                            uint64_t offset,
                            uint64_t end,
                            const struct kv_io_file *to,
                            uint64_t to_offset);

/* Saves the bytes [offset, end) of a log as store.log.cut-<offset>, or, if that
 * name is taken, with -1, -2 and so on after it. On KVSTORE_OK the file and its
 * name are on the disk; else there is no such file. */
#define KV_CUT_NAME_SIZE 48u
kvstore_status kv_mend_save(const struct kv_log *log,
                            const struct kv_io_file *directory,
                            uint64_t offset,
                            uint64_t end,
                            char name_out[KV_CUT_NAME_SIZE]);

/* Makes the log, size bytes long, end where a fold of it ended: cuts the torn
 * tail off, after saving it beside the log if it may be more than one
 * unfinished write, or adds the newline that the last line lacks. If it does
 * either, the caller syncs the log before it appends. name_out: the file that
 * was saved; empty: none. Only under the writers' lock. */
kvstore_status kv_mend_end(const struct kv_log *log,
                           const struct kv_io_file *directory,
                           uint64_t size,
                           const struct kv_fold_result *result,
                           char name_out[KV_CUT_NAME_SIZE]);

#endif
