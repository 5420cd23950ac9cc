/* SPDX-License-Identifier: MIT */

/* Lies in an index. */

#include "index_lies.h"

#include "index/table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdatomic.h>
#include <string.h>

/* A slot, from the low bits on: offset + 1, the flag, the hash. */
#define OFFSET_MASK ((UINT64_C(1) << 44) - 1)
#define FLAG (UINT64_C(1) << 44)

/* Words of the header from the state on, that others may change. */
#define FIRST_WORD (offsetof(struct kv_table_header, state) / 8)
#define LAST_WORD (offsetof(struct kv_table_header, totals) / 8)

struct index_lie index_lie_read(const uint8_t bytes[INDEX_LIE_SIZE])
{
    return (struct index_lie){
        .kind = bytes[0],
        .part = bytes[1],
        .place = (uint16_t)(bytes[2] | bytes[3] << 8),
        .value = (uint32_t)bytes[4] | (uint32_t)bytes[5] << 8 |
                 (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 24};
}

/* Makes a number that is worth trying. */
static uint64_t number_of(const struct index_lie *lie,
                          const struct index_target *target)
{
    uint64_t offset = target->offset_count == 0
                          ? 0
                          : target->offsets[lie->value % target->offset_count];
    switch (lie->part % 8) {
    case 0:
        return lie->value;
    case 1:
        return target->log_size;
    case 2:
        return target->log_size + lie->value % 4 - 1;
    case 3:
        return offset;
    case 4:
        return UINT64_MAX - lie->value % 2;
    case 5:
        return UINT64_C(1) << lie->value % 64;
    case 6:
        return lie->value % 2;
    default:
        return KV_TABLE_SWITCHING;
    }
}

/* Returns the next slot that is used, or NULL. */
static uint64_t *used_slot(uint64_t *slots, size_t count, size_t place)
{
    for (size_t i = 0; i < count; i++) {
        if (slots[(place + i) % count] != 0) {
            return &slots[(place + i) % count];
        }
    }
    return NULL;
}

/* Spreads the places of an input over the table. */
static size_t place_of(uint32_t number, size_t count)
{
    return (size_t)(number * UINT32_C(2654435761)) % count;
}

static void change_slots(uint64_t *slots,
                         size_t count,
                         const struct index_lie *lie,
                         const struct index_target *target)
{
    uint64_t *slot = used_slot(slots, count, place_of(lie->place, count));
    uint64_t *other = used_slot(slots, count, place_of(lie->value, count));
    if (slot == NULL) {
        return;
    }
    uint64_t word = *slot;
    switch (lie->kind % 16) {
    case 0:
        *slot = word ^ UINT64_C(1) << lie->part % 64;
        break;
    case 1: /* Exchanges the slots, or only where they lead. */
        if (lie->part % 2 == 0) {
            *slot = *other;
            *other = word;
        } else {
            *slot = (word & ~OFFSET_MASK) | (*other & OFFSET_MASK);
            *other = (*other & ~OFFSET_MASK) | (word & OFFSET_MASK);
        }
        break;
    case 2:
        *slot = 0;
        break;
    case 3:
        *slot = (word & ~OFFSET_MASK) |
                ((number_of(lie, target) + 1) & OFFSET_MASK);
        break;
    case 4:
        *slot = word ^ FLAG;
        break;
    default:
        slots[place_of(lie->value, count)] = word;
        break;
    }
}

bool index_lie_tell(void *region,
                    size_t size,
                    const struct index_lie *lie,
                    const struct index_target *target)
{
    uint64_t *words = region;
    struct kv_table_header *header = region;
    uint64_t chosen = atomic_load(&header->chooser) % 2;
    uint64_t *totals = (uint64_t *)(void *)header->totals[chosen];
    uint64_t *slots = words + KV_TABLE_HEADER_SIZE / 8;
    size_t slot_count = (size - KV_TABLE_HEADER_SIZE) / 8;
    uint64_t number = number_of(lie, target);
    if (lie->kind % 16 < 6) {
        change_slots(slots, slot_count, lie, target);
    } else if (lie->kind % 16 == 6) {
        words[FIRST_WORD + lie->place % (LAST_WORD - FIRST_WORD)] = number;
    } else if (lie->kind % 16 == 7) {
        totals[lie->place % KV_TABLE_TOTALS_WORDS] = number;
    } else if (lie->kind % 16 == 8) {
        slots[place_of(lie->place, slot_count)] =
            (uint64_t)lie->value << 32 | number;
    } else {
        return false;
    }
    return true;
}

void index_lie_seal(void *region,
                    size_t size,
                    uint64_t log_device,
                    uint64_t log_inode)
{
    struct kv_table_header *header = region;
    if (size < KV_TABLE_HEADER_SIZE) {
        return;
    }
    header->region_size = size;
    header->identity.log_device = log_device;
    header->identity.log_inode = log_inode;
    header->fixed_hash =
        XXH3_64bits(header, offsetof(struct kv_table_header, fixed_hash));
    for (size_t i = 0; i < 2; i++) {
        uint64_t *totals = (uint64_t *)(void *)header->totals[i];
        totals[KV_TABLE_TOTALS_WORDS] =
            XXH3_64bits(totals, KV_TABLE_TOTALS_WORDS * 8);
    }
}
