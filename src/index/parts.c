/* SPDX-License-Identifier: MIT */

/* The highest bits of a tag name its part: the bucket where its walk begins grows
 * with the tag, whatever the table's size. */

#include "index/parts.h"

#include "os/system.h"

#include <stddef.h>

/* How many slots wait for a part. Tests have fewer. */
#ifndef KV_PARTS_CAPACITY
#define KV_PARTS_CAPACITY 8192u
#endif

/* How large a part of the table is. */
#ifndef KV_PARTS_SPAN
#define KV_PARTS_SPAN ((uint64_t)2 << 20)
#endif
#define BITS_MAX 6u

/* The bucket of a slot is prefetched before so many others are visited. */
#define PREFETCH_DISTANCE 16u

struct kv_parts {
    const struct kv_table *table;
    kv_parts_visit visit;
    void *context;
    unsigned bits; /* Of a tag, that name its part. */
    unsigned counts[1u << BITS_MAX];
    struct kv_table_slot slots[];
};

static unsigned bits_for(uint64_t table_size)
{
    unsigned bits = 0;
    while (bits < BITS_MAX && table_size >> bits > KV_PARTS_SPAN) {
        bits++;
    }
    return bits;
}

kvstore_status kv_parts_create(const struct kv_table *table,
                               uint64_t table_size,
                               kv_parts_visit visit,
                               void *context,
                               struct kv_parts **parts_out)
{
    unsigned bits = bits_for(table_size);
    size_t slot_count = (size_t)KV_PARTS_CAPACITY << bits;
    struct kv_parts *parts = kv_io_allocate(
        sizeof *parts + slot_count * sizeof(struct kv_table_slot));
    *parts_out = parts;
    if (parts == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    *parts = (struct kv_parts){
        .table = table, .visit = visit, .context = context, .bits = bits};
    return KVSTORE_OK;
}

static kvstore_status empty_part(struct kv_parts *parts, size_t part)
{
    const struct kv_table_slot *slots = &parts->slots[part * KV_PARTS_CAPACITY];
    unsigned count = parts->counts[part];
    kvstore_status status = KVSTORE_OK;
    parts->counts[part] = 0;
    for (unsigned i = 0; i < count + PREFETCH_DISTANCE; i++) {
        if (i < count) {
            kv_table_prefetch(parts->table, slots[i].tag);
        }
        if (i >= PREFETCH_DISTANCE && status == KVSTORE_OK) {
            status = parts->visit(parts->context, slots[i - PREFETCH_DISTANCE]);
        }
    }
    return status;
}

kvstore_status kv_parts_put(struct kv_parts *parts, struct kv_table_slot slot)
{
    size_t part = (size_t)(slot.tag >> 1 >> (63 - parts->bits));
    unsigned count = parts->counts[part]++;
    parts->slots[part * KV_PARTS_CAPACITY + count] = slot;
    return count + 1 == KV_PARTS_CAPACITY ? empty_part(parts, part)
                                          : KVSTORE_OK;
}

kvstore_status kv_parts_empty(struct kv_parts *parts)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i >> parts->bits == 0 && status == KVSTORE_OK; i++) {
        status = empty_part(parts, i);
    }
    return status;
}
