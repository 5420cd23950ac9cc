/* SPDX-License-Identifier: MIT */

/* LevelDB: a cache for all blocks, Bloom filters of ten bits, no compression,
 * since no other store here compresses, and a write buffer of 64 MiB. */

#include "store.h"

#include <leveldb/c.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
};

static bool check(char *error)
{
    if (error == NULL) {
        return true;
    }
    bench_fail("%s", error);
    leveldb_free(error);
    return false;
}

static void close_store(void *argument)
{
    struct store *store = argument;
    if (store->db != NULL) {
        leveldb_close(store->db);
    }
    leveldb_writeoptions_destroy(store->write);
    leveldb_readoptions_destroy(store->read);
    leveldb_options_destroy(store->options);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_cache_destroy(store->cache);
    free(store);
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return false;
    }
    made->cache = leveldb_cache_create_lru((size_t)bench_cache_bytes(settings));
    made->filter = leveldb_filterpolicy_create_bloom(10);
    made->read = leveldb_readoptions_create();
    made->write = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(made->write, settings->is_durable);
    made->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(made->options, 1);
    leveldb_options_set_cache(made->options, made->cache);
    leveldb_options_set_filter_policy(made->options, made->filter);
    leveldb_options_set_compression(made->options, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(made->options, (size_t)64 << 20);

    char path[PATH_MAX];
    char *error = NULL;
    if (bench_path(path, sizeof path, settings->dir, "store")) {
        made->db = leveldb_open(made->options, path, &error);
    }
    if (!check(error) || made->db == NULL) {
        close_store(made);
        return false;
    }
    *store_out = made;
    return true;
}

static bool set(void *argument, const char *key, const char *value)
{
    struct store *store = argument;
    char *error = NULL;
    leveldb_put(store->db,
                store->write,
                key,
                BENCH_KEY_SIZE,
                value,
                BENCH_VALUE_SIZE,
                &error);
    return check(error);
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct store *store = argument;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        leveldb_writebatch_put(batch,
                               pairs[i].key,
                               BENCH_KEY_SIZE,
                               pairs[i].value,
                               BENCH_VALUE_SIZE);
    }
    char *error = NULL;
    leveldb_write(store->db, store->write, batch, &error);
    leveldb_writebatch_destroy(batch);
    return check(error);
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    char *error = NULL;
    size_t size = 0;
    char *value =
        leveldb_get(store->db, store->read, key, BENCH_KEY_SIZE, &size, &error);
    if (!check(error)) {
        return BENCH_FAILED;
    }
    if (value == NULL) {
        return BENCH_MISSING;
    }
    enum bench_answer answer = bench_take_value(value, size, value_out);
    leveldb_free(value);
    return answer;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    char *error = NULL;
    leveldb_delete(store->db, store->write, key, BENCH_KEY_SIZE, &error);
    return check(error);
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct store *store = argument;
    leveldb_iterator_t *iterator =
        leveldb_create_iterator(store->db, store->read);
    leveldb_iter_seek(iterator, prefix, size);
    while (leveldb_iter_valid(iterator)) {
        size_t length;
        const char *key = leveldb_iter_key(iterator, &length);
        if (memcmp(key, prefix, size) != 0) {
            break;
        }
        visit(context, key, leveldb_iter_value(iterator, &length));
        leveldb_iter_next(iterator);
    }
    char *error = NULL;
    leveldb_iter_get_error(iterator, &error);
    leveldb_iter_destroy(iterator);
    return check(error);
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return scan_prefix(argument, "", 0, visit, context);
}

static bool compact(void *argument)
{
    struct store *store = argument;
    leveldb_compact_range(store->db, NULL, 0, NULL, 0);
    return true;
}

static const char *version(void)
{
    return bench_version(leveldb_major_version(), leveldb_minor_version(), 0);
}

static const struct bench_store level = {
    .name = "leveldb",
    .family = "leveldb",
    .version = version,
    .has_threads = true,
    .has_order = true,
    .is_faster_in_batch = true,
    .survives_kill = "every set",
    .survives_power_cut = "what was synced; the rest is told by its sums",
    .writers = "one process; others are locked out",
    .open = open_store,
    .close = close_store,
    .set = set,
    .get = get,
    .remove = remove_key,
    .set_batch = set_batch,
    .scan = scan,
    .scan_prefix = scan_prefix,
    .compact = compact};

const struct bench_store *const leveldb_stores[] = {&level, NULL};
