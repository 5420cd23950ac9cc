/* SPDX-License-Identifier: MIT */

/* Changes, replayed into an array. */

#include "replay.h"

#include "known_store.h"

#include <string.h>

static kvstore_watcher *create(const kvstore *store,
                               const kvstore_watch_options *options)
{
    kvstore_watcher *watcher = NULL;
    assert_int_equal(kvstore_watcher_create(store, options, &watcher),
                     KVSTORE_OK);
    assert_non_null(watcher);
    return watcher;
}

kvstore_watcher *watch(const kvstore *store)
{
    return create(store, NULL);
}

kvstore_watcher *watch_prefix(const kvstore *store, const char *prefix)
{
    const kvstore_watch_options options = {.size = sizeof options,
                                           .prefix = prefix,
                                           .prefix_size = strlen(prefix)};
    return create(store, &options);
}

kvstore_watcher *watch_from_start(const kvstore *store)
{
    const kvstore_watch_options options = {.from_start = true};
    return create(store, &options);
}

/* --- Single changes --- */

const kvstore_change *next_change(kvstore_watcher *watcher)
{
    const kvstore_change *change = NULL;
    /* The names of the pair's files are checked every 10 ms. */
    kvstore_status status = kvstore_watcher_next(watcher, 1000, &change);
    assert_int_equal(status, KVSTORE_OK);
    assert_non_null(change);
    return change;
}

void expect_kind(kvstore_watcher *watcher, int kind)
{
    const kvstore_change *change = next_change(watcher);
    assert_int_equal(change->kind, kind);
    assert_null(change->entry);
    assert_int_equal(change->batch_left, 0);
}

static const kvstore_entry *expect_key(const kvstore_change *change,
                                       int kind,
                                       const char *key)
{
    assert_int_equal(change->kind, kind);
    assert_non_null(change->entry);
    assert_int_equal(change->entry->key_size, strlen(key));
    assert_string_equal(change->entry->key, key);
    return change->entry;
}

void expect_set_of_batch(kvstore_watcher *watcher,
                         const char *key,
                         const char *value,
                         uint32_t left)
{
    const kvstore_change *change = next_change(watcher);
    const kvstore_entry *entry = expect_key(change, KVSTORE_CHANGE_SET, key);
    assert_int_equal(entry->status, KVSTORE_OK);
    assert_int_equal(entry->value_size, strlen(value));
    assert_string_equal(entry->value, value);
    assert_int_equal(change->batch_left, left);
}

void expect_set(kvstore_watcher *watcher, const char *key, const char *value)
{
    expect_set_of_batch(watcher, key, value, 0);
}

static void expect_no_value(const kvstore_entry *entry, kvstore_status status)
{
    assert_int_equal(entry->status, status);
    assert_null(entry->value);
    assert_int_equal(entry->value_size, 0);
}

void expect_remove(kvstore_watcher *watcher, const char *key)
{
    expect_no_value(
        expect_key(next_change(watcher), KVSTORE_CHANGE_REMOVE, key),
        KVSTORE_NOT_FOUND);
}

void expect_broken(kvstore_watcher *watcher,
                   const char *key,
                   kvstore_status status)
{
    expect_no_value(expect_key(next_change(watcher), KVSTORE_CHANGE_SET, key),
                    status);
}

void expect_nothing(kvstore_watcher *watcher)
{
    const kvstore_change *change = NULL;
    assert_int_equal(kvstore_watcher_next(watcher, 30, &change),
                     KVSTORE_NOT_FOUND);
    assert_null(change);
}

/* --- Replaying --- */

static struct replay_key *find_key(struct replay *replay,
                                   const kvstore_entry *entry)
{
    assert_true(entry->key_size < REPLAY_KEY_SIZE);
    for (size_t i = 0; i < replay->count; i++) {
        if (strcmp(replay->keys[i].key, entry->key) == 0) {
            return &replay->keys[i];
        }
    }
    assert_true(replay->count < REPLAY_KEYS);
    struct replay_key *key = &replay->keys[replay->count++];
    memset(key, 0, sizeof *key);
    memcpy(key->key, entry->key, entry->key_size);
    return key;
}

static void replay_entry(struct replay *replay, const kvstore_change *change)
{
    const kvstore_entry *entry = change->entry;
    struct replay_key *key = find_key(replay, entry);
    if (replay->is_resetting) {
        assert_int_equal(change->kind, KVSTORE_CHANGE_SET);
        assert_false(key->is_new);
        key->is_new = true;
    }
    if (replay->batch_left > 0) {
        assert_int_equal(change->batch_left, replay->batch_left - 1);
    }
    replay->batch_left = change->batch_left;
    key->is_there = change->kind == KVSTORE_CHANGE_SET;
    key->status = entry->status;
    key->expires_ms = entry->expires_ms;
    if (entry->value != NULL) {
        assert_true(entry->value_size < sizeof key->value);
        memcpy(key->value, entry->value, entry->value_size);
        key->value[entry->value_size] = '\0';
    }
}

void replay_change(struct replay *replay, const kvstore_change *change)
{
    replay->changes++;
    switch (change->kind) {
    case KVSTORE_CHANGE_RESET:
        replay->count = 0;
        replay->resets++;
        replay->is_resetting = true;
        replay->batch_left = 0;
        break;
    case KVSTORE_CHANGE_CURRENT:
        assert_true(replay->is_resetting);
        replay->is_resetting = false;
        break;
    default:
        replay_entry(replay, change);
        break;
    }
}

void replay_all(struct replay *replay, kvstore_watcher *watcher)
{
    const kvstore_change *change = NULL;
    kvstore_status status = KVSTORE_OK;
    do {
        status = kvstore_watcher_next(watcher, 30, &change);
        if (status == KVSTORE_OK) {
            replay_change(replay, change);
        }
    } while (status == KVSTORE_OK);
    assert_int_equal(status, KVSTORE_NOT_FOUND);
    assert_false(replay->is_resetting);
    assert_int_equal(replay->batch_left, 0);
}

static bool count_key(void *context, const void *key, size_t key_size)
{
    size_t *count = context;
    (*count)++;
    (void)key;
    (void)key_size;
    return true;
}

/* What a test lets expire has expired long ago, or does so in a long time. */
static bool is_there_now(const struct replay_key *key)
{
    return key->is_there &&
           (key->expires_ms == 0 || key->expires_ms > INT64_C(2000000000000));
}

static void assert_key(const struct replay_key *key, const kvstore *store)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status =
        kvstore_get(store, key->key, strlen(key->key), &value, &size);
    assert_int_equal(status,
                     is_there_now(key) ? key->status : KVSTORE_NOT_FOUND);
    if (status == KVSTORE_OK) {
        assert_string_equal(value, key->value);
    }
    kvstore_free(value);
}

void assert_replayed_prefix(const struct replay *replay,
                            const kvstore *store,
                            const char *prefix)
{
    size_t listed = 0;
    size_t there = 0;
    for (size_t i = 0; i < replay->count; i++) {
        assert_key(&replay->keys[i], store);
        there += is_there_now(&replay->keys[i]) ? 1 : 0;
    }
    assert_int_equal(
        kvstore_list(store, prefix, strlen(prefix), count_key, &listed),
        KVSTORE_OK);
    assert_int_equal(listed, there);
}

void assert_replayed(const struct replay *replay, const kvstore *store)
{
    assert_replayed_prefix(replay, store, "");
}
