/* SPDX-License-Identifier: MIT */

/* The calls that ask before they change: each is one transaction. */

#include "kvstore.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/system.h"
#include "store/batch.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store/members.h"
#include "store/read.h"
#include "store/transaction.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t kvstore_now_ms(void)
{
    return kv_io_clock_real_ms();
}

/* --- One key --- */

/* A change of one key, perhaps on a condition, perhaps to what comes of its
 * value. */
struct single {
    struct kv_condition condition;
    struct kv_change change;
    int64_t amount;           /* To add. */
    int64_t first_expires_ms; /* Of a number that is not there yet. */
    int64_t sum;
    char digits[24];
    void *value; /* As it was; owned. */
    size_t value_size;
};

static kvstore_status transact_single(
    kvstore *store,
    struct single *single,
    kvstore_status (*decide)(struct kv_transaction *transaction,
                             kvstore *store))
{
    struct kv_transaction transaction = {.decide = decide,
                                         .context = single,
                                         .changes = &single->change,
                                         .change_count = 1};
    single->condition.key = single->change.key;
    single->condition.key_size = single->change.key_size;
    return kv_store_transact(store, &transaction);
}

static kvstore_status decide_condition(struct kv_transaction *transaction,
                                       kvstore *store)
{
    const struct single *single = transaction->context;
    return single->condition.condition == KVSTORE_IF_ANY
               ? KVSTORE_OK
               : kv_transaction_require(transaction, store, &single->condition);
}

/* Reads what the key has, in the place of what was read before. */
static kvstore_status read_old_value(struct kv_transaction *transaction,
                                     kvstore *store,
                                     int64_t *expires_ms_out)
{
    struct single *single = transaction->context;
    struct kv_store_destination found = {.is_allocated = true};
    kv_io_free(single->value);
    single->value = NULL;
    kvstore_status status = kv_transaction_read(transaction,
                                                store,
                                                single->change.key,
                                                single->change.key_size,
                                                &found);
    if (status == KVSTORE_OK) {
        single->value = found.buffer;
        single->value_size = found.value_size;
    }
    *expires_ms_out = found.expires_ms;
    return status;
}

static kvstore_status check_set_options(const kvstore_set_options *options)
{
    size_t count = sizeof options->reserved / sizeof *options->reserved;
    if (!kv_members_are_known(options, options->size, sizeof *options) ||
        !kv_members_are_zero(options->reserved, count)) {
        return kv_fail(KVSTORE_INVALID, "an option is out of its bounds");
    }
    kvstore_status status = kv_batch_check_condition(
        options->condition, options->expected, options->expected_size);
    return status == KVSTORE_OK ? kv_batch_check_expiry(options->expires_ms)
                                : status;
}

kvstore_status kvstore_set_with(kvstore *store,
                                const void *key,
                                size_t key_size,
                                const void *value,
                                size_t value_size,
                                const kvstore_set_options *options)
{
    static const kvstore_set_options defaults = {.size = 0};
    if (options == NULL) {
        options = &defaults;
    }
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_store_check_value(value, value_size);
    }
    if (status == KVSTORE_OK) {
        status = check_set_options(options);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct single single = {.condition = {.condition = options->condition,
                                          .value = options->expected,
                                          .value_size = options->expected_size},
                            .change = {.type = KV_RECORD_SET,
                                       .key = key,
                                       .key_size = key_size,
                                       .value = value,
                                       .value_size = value_size,
                                       .expires_ms = options->expires_ms}};
    return transact_single(store, &single, decide_condition);
}

kvstore_status kvstore_remove_if(kvstore *store,
                                 const void *key,
                                 size_t key_size,
                                 const void *value,
                                 size_t value_size)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_store_check_value(value, value_size);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct single single = {
        .condition = {.condition = KVSTORE_IF_VALUE,
                      .value = value,
                      .value_size = value_size},
        .change = {.type = KV_RECORD_REMOVE, .key = key, .key_size = key_size}};
    return transact_single(store, &single, decide_condition);
}

static kvstore_status decide_take(struct kv_transaction *transaction,
                                  kvstore *store)
{
    int64_t expires_ms = 0;
    return read_old_value(transaction, store, &expires_ms);
}

kvstore_status kvstore_take(kvstore *store,
                            const void *key,
                            size_t key_size,
                            void **value_out,
                            size_t *value_size_out)
{
    if (value_out == NULL || value_size_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the value");
    }
    *value_out = NULL;
    *value_size_out = 0;
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct single single = {
        .change = {.type = KV_RECORD_REMOVE, .key = key, .key_size = key_size}};
    status = transact_single(store, &single, decide_take);
    if (status == KVSTORE_OK) {
        *value_out = single.value;
        *value_size_out = single.value_size;
    } else {
        kv_io_free(single.value);
    }
    return status;
}

static kvstore_status decide_expire(struct kv_transaction *transaction,
                                    kvstore *store)
{
    struct single *single = transaction->context;
    int64_t expires_ms = 0;
    kvstore_status status = read_old_value(transaction, store, &expires_ms);
    single->change.value = single->value;
    single->change.value_size = single->value_size;
    return status;
}

kvstore_status kvstore_expire(kvstore *store,
                              const void *key,
                              size_t key_size,
                              int64_t expires_ms)
{
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_batch_check_expiry(expires_ms);
    }
    if (status == KVSTORE_OK && expires_ms == KVSTORE_EXPIRES_KEEP) {
        status = kv_fail(KVSTORE_INVALID, "another expiry is needed");
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct single single = {.change = {.type = KV_RECORD_SET,
                                       .key = key,
                                       .key_size = key_size,
                                       .expires_ms = expires_ms}};
    status = transact_single(store, &single, decide_expire);
    kv_io_free(single.value);
    return status;
}

/* White space as isspace() has it in C's own locale. */
static bool is_white_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Reads a decimal number of 64 bits. The value ends in a NUL. */
static bool read_whole_number(const char *value,
                              size_t size,
                              int64_t *number_out)
{
    const char *end = value + size;
    while (value < end && is_white_space(*value)) {
        value++;
    }
    while (end > value && is_white_space(end[-1])) {
        end--;
    }
    char *after = NULL;
    errno = 0;
    long long number = strtoll(value, &after, 10);
    *number_out = number;
    return errno == 0 && after > value && after == end && number >= INT64_MIN &&
           number <= INT64_MAX;
}

static kvstore_status decide_increment(struct kv_transaction *transaction,
                                       kvstore *store)
{
    struct single *single = transaction->context;
    int64_t expires_ms = 0;
    int64_t number = 0;
    kvstore_status status = read_old_value(transaction, store, &expires_ms);
    single->change.expires_ms =
        status == KVSTORE_OK ? expires_ms : single->first_expires_ms;
    if (status == KVSTORE_OK) {
        if (!read_whole_number(single->value, single->value_size, &number)) {
            return KVSTORE_CONFLICT;
        }
    } else if (status != KVSTORE_NOT_FOUND) {
        return status;
    }
    if ((single->amount > 0 && number > INT64_MAX - single->amount) ||
        (single->amount < 0 && number < INT64_MIN - single->amount)) {
        return KVSTORE_CONFLICT;
    }
    single->sum = number + single->amount;
    single->change.value = single->digits;
    single->change.value_size = (size_t)snprintf(
        single->digits, sizeof single->digits, "%" PRId64, single->sum);
    return KVSTORE_OK;
}

kvstore_status kvstore_increment(kvstore *store,
                                 const void *key,
                                 size_t key_size,
                                 int64_t amount,
                                 int64_t expires_ms,
                                 int64_t *sum_out)
{
    if (sum_out != NULL) {
        *sum_out = 0;
    }
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status == KVSTORE_OK) {
        status = kv_batch_check_expiry(expires_ms);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    struct single single = {
        .amount = amount,
        .first_expires_ms = expires_ms == KVSTORE_EXPIRES_KEEP ? 0 : expires_ms,
        .change = {.type = KV_RECORD_SET, .key = key, .key_size = key_size}};
    status = transact_single(store, &single, decide_increment);
    kv_io_free(single.value);
    if (status == KVSTORE_OK && sum_out != NULL) {
        *sum_out = single.sum;
    }
    return status;
}

/* --- Batches --- */

/* A batch that is being written, perhaps only if a key is as it was read. */
struct writing {
    const kvstore_batch *batch;
    const struct kv_condition *as_read; /* NULL: none. */
    bool was_as_read;
};

static kvstore_status decide_batch(struct kv_transaction *transaction,
                                   kvstore *store)
{
    struct writing *writing = transaction->context;
    const kvstore_batch *batch = writing->batch;
    kvstore_status status = KVSTORE_OK;
    if (writing->as_read != NULL) {
        status = kv_transaction_require(transaction, store, writing->as_read);
        writing->was_as_read = status != KVSTORE_CONFLICT;
    }
    for (size_t i = 0; i < batch->condition_count && status == KVSTORE_OK;
         i++) {
        status =
            kv_transaction_require(transaction, store, &batch->conditions[i]);
    }
    return status;
}

static kvstore_status write_batch(kvstore *store, struct writing *writing)
{
    struct kv_transaction transaction = {.decide = decide_batch,
                                         .context = writing,
                                         .changes = writing->batch->changes,
                                         .change_count = writing->batch->count};
    return kv_store_transact(store, &transaction);
}

kvstore_status kvstore_write(kvstore *store, const kvstore_batch *batch)
{
    if (store == NULL || batch == NULL) {
        return kv_fail(KVSTORE_INVALID, "a handle or a batch is NULL");
    }
    struct writing writing = {.batch = batch};
    return write_batch(store, &writing);
}

/* --- Updates --- */

/* What a key has, and the condition that it still has it. */
static kvstore_status read_for_update(kvstore *store,
                                      kvstore_entry *entry,
                                      struct kv_condition *as_read)
{
    kvstore_item item = {.key = entry->key, .key_size = entry->key_size};
    kvstore_status status = kvstore_get_many(store, &item, 1);
    if (status != KVSTORE_OK) {
        return status;
    }
    if (item.status != KVSTORE_OK && item.status != KVSTORE_NOT_FOUND) {
        return item.status;
    }
    bool is_there = item.status == KVSTORE_OK;
    entry->value = item.value;
    entry->value_size = item.value_size;
    entry->expires_ms = item.expires_ms;
    entry->status = item.status;
    *as_read = (struct kv_condition){.key = entry->key,
                                     .key_size = entry->key_size,
                                     .condition = is_there ? KVSTORE_IF_VALUE
                                                           : KVSTORE_IF_ABSENT,
                                     .value = entry->value,
                                     .value_size = entry->value_size,
                                     .has_expiry = is_there,
                                     .expires_ms = entry->expires_ms};
    return KVSTORE_OK;
}

/* One try. is_late_out: the key was not what was read any more. */
static kvstore_status try_update(kvstore *store,
                                 kvstore_entry *entry,
                                 kvstore_update_fn update,
                                 void *context,
                                 bool *is_late_out)
{
    struct kv_condition as_read;
    kvstore_batch *batch = NULL;
    *is_late_out = false;
    kvstore_status status = read_for_update(store, entry, &as_read);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kvstore_batch_create(&batch);
    if (status == KVSTORE_OK) {
        struct writing writing = {.batch = batch, .as_read = &as_read};
        writing.was_as_read = true;
        status = update(context, entry, batch) ? write_batch(store, &writing)
                                               : KVSTORE_CONFLICT;
        *is_late_out = !writing.was_as_read;
    }
    kvstore_batch_free(batch);
    kvstore_free((void *)entry->value);
    entry->value = NULL;
    return status;
}

kvstore_status kvstore_update(kvstore *store,
                              const void *key,
                              size_t key_size,
                              kvstore_update_fn update,
                              void *context)
{
    if (update == NULL) {
        return kv_fail(KVSTORE_INVALID, "the callback is NULL");
    }
    kvstore_status status = kv_store_check_key(store, key, key_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    int64_t deadline_ns = kv_store_deadline(store->lock_timeout_ms);
    bool is_late = true;
    int cancel = kv_cancel_hold();
    do {
        kvstore_entry entry = {.key = key, .key_size = key_size};
        status = try_update(store, &entry, update, context, &is_late);
    } while (is_late && kv_io_clock_ns() < deadline_ns);
    kv_cancel_release(cancel);
    return is_late ? kv_fail(KVSTORE_BUSY,
                             "busy: others were faster to change the key")
                   : status;
}
