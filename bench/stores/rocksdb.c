/* SPDX-License-Identifier: MIT */

/* RocksDB: a cache for all blocks, Bloom filters of ten bits, no compression,
 * since no other store here compresses, and one more background thread. */

#include "store.h"

#include <limits.h>
#include <rocksdb/c.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
};

static bool check(char *error)
{
    if (error == NULL) {
        return true;
    }
    bench_fail("%s", error);
    rocksdb_free(error);
    return false;
}

/* Keys that expire are dropped by compactions: small buffers have them sooner. */
static rocksdb_t *open_database(const struct bench_settings *settings,
                                rocksdb_options_t *options,
                                const char *path,
                                char **error)
{
    if (!settings->is_expiring) {
        return rocksdb_open(options, path, error);
    }
    rocksdb_options_set_write_buffer_size(options, (size_t)4 << 20);
    return rocksdb_open_with_ttl(
        options, path, BENCH_LIFETIME_MS / 1000, error);
}

static void close_store(void *argument)
{
    struct store *store = argument;
    if (store->db != NULL) {
        rocksdb_close(store->db);
    }
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_readoptions_destroy(store->read);
    rocksdb_options_destroy(store->options);
    rocksdb_cache_destroy(store->cache);
    free(store);
}

/* The options take ownership of what they are given, except the cache. */
static rocksdb_options_t *make_options(rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *table =
        rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    return options;
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return false;
    }
    made->cache = rocksdb_cache_create_lru((size_t)bench_cache_bytes(settings));
    made->options = make_options(made->cache);
    made->read = rocksdb_readoptions_create();
    made->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(made->write, settings->is_durable);

    char path[PATH_MAX];
    char *error = NULL;
    if (bench_path(path, sizeof path, settings->dir, "store")) {
        made->db = open_database(settings, made->options, path, &error);
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
    rocksdb_put(store->db,
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
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        rocksdb_writebatch_put(batch,
                               pairs[i].key,
                               BENCH_KEY_SIZE,
                               pairs[i].value,
                               BENCH_VALUE_SIZE);
    }
    char *error = NULL;
    rocksdb_write(store->db, store->write, batch, &error);
    rocksdb_writebatch_destroy(batch);
    return check(error);
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    char *error = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(store->db, store->read, key, BENCH_KEY_SIZE, &error);
    if (!check(error)) {
        return BENCH_FAILED;
    }
    if (slice == NULL) {
        return BENCH_MISSING;
    }
    size_t size = 0;
    const char *value = rocksdb_pinnableslice_value(slice, &size);
    enum bench_answer answer = bench_take_value(value, size, value_out);
    rocksdb_pinnableslice_destroy(slice);
    return answer;
}

static bool take_each(char **values,
                      const size_t *sizes,
                      char (*values_out)[BENCH_VALUE_SIZE])
{
    bool are_found = true;
    for (size_t i = 0; i < BENCH_MANY; i++) {
        if (values[i] == NULL) {
            are_found = bench_fail("a key that was set is not there");
            continue;
        }
        are_found = bench_take_value(values[i], sizes[i], values_out[i]) ==
                        BENCH_FOUND &&
                    are_found;
        rocksdb_free(values[i]);
    }
    return are_found;
}

static bool get_many(void *argument,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    struct store *store = argument;
    const char *names[BENCH_MANY];
    size_t name_sizes[BENCH_MANY];
    char *values[BENCH_MANY] = {NULL};
    size_t value_sizes[BENCH_MANY];
    char *errors[BENCH_MANY] = {NULL};
    for (size_t i = 0; i < BENCH_MANY; i++) {
        names[i] = keys[i];
        name_sizes[i] = BENCH_KEY_SIZE;
    }
    rocksdb_multi_get(store->db,
                      store->read,
                      BENCH_MANY,
                      names,
                      name_sizes,
                      values,
                      value_sizes,
                      errors);
    bool are_read = true;
    for (size_t i = 0; i < BENCH_MANY; i++) {
        are_read = check(errors[i]) && are_read;
    }
    return take_each(values, value_sizes, values_out) && are_read;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    char *error = NULL;
    rocksdb_delete(store->db, store->write, key, BENCH_KEY_SIZE, &error);
    return check(error);
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct store *store = argument;
    rocksdb_iterator_t *iterator =
        rocksdb_create_iterator(store->db, store->read);
    rocksdb_iter_seek(iterator, prefix, size);
    while (rocksdb_iter_valid(iterator)) {
        size_t length;
        const char *key = rocksdb_iter_key(iterator, &length);
        if (memcmp(key, prefix, size) != 0) {
            break;
        }
        visit(context, key, rocksdb_iter_value(iterator, &length));
        rocksdb_iter_next(iterator);
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    rocksdb_iter_destroy(iterator);
    return check(error);
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return scan_prefix(argument, "", 0, visit, context);
}

static bool compact(void *argument)
{
    struct store *store = argument;
    rocksdb_compact_range(store->db, NULL, 0, NULL, 0);
    return true;
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {"ldb",
                      command->text[0],
                      task->value != NULL ? "put" : "get",
                      task->key,
                      task->value}};
    *command = made;
    (void)snprintf(
        command->text[0], sizeof command->text[0], "--db=%s/store", task->dir);
}

static const struct bench_store rocks = {
    .name = "rocksdb",
    .family = "rocksdb",
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
    .set_expiring = set,
    .set_batch = set_batch,
    .get_many = get_many,
    .scan = scan,
    .scan_prefix = scan_prefix,
    .compact = compact,
    .tool = tool};

const struct bench_store *const rocksdb_stores[] = {&rocks, NULL};
