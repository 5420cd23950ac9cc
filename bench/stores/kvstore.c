/* SPDX-License-Identifier: MIT */

/* kvstore itself, through its public header: the handle that shares the store
 * with other writers, which is the default, and the exclusive one. */

#include "store.h"
#include <kvstore.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED, EXCLUSIVE };

/* A thread's batch is used again and again, as by a program that loads many. */
struct session {
    kvstore *store;
    kvstore_batch *batch;
};

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

static bool connect_session(void *store, void **session_out)
{
    struct session *made = calloc(1, sizeof *made);
    if (made == NULL || !check(kvstore_batch_create(&made->batch))) {
        free(made);
        return false;
    }
    made->store = store;
    *session_out = made;
    return true;
}

static void disconnect_session(void *argument)
{
    struct session *session = argument;
    kvstore_batch_free(session->batch);
    free(session);
}

static bool set(void *argument, const char *key, const char *value)
{
    struct session *session = argument;
    return check(kvstore_set(
        session->store, key, BENCH_KEY_SIZE, value, BENCH_VALUE_SIZE));
}

static bool set_expiring(void *argument, const char *key, const char *value)
{
    struct session *session = argument;
    const kvstore_set_options options = {.expires_ms = kvstore_now_ms() +
                                                       BENCH_LIFETIME_MS};
    return check(kvstore_set_with(session->store,
                                  key,
                                  BENCH_KEY_SIZE,
                                  value,
                                  BENCH_VALUE_SIZE,
                                  &options));
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct session *session = argument;
    kvstore_batch_clear(session->batch);
    bool is_done = true;
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = check(kvstore_batch_set(session->batch,
                                          pairs[i].key,
                                          BENCH_KEY_SIZE,
                                          pairs[i].value,
                                          BENCH_VALUE_SIZE,
                                          KVSTORE_EXPIRES_NEVER));
    }
    return is_done && check(kvstore_write(session->store, session->batch));
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct session *session = argument;
    size_t size = 0;
    kvstore_status status = kvstore_get_into(session->store,
                                             key,
                                             BENCH_KEY_SIZE,
                                             value_out,
                                             BENCH_VALUE_SIZE,
                                             &size);
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

static bool get_many(void *argument,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    struct session *session = argument;
    kvstore_item items[BENCH_MANY];
    for (size_t i = 0; i < BENCH_MANY; i++) {
        items[i] = (kvstore_item){.key = keys[i], .key_size = BENCH_KEY_SIZE};
    }
    if (!check(kvstore_get_many(session->store, items, BENCH_MANY))) {
        return false;
    }
    bool are_found = true;
    for (size_t i = 0; i < BENCH_MANY; i++) {
        are_found = are_found && take_item(&items[i], values_out[i]);
        kvstore_free(items[i].value);
    }
    return are_found;
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct session *session = argument;
    const kvstore_range range = {.prefix = prefix, .prefix_size = size};
    kvstore_iterator *iterator = NULL;
    kvstore_status status =
        kvstore_iterator_create(session->store, &range, &iterator);
    bool is_sound = true;
    while (status == KVSTORE_OK && is_sound) {
        const kvstore_entry *entry = NULL;
        status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_OK) {
            is_sound = check(entry->status);
        }
        if (status == KVSTORE_OK && is_sound) {
            visit(context, entry->key, entry->value);
        }
    }
    kvstore_iterator_free(iterator);
    return is_sound && (status == KVSTORE_NOT_FOUND || check(status));
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return scan_prefix(argument, "", 0, visit, context);
}

static bool remove_key(void *argument, const char *key)
{
    struct session *session = argument;
    return check(kvstore_remove(session->store, key, BENCH_KEY_SIZE));
}

static bool compact(void *argument)
{
    struct session *session = argument;
    return check(kvstore_compact(session->store));
}

static bool index_bytes(void *argument, uint64_t *bytes_out)
{
    struct session *session = argument;
    kvstore_stats stats;
    if (!check(kvstore_get_stats(session->store, &stats))) {
        return false;
    }
    *bytes_out = stats.index_bytes;
    return true;
}

static bool counters(void *argument, struct bench_counters *counters_out)
{
    struct session *session = argument;
    kvstore_stats stats;
    if (!check(kvstore_get_stats(session->store, &stats))) {
        return false;
    }
    *counters_out = (struct bench_counters){.compactions = stats.compactions,
                                            .log_bytes = stats.log_bytes,
                                            .live_bytes = stats.live_bytes,
                                            .index_bytes = stats.index_bytes};
    return true;
}

static void let_compact(void *argument, bool may_compact)
{
    struct session *session = argument;
    kvstore_set_compaction_threshold(session->store,
                                     may_compact ? 0 : UINT64_MAX);
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
    .has_threads = true, .has_order = true, .survives_kill = "every set", \
    .index_file = "store.index", .log_file = "store.log", \
    .new_log_file = "store.log.compact", .counters = counters, \
    .let_compact = let_compact, .open = open_store, .close = close_store, \
    .connect = connect_session, .disconnect = disconnect_session, .set = set, \
    .set_expiring = set_expiring, .set_batch = set_batch, .get = get, \
    .get_many = get_many, .remove = remove_key, .compact = compact, \
    .index_bytes = index_bytes, .scan = scan, .scan_prefix = scan_prefix

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
