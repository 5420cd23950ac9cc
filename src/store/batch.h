/* SPDX-License-Identifier: MIT */

/* A batch: the changes and conditions that a program has put together, in memory
 * of its own. The public calls are kvstore_batch_create() and so on. Knows no
 * store. */

#ifndef KV_STORE_BATCH_H
#define KV_STORE_BATCH_H

#include "kvstore.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A Set or a Remove. Key and value are borrowed. */
struct kv_change {
    enum kv_record_type type;
    const void *key;
    size_t key_size;
    const void *value;
    size_t value_size;
    size_t value_room;  /* Of a batch: as many bytes are there for one. */
    int64_t expires_ms; /* KVSTORE_EXPIRES_KEEP: as it was. */
};

/* What must be true of a key. Key and value are borrowed. */
struct kv_condition {
    const void *key;
    size_t key_size;
    int condition; /* KVSTORE_IF_ABSENT and so on. */
    const void *value;
    size_t value_size;
    bool has_expiry; /* This expiry must be true, too. */
    int64_t expires_ms;
};

struct kv_batch_block;

struct kvstore_batch {
    struct kv_change *changes; /* One for each key, in the order in which the */
    size_t count;              /* keys came first. */
    size_t capacity;
    uint64_t lines_size; /* At most so many bytes of lines. */
    struct kv_condition *conditions;
    size_t condition_count;
    size_t condition_capacity;

    /* Finds the change of a key: numbers of changes, and 1; 0: none. */
    uint32_t *places;
    size_t place_count; /* A power of two, or 0. */
    uint64_t seed; /* Of the hash: whoever chooses keys does not know it. */

    struct kv_batch_block *blocks; /* Where keys and values are. */
};

/* Plans the line of a change that expires at this time (0: never). */
struct kv_record_plan kv_batch_plan(const struct kv_change *change,
                                    int64_t expires_ms,
                                    uint32_t batch);

/* Fails unless the condition is one, and its value is. */
kvstore_status kv_batch_check_condition(int condition,
                                        const void *value,
                                        size_t value_size);

/* Fails unless this is a time of expiry, whether or not it has passed. */
kvstore_status kv_batch_check_expiry(int64_t expires_ms);

#endif
