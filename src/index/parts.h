/* SPDX-License-Identifier: MIT */

/* Slots on their way to a table. A table that does not fit the processor's cache
 * is accessed at places as good as random, and each access waits for memory,
 * and for the address of the page. So slots that come in the order of the log
 * are gathered by the part of the table where they belong; when there are many
 * for a part, which does fit, they go there all at once. */

#ifndef KV_INDEX_PARTS_H
#define KV_INDEX_PARTS_H

#include "index/table.h"
#include "kvstore.h"

#include <stdbool.h>

struct kv_parts;

/* Visits a slot at its part of the table. Any status but KVSTORE_OK is returned
 * to the one that puts slots. */
typedef kvstore_status (*kv_parts_visit)(void *context,
                                         struct kv_table_slot slot);

/* Creates parts of a table, which is borrowed, and may grow: then they are made
 * anew. keeps_order: all of it is one part. They take 128 KiB for each 2 MiB of
 * the table, no less than that, and no more than 8 MiB. */
kvstore_status kv_parts_create(const struct kv_table *table,
                               bool keeps_order,
                               kv_parts_visit visit,
                               void *context,
                               struct kv_parts **parts_out);

/* What waits is lost. */
void kv_parts_free(struct kv_parts *parts);

/* Has a slot visited, sooner or later: the slots of one part, and so those of
 * one key, in the order in which they were put. After a failure, slots that
 * wait are lost. */
kvstore_status kv_parts_put(struct kv_parts *parts, struct kv_table_slot slot);

/* Has all slots visited that wait. */
kvstore_status kv_parts_empty(struct kv_parts *parts);

#endif
