/* SPDX-License-Identifier: MIT */

/* Changes that import has read and not yet written. They are made into a batch
 * as late as possible, since what may be in it depends on the moment: whether a
 * key is there, and whether a set has expired. */

#include "cli/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool cli_pending_init(struct cli_pending *pending, bool if_absent)
{
    memset(pending, 0, sizeof(*pending));
    pending->if_absent = if_absent;
    return kvstore_batch_create(&pending->batch) == KVSTORE_OK;
}

void cli_pending_release(struct cli_pending *pending)
{
    kvstore_batch_free(pending->batch);
    free(pending->bytes);
    pending->batch = NULL;
    pending->bytes = NULL;
}

bool cli_pending_is_full(const struct cli_pending *pending)
{
    return pending->count == CLI_PENDING_COUNT ||
           pending->size >= CLI_PENDING_SIZE;
}

static bool reserve(struct cli_pending *pending, size_t size)
{
    if (size <= pending->capacity) {
        return true;
    }
    size_t capacity = size < 2 * CLI_PENDING_SIZE ? 2 * CLI_PENDING_SIZE : size;
    char *bytes = realloc(pending->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    pending->bytes = bytes;
    pending->capacity = capacity;
    return true;
}

bool cli_pending_add(struct cli_pending *pending,
                     const struct cli_change *change)
{
    size_t offset = pending->size;

    assert(!cli_pending_is_full(pending));
    if (!reserve(pending, offset + change->key_size + change->value_size)) {
        return false;
    }
    memcpy(pending->bytes + offset, change->key, change->key_size);
    if (change->value_size > 0) {
        memcpy(pending->bytes + offset + change->key_size,
               change->value,
               change->value_size);
    }
    pending->size += change->key_size + change->value_size;
    pending->kept[pending->count++] =
        (struct cli_kept){.kind = change->kind,
                          .offset = offset,
                          .key_size = change->key_size,
                          .value_size = change->value_size,
                          .expires_ms = change->expires_ms};
    return true;
}

static bool has_key(const struct cli_pending *pending,
                    const struct cli_kept *kept,
                    const void *key,
                    size_t key_size)
{
    return kept->key_size == key_size &&
           memcmp(pending->bytes + kept->offset, key, key_size) == 0;
}

/* The newest change of this key that is pending; NULL: there is none. */
static struct cli_kept *find(struct cli_pending *pending,
                             const struct cli_change *change)
{
    for (size_t i = pending->count; i > 0; i--) {
        struct cli_kept *kept = &pending->kept[i - 1];
        if (has_key(pending, kept, change->key, change->key_size)) {
            return kept;
        }
    }
    return NULL;
}

bool cli_pending_expire(struct cli_pending *pending,
                        const struct cli_change *change)
{
    struct cli_kept *kept = find(pending, change);

    if (kept != NULL && kept->kind == CLI_CHANGE_SET) {
        kept->expires_ms = change->expires_ms;
    }
    return kept != NULL;
}

bool cli_pending_find_expiry(const struct cli_pending *pending,
                             const struct cli_change *change,
                             int64_t *expires_ms_out)
{
    const struct cli_kept *kept = find((struct cli_pending *)pending, change);

    if (kept == NULL) {
        return false;
    }
    *expires_ms_out =
        kept->kind == CLI_CHANGE_SET ? kept->expires_ms : KVSTORE_EXPIRES_NEVER;
    return true;
}

/* Puts a change into the batch. One that has expired since it was read is none
 * any more. */
static kvstore_status add_to_batch(const struct cli_pending *pending,
                                   const struct cli_kept *kept,
                                   int64_t now_ms)
{
    const char *key = pending->bytes + kept->offset;

    if (kept->kind == CLI_CHANGE_REMOVE ||
        (kept->expires_ms > 0 && kept->expires_ms <= now_ms)) {
        return kvstore_batch_remove(pending->batch, key, kept->key_size);
    }
    return kvstore_batch_set(pending->batch,
                             key,
                             kept->key_size,
                             key + kept->key_size,
                             kept->value_size,
                             kept->expires_ms);
}

/* The same where only a key that is not there may be set: nothing is added for
 * others, nor for removes. */
static kvstore_status add_if_absent(struct cli_pending *pending,
                                    struct cli_kept *kept,
                                    const kvstore *store,
                                    int64_t now_ms)
{
    const char *key = pending->bytes + kept->offset;
    bool is_wanted =
        kept->kind == CLI_CHANGE_SET &&
        (kept->expires_ms <= 0 || kept->expires_ms > now_ms) &&
        kvstore_exists(store, key, kept->key_size) == KVSTORE_NOT_FOUND;

    if (!is_wanted) {
        return KVSTORE_OK;
    }
    kvstore_status status = kvstore_batch_require(
        pending->batch, key, kept->key_size, KVSTORE_IF_ABSENT, NULL, 0);
    return status == KVSTORE_OK ? add_to_batch(pending, kept, now_ms) : status;
}

/* Orders by key, and those of one key from the first one to the last. */
struct sorted {
    const char *key;
    size_t key_size;
    size_t index;
};

static int compare(const void *left, const void *right)
{
    const struct sorted *one = left;
    const struct sorted *other = right;
    size_t size =
        one->key_size < other->key_size ? one->key_size : other->key_size;
    int order = memcmp(one->key, other->key, size);

    if (order == 0 && one->key_size != other->key_size) {
        return one->key_size < other->key_size ? -1 : 1;
    }
    if (order == 0) {
        return one->index < other->index ? -1 : 1;
    }
    return order;
}

/* Leaves of several sets of one key the first one. */
static void keep_first(struct cli_pending *pending)
{
    struct sorted sorted[CLI_PENDING_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < pending->count; i++) {
        if (pending->kept[i].kind == CLI_CHANGE_SET) {
            sorted[count++] =
                (struct sorted){.key = pending->bytes + pending->kept[i].offset,
                                .key_size = pending->kept[i].key_size,
                                .index = i};
        }
    }
    /* cppcheck-suppress uninitvar; qsort looks at count elements */
    qsort(sorted, count, sizeof(sorted[0]), compare);
    for (size_t i = 1; i < count; i++) {
        if (sorted[i].key_size == sorted[i - 1].key_size &&
            memcmp(sorted[i].key, sorted[i - 1].key, sorted[i].key_size) == 0) {
            pending->kept[sorted[i].index].kind = CLI_CHANGE_NOTHING;
        }
    }
}

static kvstore_status make_batch(struct cli_pending *pending,
                                 const kvstore *store)
{
    int64_t now_ms = kvstore_now_ms();
    kvstore_status status = KVSTORE_OK;

    kvstore_batch_clear(pending->batch);
    for (size_t i = 0; status == KVSTORE_OK && i < pending->count; i++) {
        struct cli_kept *kept = &pending->kept[i];
        status = pending->if_absent
                     ? add_if_absent(pending, kept, store, now_ms)
                     : add_to_batch(pending, kept, now_ms);
    }
    return status;
}

/* True if one of them has expired meanwhile. */
static bool has_expired(const struct cli_pending *pending)
{
    int64_t now_ms = kvstore_now_ms();

    for (size_t i = 0; i < pending->count; i++) {
        if (pending->kept[i].expires_ms > 0 &&
            pending->kept[i].expires_ms <= now_ms) {
            return true;
        }
    }
    return false;
}

kvstore_status cli_pending_write(struct cli_pending *pending, kvstore *store)
{
    kvstore_status status = KVSTORE_OK;
    bool again = pending->count > 0;

    if (pending->if_absent) {
        keep_first(pending);
    }
    while (again) {
        status = make_batch(pending, store);
        if (status == KVSTORE_OK) {
            status = kvstore_write(store, pending->batch);
        }
        /* Somebody has set one of the keys, or one has expired, since the batch
         * was made. */
        again = (status == KVSTORE_CONFLICT && pending->if_absent) ||
                (status == KVSTORE_INVALID && has_expired(pending));
    }
    pending->count = 0;
    pending->size = 0;
    return status;
}
