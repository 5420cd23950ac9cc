/* SPDX-License-Identifier: MIT */

/* kvstore itself, through its public header: the handle that shares the store
 * with other writers, which is the default, and the exclusive one. */

#include "store.h"
#include <kvstore.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED, EXCLUSIVE };

static bool check(kvstore_status status)
{
    return status == KVSTORE_OK || bench_fail("%s: %s",
                                              kvstore_strerror(status),
                                              kvstore_last_error()->message);
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync =
        settings->is_durable ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    options.exclusive = settings->is_alone || settings->variant == EXCLUSIVE;
    options.lock_timeout_ms = 60000;
    if (settings->compacts_by_order) {
        options.compaction = KVSTORE_COMPACT_MANUAL;
    }
    kvstore *store = NULL;
    bool is_open = check(kvstore_open(settings->dir, &options, &store));
    *store_out = store;
    return is_open;
}

static void close_store(void *store)
{
    kvstore_close(store);
}

static bool set(void *session, const char *key, const char *value)
{
    return check(
        kvstore_set(session, key, BENCH_KEY_SIZE, value, BENCH_VALUE_SIZE));
}

static enum bench_answer get(void *session, const char *key, char *value_out)
{
    size_t size = 0;
    kvstore_status status = kvstore_get_into(
        session, key, BENCH_KEY_SIZE, value_out, BENCH_VALUE_SIZE, &size);
    if (status == KVSTORE_NOT_FOUND) {
        return BENCH_MISSING;
    }
    if (!check(status) || size != BENCH_VALUE_SIZE) {
        bench_fail("a value of %zu bytes", size);
        return BENCH_FAILED;
    }
    return BENCH_FOUND;
}

static bool take_item(const kvstore_item *item, char *value_out)
{
    return check(item->status) &&
           bench_take_value(item->value, item->value_size, value_out) ==
               BENCH_FOUND;
}

static bool get_many(void *session,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    kvstore_item items[BENCH_MANY];
    for (size_t i = 0; i < BENCH_MANY; i++) {
        items[i] = (kvstore_item){.key = keys[i], .key_size = BENCH_KEY_SIZE};
    }
    if (!check(kvstore_get_many(session, items, BENCH_MANY))) {
        return false;
    }
    bool are_found = true;
    for (size_t i = 0; i < BENCH_MANY; i++) {
        are_found = are_found && take_item(&items[i], values_out[i]);
        kvstore_free(items[i].value);
    }
    return are_found;
}

/* --- A scan: all keys, and then their values, sixteen at a time --- */

struct scan {
    void *session;
    bench_visit visit;
    void *context;
    char (*all)[BENCH_KEY_SIZE];
    size_t all_count;
    size_t all_room;
};

static bool keep_key(void *context, const void *key, size_t key_size)
{
    struct scan *scan = context;
    if (scan->all_count == scan->all_room) {
        size_t room = scan->all_room == 0 ? 1024 : 2 * scan->all_room;
        void *all = realloc(scan->all, room * sizeof *scan->all);
        if (all == NULL) {
            return bench_fail("no memory for the keys");
        }
        scan->all = all;
        scan->all_room = room;
    }
    if (key_size != BENCH_KEY_SIZE) {
        return bench_fail("a key of %zu bytes", key_size);
    }
    memcpy(scan->all[scan->all_count++], key, BENCH_KEY_SIZE);
    return true;
}

static bool visit_some(const struct scan *scan, size_t first, size_t count)
{
    kvstore_item items[BENCH_MANY];
    for (size_t i = 0; i < count; i++) {
        items[i] = (kvstore_item){.key = scan->all[first + i],
                                  .key_size = BENCH_KEY_SIZE};
    }
    if (!check(kvstore_get_many(scan->session, items, count))) {
        return false;
    }
    bool are_found = true;
    for (size_t i = 0; i < count; i++) {
        are_found = are_found && check(items[i].status);
        if (are_found) {
            scan->visit(scan->context, items[i].key, items[i].value);
        }
        kvstore_free(items[i].value);
    }
    return are_found;
}

static bool scan_all(void *session, bench_visit visit, void *context)
{
    struct scan scan = {.session = session, .visit = visit, .context = context};
    bool is_done = check(kvstore_list(session, NULL, 0, keep_key, &scan));
    for (size_t i = 0; is_done && i < scan.all_count; i += BENCH_MANY) {
        size_t left = scan.all_count - i;
        is_done = visit_some(&scan, i, left < BENCH_MANY ? left : BENCH_MANY);
    }
    free(scan.all);
    return is_done;
}

static bool remove_key(void *session, const char *key)
{
    return check(kvstore_remove(session, key, BENCH_KEY_SIZE));
}

static bool compact(void *session)
{
    return check(kvstore_compact(session));
}

static bool index_bytes(void *session, uint64_t *bytes_out)
{
    kvstore_stats stats;
    if (!check(kvstore_get_stats(session, &stats))) {
        return false;
    }
    *bytes_out = stats.index_bytes;
    return true;
}

static bool counters(void *session, struct bench_counters *counters_out)
{
    kvstore_stats stats;
    if (!check(kvstore_get_stats(session, &stats))) {
        return false;
    }
    *counters_out = (struct bench_counters){.compactions = stats.compactions,
                                            .log_bytes = stats.log_bytes,
                                            .live_bytes = stats.live_bytes,
                                            .index_bytes = stats.index_bytes};
    return true;
}

static void let_compact(void *session, bool may_compact)
{
    kvstore_set_compaction_threshold(session, may_compact ? 0 : UINT64_MAX);
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {KVSTORE_PROGRAM,
                      "--data-dir",
                      task->dir,
                      "--sync",
                      "none",
                      task->value != NULL ? "set" : "get",
                      task->key,
                      task->value}};
    *command = made;
}

static const char *version(void)
{
    return kvstore_version();
}

#define KVSTORE_COMMON \
    .family = "kvstore", .version = version, .is_ours = true, \
    .has_threads = true, .survives_kill = "every set", \
    .index_file = "store.index", .log_file = "store.log", \
    .new_log_file = "store.log.compact", .counters = counters, \
    .let_compact = let_compact, .open = open_store, .close = close_store, \
    .set = set, .get = get, .get_many = get_many, .remove = remove_key, \
    .compact = compact, .index_bytes = index_bytes, .scan = scan_all

static const struct bench_store shared = {
    .name = "kvstore",
    .variant = SHARED,
    .shares_writing = true,
    .survives_power_cut = "what was synced; the rest is told by its sums",
    .writers = "any number of processes",
    .tool = tool,
    KVSTORE_COMMON};

static const struct bench_store exclusive = {
    .name = "kvstore-exclusive",
    .variant = EXCLUSIVE,
    .survives_power_cut = "what was synced; the rest is told by its sums",
    .writers = "one process; others read",
    KVSTORE_COMMON};

const struct bench_store *const kvstore_stores[] = {&shared, &exclusive, NULL};
