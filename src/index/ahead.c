/* SPDX-License-Identifier: MIT */

/* Finds many keys. In a store that does not fit the processor's cache a find is
 * two waits for memory: for the slot, and for the line. So all slots are asked
 * for at once, and then all lines. */

#include "index/ahead.h"

#include "index/table.h"
#include "log/line.h"
#include "os/bounds.h"

#include <assert.h>
#include <stdbool.h>

static bool is_key(const kvstore_item *item)
{
    return item->key != NULL && item->key_size >= 1 &&
           item->key_size <= KV_KEY_SIZE_MAX;
}

/* Finds the key's slot, and asks for the line that it leads to. */
static void look_ahead(const struct kv_table *table,
                       const struct kv_log *log,
                       struct kv_index_start *start)
{
    struct kv_table_slot slot = kv_table_get(table, start->key.hash, false);
    start->has_entry = slot.tag != 0;
    start->entry = kv_table_entry_of(slot);
    if (start->has_entry) {
        kv_log_prefetch(log, start->entry.pointer.offset);
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
            kv_table_prefetch(table, starts_out[i].key.hash.tag);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_key(&items[i])) {
            look_ahead(table, log, &starts_out[i]);
        }
    }
}
