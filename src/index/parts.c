/* SPDX-License-Identifier: MIT */

/* The highest bits of a tag name its part: the bucket where its walk begins grows
 * with the tag, whatever the table's size.
 *
 * Invariants:
 * 1. Of several parts, each has at least 16 times as many slots of the table as
 *    wait for it. So none becomes much fuller than the others while these wait,
 *    and the walks in it stay short. Tags come in no order, so one part alone,
 *    which is emptied in the order of the log, may be of any size. */

#include "index/parts.h"

#include "os/system.h"

#include <stddef.h>

/* How many slots may wait for a part. Tests have fewer. */
#ifndef KV_PARTS_CAPACITY
#define KV_PARTS_CAPACITY 8192u
#endif

#define PART_SIZE_MIN (sizeof(struct kv_table_slot) * 16 * KV_PARTS_CAPACITY)
#define BITS_MAX 6u

/* The bucket of a slot is prefetched before so many others are visited. */
#define PREFETCH_DISTANCE 16u

struct kv_parts {
    const struct kv_table *table;
    kv_parts_visit visit;
    void *context;
    unsigned bits; /* Of a tag, that name its part. */
    unsigned counts[1u << BITS_MAX];
    struct kv_table_slot *slots;
};

/* Returns into how many parts the table is to be divided, as a number of bits. */
static unsigned wanted_bits(const struct kv_parts *parts)
{
    uint64_t size = parts->table->bucket_count * KV_TABLE_BUCKET_SIZE;
    unsigned bits = 0;
    while (bits < BITS_MAX && size >> (bits + 1) >= PART_SIZE_MIN) {
        bits++;
    }
    return bits;
}

/* Makes room for the slots of so many parts, of which none waits. */
static kvstore_status allocate_slots(struct kv_parts *parts, unsigned bits)
{
    size_t count = (size_t)KV_PARTS_CAPACITY << bits;
    kv_io_free(parts->slots);
    parts->bits = bits;
    parts->slots = kv_io_allocate(count * sizeof(struct kv_table_slot));
    return parts->slots != NULL ? KVSTORE_OK : KVSTORE_NO_MEMORY;
}

kvstore_status kv_parts_create(const struct kv_table *table,
                               kv_parts_visit visit,
                               void *context,
                               struct kv_parts **parts_out)
{
    struct kv_parts *parts = kv_io_allocate(sizeof *parts);
    *parts_out = parts;
    if (parts == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    *parts =
        (struct kv_parts){.table = table, .visit = visit, .context = context};
    kvstore_status status = allocate_slots(parts, wanted_bits(parts));
    if (status != KVSTORE_OK) {
        kv_io_free(parts);
        *parts_out = NULL;
    }
    return status;
}

void kv_parts_free(struct kv_parts *parts)
{
    if (parts != NULL) {
        kv_io_free(parts->slots);
        kv_io_free(parts);
    }
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

kvstore_status kv_parts_empty(struct kv_parts *parts)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i >> parts->bits == 0 && status == KVSTORE_OK; i++) {
        status = empty_part(parts, i);
    }
    return status;
}

/* Empties a part; and if the table has grown much, all others, so that there are
 * more of them from then on. */
static kvstore_status empty_full_part(struct kv_parts *parts, size_t part)
{
    kvstore_status status = empty_part(parts, part);
    if (status == KVSTORE_OK && wanted_bits(parts) > parts->bits) {
        status = kv_parts_empty(parts);
        if (status == KVSTORE_OK) {
            status = allocate_slots(parts, wanted_bits(parts));
        }
    }
    return status;
}

kvstore_status kv_parts_put(struct kv_parts *parts, struct kv_table_slot slot)
{
    size_t part = (size_t)(slot.tag >> 1 >> (63 - parts->bits));
    unsigned count = parts->counts[part]++;
    parts->slots[part * KV_PARTS_CAPACITY + count] = slot;
    return count + 1 == KV_PARTS_CAPACITY ? empty_full_part(parts, part)
                                          : KVSTORE_OK;
}
