/* SPDX-License-Identifier: MIT */

/* Lies in an index. */

#include "index_lies.h"

#include "index/table.h"
#include "os/bounds.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdatomic.h>
#include <string.h>

/* A slot is two words: the tag, and the pointer, which is, from the low bits
 * on, an offset, a length, a kind, and more of the hash. */
#define SLOT_SIZE 16u
#define OFFSET_MASK KV_OFFSET_MAX
#define LENGTH_SHIFT 40
#define LENGTH_MASK (KV_TABLE_LENGTH_LONG << LENGTH_SHIFT)
#define KIND_SHIFT 52
#define KIND_MASK (UINT64_C(3) << KIND_SHIFT)
#define PAGE_SIZE 4096u

/* Words of the header from the state on, that others may change. */
#define FIRST_WORD (offsetof(struct kv_table_header, state) / 8)
#define LAST_WORD (offsetof(struct kv_table_header, totals) / 8)

struct slots {
    struct kv_table_slot *first;
    size_t count;
};

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
static struct kv_table_slot *used_slot(const struct slots *slots, size_t place)
{
    for (size_t i = 0; i < slots->count; i++) {
        struct kv_table_slot *slot = &slots->first[(place + i) % slots->count];
        if (slot->tag != 0) {
            return slot;
        }
    }
    return NULL;
}

/* Spreads the places of an input over the table. */
static size_t place_of(uint32_t number, const struct slots *slots)
{
    return (size_t)(number * UINT32_C(2654435761)) % slots->count;
}

static void flip_bit(struct kv_table_slot *slot, unsigned part)
{
    uint64_t bit = UINT64_C(1) << part % 64;
    if (part / 64 % 2 == 0) {
        slot->pointer ^= bit;
    } else {
        slot->tag ^= bit;
    }
}

/* Exchanges two slots, or only where they lead. */
static void exchange(struct kv_table_slot *a,
                     struct kv_table_slot *b,
                     unsigned part)
{
    static const uint64_t masks[] = {
        UINT64_MAX, OFFSET_MASK, UINT64_MAX, OFFSET_MASK | LENGTH_MASK};
    uint64_t difference = (a->pointer ^ b->pointer) & masks[part % 4];
    a->pointer ^= difference;
    b->pointer ^= difference;
    if (part % 4 == 0) {
        uint64_t tag = a->tag;
        a->tag = b->tag;
        b->tag = tag;
    }
}

/* Empties a slot, the bucket it is in, or the page. */
static void empty(const struct slots *slots,
                  struct kv_table_slot *slot,
                  unsigned part)
{
    size_t span = part % 8 < 6    ? 1
                  : part % 8 == 6 ? KV_TABLE_BUCKET_SLOTS
                                  : PAGE_SIZE / SLOT_SIZE;
    size_t first = (size_t)(slot - slots->first) / span * span;
    if (part % 8 == 0) {
        slot->tag = 0;
    } else {
        size_t left = slots->count - first;
        memset(&slots->first[first],
               0,
               (left < span ? left : span) * sizeof *slot);
    }
}

/* Makes a slot one of the other kind, of any, or of another length. */
static void change_kind(struct kv_table_slot *slot, const struct index_lie *lie)
{
    switch (lie->part % 4) {
    case 2:
        slot->pointer = (slot->pointer & ~KIND_MASK) |
                        (uint64_t)(lie->value % 4) << KIND_SHIFT;
        break;
    case 3:
        slot->pointer = (slot->pointer & ~LENGTH_MASK) |
                        (lie->value & KV_TABLE_LENGTH_LONG) << LENGTH_SHIFT;
        break;
    default: /* A Set tells of damage, and damage is a Set. */
        slot->pointer ^= KIND_MASK;
        break;
    }
}

static void change_slots(const struct slots *slots,
                         const struct index_lie *lie,
                         const struct index_target *target)
{
    struct kv_table_slot *slot = used_slot(slots, place_of(lie->place, slots));
    struct kv_table_slot *other = used_slot(slots, place_of(lie->value, slots));
    if (slot == NULL) {
        return;
    }
    switch (lie->kind % 16) {
    case 0:
        flip_bit(slot, lie->part);
        break;
    case 1:
        exchange(slot, other, lie->part);
        break;
    case 2:
        empty(slots, slot, lie->part);
        break;
    case 3:
        slot->pointer = (slot->pointer & ~OFFSET_MASK) |
                        (number_of(lie, target) & OFFSET_MASK);
        break;
    case 4:
        change_kind(slot, lie);
        break;
    default:
        slots->first[place_of(lie->value, slots)] = *slot;
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
    uint64_t *totals = (uint64_t *)(void *)header->totals;
    struct slots slots = {
        .first = (struct kv_table_slot *)(void *)((char *)region +
                                                  KV_TABLE_HEADER_SIZE),
        .count = (size - KV_TABLE_HEADER_SIZE) / SLOT_SIZE};
    uint64_t number = number_of(lie, target);
    if (lie->kind % 16 < 6) {
        change_slots(&slots, lie, target);
    } else if (lie->kind % 16 == 6) {
        words[FIRST_WORD + lie->place % (LAST_WORD - FIRST_WORD)] = number;
    } else if (lie->kind % 16 == 7) {
        totals[lie->place % KV_TABLE_TOTALS_WORDS] = number;
    } else if (lie->kind % 16 == 8) {
        slots.first[place_of(lie->place, &slots)] = (struct kv_table_slot){
            .tag = number, .pointer = (uint64_t)lie->value << 32 | number};
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
}
