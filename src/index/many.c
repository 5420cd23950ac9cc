/* SPDX-License-Identifier: MIT */

/* Finding many keys. A find waits for memory twice: for a slot, and then for the
 * line that it leads to. Finds of different keys need not wait one after the
 * other: first all slots are asked for, then the line that each leads to first,
 * nearly always the right one; and when the finds go on, they are there. */

#include "index/index.h"
#include "index/walk.h"
#include "os/bounds.h"

#include <assert.h>

static bool is_key(const kvstore_item *item)
{
    return item->key != NULL && item->key_size >= 1 &&
           item->key_size <= KV_KEY_SIZE_MAX;
}

/* Looks at the first place that may be the key's. */
static void look_ahead(const struct kv_table *table,
                       const struct kv_log *log,
                       struct kv_index_start *start)
{
    start->place = kv_table_probe_start(table, start->key.hash);
    start->has_entry = kv_table_probe_next(table, &start->place, &start->entry);
    if (start->has_entry) {
        kv_log_prefetch(log, start->entry.offset);
    }
}

void kv_index_start_finds(const struct kv_index *index,
                          const struct kv_log *log,
                          const kvstore_item *items,
                          size_t count,
                          struct kv_index_start *starts_out)
{
    assert(count <= KV_INDEX_START_MAX);
    const struct kv_table *table = &index->table;
    for (size_t i = 0; i < count; i++) {
        if (is_key(&items[i])) {
            starts_out[i].key =
                kv_index_plain_key(table, items[i].key, items[i].key_size);
            kv_table_prefetch(table, starts_out[i].key.hash);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_key(&items[i])) {
            look_ahead(table, log, &starts_out[i]);
        }
    }
}
