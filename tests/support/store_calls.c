/* SPDX-License-Identifier: MIT */

/* Public calls with checked outcomes. */

#include "store_calls.h"

#include <string.h>

kvstore_options plain_options(void)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    return options;
}

kvstore *open_with(const struct store_dir *dir, const kvstore_options *options)
{
    kvstore *store = NULL;
    assert_int_equal(kvstore_open(dir->path, options, &store), KVSTORE_OK);
    assert_non_null(store);
    return store;
}

kvstore *open_plain(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    return open_with(dir, &options);
}

kvstore_status try_set(kvstore *store, const char *key, const char *value)
{
    return kvstore_set(store, key, strlen(key), value, strlen(value));
}

kvstore_status try_get(const kvstore *store, const char *key)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(store, key, strlen(key), &value, &size);
    kvstore_free(value);
    return status;
}

void must_set(kvstore *store, const char *key, const char *value)
{
    assert_int_equal(try_set(store, key, value), KVSTORE_OK);
}

void must_remove(kvstore *store, const char *key)
{
    assert_int_equal(kvstore_remove(store, key, strlen(key)), KVSTORE_OK);
}

void must_compact(kvstore *store)
{
    assert_int_equal(kvstore_compact(store), KVSTORE_OK);
}

void assert_value(const kvstore *store, const char *key, const char *value)
{
    void *found = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, key, strlen(key), &found, &size),
                     KVSTORE_OK);
    assert_int_equal(size, strlen(value));
    assert_string_equal(found, value);
    kvstore_free(found);
}

void assert_absent(const kvstore *store, const char *key)
{
    assert_int_equal(try_get(store, key), KVSTORE_NOT_FOUND);
}

void assert_corrupt(const kvstore *store, const char *key, uint64_t offset)
{
    assert_int_equal(try_get(store, key), KVSTORE_CORRUPT);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_CORRUPT);
    assert_int_equal(kvstore_last_error()->offset, offset);
}

kvstore_stats checked_stats(const kvstore *store)
{
    kvstore_stats stats;
    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
    assert_int_equal(stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                         stats.damaged_bytes,
                     stats.log_bytes);
    return stats;
}
