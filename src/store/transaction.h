/* SPDX-License-Identifier: MIT */

/* Changes that are judged and made in one step, under the writers' lock: all of
 * them or none. Whoever asks about what is there goes by itself, and never shares
 * an append with other threads. */

#ifndef KV_STORE_TRANSACTION_H
#define KV_STORE_TRANSACTION_H

#include "kvstore.h"
#include "record/expiry.h"
#include "store/batch.h"
#include "store/read.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_transaction {
    /* Judges, and says what to change, of which no key occurs twice. Called with
     * the lock, and once more if the index had to be built anew. Any status but
     * KVSTORE_OK is the outcome, and nothing is written. */
    kvstore_status (*decide)(struct kv_transaction *transaction,
                             struct kvstore *store);
    void *context; /* For decide. */
    const struct kv_change *changes;
    size_t change_count;

    struct kv_expiry expiry; /* One clock for the whole call. */
    uint64_t doubt_offset;   /* A read could not be answered: the index may be
                                wrong. */
};

/* For decide: reads a key as kvstore_get() does. */
kvstore_status kv_transaction_read(
    struct kv_transaction *transaction,
    struct kvstore *store,
    const void *key,
    size_t key_size,
    struct kv_store_destination *destination) KV_LOCKED;

/* For decide: KVSTORE_CONFLICT, without an error set, if the condition is not
 * met. */
kvstore_status kv_transaction_require(
    struct kv_transaction *transaction,
    struct kvstore *store,
    const struct kv_condition *condition) KV_LOCKED;

/* KVSTORE_INVALID unless a time of expiry is still to come, or is one of the
 * special ones. */
kvstore_status kv_transaction_check_expiry(struct kv_transaction *transaction,
                                           int64_t expires_ms);

/* Makes the transaction; compacts if that is due then. */
kvstore_status kv_store_transact(struct kvstore *store,
                                 struct kv_transaction *transaction);

#endif
