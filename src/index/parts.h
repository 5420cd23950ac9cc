/* SPDX-License-Identifier: MIT */

/* Slots on their way to a table. A table that does not fit the processor's cache
 * is accessed at places as good as random, and each access waits for memory,
 * and for the address of the page. So slots that come in the order of the log
 * are gathered by the part of the table where they belong, and go there many at a
 * time: then the addresses of its pages are soon known, and its buckets are
 * prefetched. */

#ifndef KV_INDEX_PARTS_H
#define KV_INDEX_PARTS_H

#include "index/table.h"
#include "kvstore.h"

struct kv_parts;

/* Visits a slot at its part of the table. Any status but KVSTORE_OK is returned
 * to whoever puts slots, or empties the parts; then these can only be freed. */
typedef kvstore_status (*kv_parts_visit)(void *context,
                                         struct kv_table_slot slot);

/* Creates parts of a table, which is borrowed, and may grow: then there are more
 * of them. They take 128 KiB, or that for each 2 MiB of the table at most, but no
 * more than 8 MiB. */
kvstore_status kv_parts_create(const struct kv_table *table,
                               kv_parts_visit visit,
                               void *context,
                               struct kv_parts **parts_out);

/* What waits is lost. */
void kv_parts_free(struct kv_parts *parts);

/* Has a slot visited, sooner or later: the slots of one part, and so those of
 * one key, in the order in which they were put. */
kvstore_status kv_parts_put(struct kv_parts *parts, struct kv_table_slot slot);

/* Has all slots visited that wait. */
kvstore_status kv_parts_empty(struct kv_parts *parts);

#endif
