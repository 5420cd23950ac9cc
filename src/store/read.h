/* SPDX-License-Identifier: MIT */

/* What the calls that read keys share. */

#ifndef KV_STORE_READ_H
#define KV_STORE_READ_H

#include "index/index.h"
#include "kvstore.h"
#include "record/expiry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fails unless these are a handle and a key. */
kvstore_status kv_store_check_key(const kvstore *store,
                                  const void *key,
                                  size_t key_size);

/* Fails unless this is a value. */
kvstore_status kv_store_check_value(const void *value, size_t value_size);

/* Where a value goes: into a buffer of the caller's, or a new one. */
struct kv_store_destination {
    void *buffer;
    size_t capacity;
    bool is_allocated; /* By the library, with one NUL after the value. */
    bool is_unwanted;  /* Nowhere: that there is a value is enough. */
    bool takes_half;   /* Also from a batch that is being published. */
    uint64_t secret;   /* Of the index in which a doubt arose. */
    size_t value_size;
    int64_t expires_ms;       /* When it expires; 0: never. */
    struct kv_expiry *expiry; /* Of the call. */
};

/* With the offset of a record, in the place of the offset of a doubt: the record
 * is of a batch that is not published as a whole. */
#define KV_HALF_BATCH (UINT64_C(1) << 63)

/* Within a read: answers with what was found of a key, and releases the find.
 * doubt_out: UINT64_MAX; KV_HALF_BATCH; or the offset of a line to which the index
 * leads, but from which it cannot have been built, where another line might change
 * the answer. Then nothing is delivered, and the status does not count. */
kvstore_status kv_store_answer(kvstore *store,
                               struct kv_index_find *find,
                               struct kv_store_destination *destination,
                               uint64_t *doubt_out);

#endif
