/* SPDX-License-Identifier: MIT */

/* The steps that every write of records goes through, alone, in a group or in a
 * transaction: judge, append, publish. */

#ifndef KV_STORE_APPEND_H
#define KV_STORE_APPEND_H

#include "index/apply.h"
#include "kvstore.h"
#include "log/log.h"
#include "record/expiry.h"
#include "record/record.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* KVSTORE_NOT_FOUND, without an error set: a Remove of this key, whose target
 * was found, would remove nothing. A slot that leads to a plain Set is believed.
 * is_in_doubt: set if the index may be wrong about the key. */
kvstore_status kv_store_judge_remove(const struct kvstore *store,
                                     const struct kv_record_plan *plan,
                                     const struct kv_index_target *target,
                                     struct kv_expiry *expiry,
                                     bool *is_in_doubt) KV_LOCKED;

/* Appends lines at the end of the log; durably, if the handle is. What cannot be
 * acknowledged is cut off again. If that fails, too, it is torn, or whole and as
 * good as any line that was written before its writer died. */
kvstore_status kv_store_append(struct kvstore *store,
                               const struct kv_log_bytes *lines,
                               size_t count,
                               uint64_t new_end) KV_LOCKED;

/* Publishes a record that has been appended, between kv_index_begin_publishing()
 * and kv_index_end_publishing(). Of the plan, type, key, times, batch and
 * line_size are read. */
void kv_store_publish(struct kvstore *store,
                      const struct kv_record_plan *plan,
                      const char *line,
                      const struct kv_index_target *target) KV_LOCKED;

/* Appends a blank line, and publishes it. */
kvstore_status kv_store_append_blank(struct kvstore *store) KV_LOCKED;

/* Builds the index anew. The log's end may look torn by now: it is mended before
 * anything is appended. */
kvstore_status kv_store_rebuild_to_write(struct kvstore *store) KV_LOCKED;

#endif
