/* SPDX-License-Identifier: MIT */

/* Checks an index against each record of its log, in one pass over the log: so
 * that an index that lies never costs a key.
 *
 * The slots that lead to a record are summed, and so are the records that some
 * slot leads to, from their own keys and places. If the sums are equal, each of
 * these slots leads to a record of its key. The other records of a key must have
 * a slot that leads on to a later one. That no key has two slots is for the
 * caller to notice, where it meets a second record of a key that is marked.
 *
 * A slot only ever moves on to a later record. So writers may go on: a slot that
 * does counts as it was, or as one that leads past the end. */

#ifndef KV_INDEX_CHECK_H
#define KV_INDEX_CHECK_H

#include "index/index.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

/* A bit for each so many bytes of the log: there is no shorter record. */
#define KV_INDEX_MARK_SPAN 16u

struct kv_index_check;

/* Creates a check of an index against its log up to an end; it takes an eighth
 * of the index's memory at most, or 1 MiB; freed by kv_io_free(). */
kvstore_status kv_index_check_create(const struct kv_index *index,
                                     const struct kv_log *log,
                                     uint64_t end,
                                     struct kv_index_check **check_out);

/* True if a slot leads to a record at this offset. The first offset may be
 * anywhere, each later one is past it. */
bool kv_index_check_is_marked(struct kv_index_check *check, uint64_t offset);

/* Sums a record that is marked. */
void kv_index_check_meet(struct kv_index_check *check,
                         struct kv_table_slot slot);

/* Finds out whether the slot of a record that is not marked leads on to a later
 * one. One before the end is met by the check itself; one that was written since
 * is read, and so is the record at the offset, for its key. */
kvstore_status kv_index_check_leads_on(const struct kv_index_check *check,
                                       struct kv_table_hash hash,
                                       uint64_t offset,
                                       bool *leads_on_out);

/* After the last record: true if the sums are equal. */
bool kv_index_check_is_true(struct kv_index_check *check);

#endif
