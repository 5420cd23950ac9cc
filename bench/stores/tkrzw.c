/* SPDX-License-Identifier: MIT */

/* Tkrzw's hash database, with two buckets for each key that it will hold.
 * Durable sets are followed by a hard synchronisation. A batch is one call for
 * several keys, which other threads see whole, but which is no transaction: what
 * a killed process had set of it stays. */

#include "store.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tkrzw_langc.h>

struct store {
    TkrzwDBM *dbm;
    bool is_durable;
};

static bool check(bool result)
{
    return result || bench_fail("%s", tkrzw_get_last_status_message());
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    char path[PATH_MAX];
    char parameters[100];
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL ||
        !bench_path(path, sizeof path, settings->dir, "store.tkh")) {
        free(made);
        return false;
    }
    (void)snprintf(parameters,
                   sizeof parameters,
                   "dbm=HashDBM,num_buckets=%llu",
                   (unsigned long long)settings->keys * 2 + 1);
    made->is_durable = settings->is_durable;
    made->dbm = tkrzw_dbm_open(path, true, parameters);
    if (!check(made->dbm != NULL)) {
        free(made);
        return false;
    }
    *store_out = made;
    return true;
}

static void close_store(void *argument)
{
    struct store *store = argument;
    (void)tkrzw_dbm_close(store->dbm);
    free(store);
}

static bool set(void *argument, const char *key, const char *value)
{
    struct store *store = argument;
    return check(tkrzw_dbm_set(store->dbm,
                               key,
                               BENCH_KEY_SIZE,
                               value,
                               BENCH_VALUE_SIZE,
                               true)) &&
           (!store->is_durable ||
            check(tkrzw_dbm_synchronize(store->dbm, true, NULL, NULL, "")));
}

/* The value that a record gets. */
static const char *give_value(void *argument,
                              const char *key,
                              int32_t key_size,
                              const char *value,
                              int32_t value_size,
                              int32_t *size_out)
{
    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
    const struct bench_pair *pair = argument;
    *size_out = BENCH_VALUE_SIZE;
    return pair->value;
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct store *store = argument;
    TkrzwKeyProcPair *each = calloc(count, sizeof *each);
    if (each == NULL) {
        return bench_fail("no memory for a batch");
    }
    for (size_t i = 0; i < count; i++) {
        each[i] = (TkrzwKeyProcPair){.key_ptr = pairs[i].key,
                                     .key_size = BENCH_KEY_SIZE,
                                     .proc = give_value,
                                     .proc_arg = (void *)&pairs[i]};
    }
    bool is_done =
        check(tkrzw_dbm_process_multi(store->dbm, each, (int32_t)count, true));
    free(each);
    return is_done;
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    int32_t size = 0;
    char *value = tkrzw_dbm_get(store->dbm, key, BENCH_KEY_SIZE, &size);
    if (value == NULL) {
        return tkrzw_get_last_status_code() == TKRZW_STATUS_NOT_FOUND_ERROR
                   ? BENCH_MISSING
                   : BENCH_FAILED;
    }
    enum bench_answer answer = bench_take_value(value, (size_t)size, value_out);
    free(value);
    return answer;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    return check(tkrzw_dbm_remove(store->dbm, key, BENCH_KEY_SIZE));
}

struct scan {
    bench_visit visit;
    void *context;
};

static const char *visit_one(void *argument,
                             const char *key,
                             int32_t key_size,
                             const char *value,
                             int32_t value_size,
                             int32_t *size_out)
{
    (void)value_size;
    (void)size_out;
    struct scan *scan = argument;
    /* It also calls before the first record and after the last. */
    if (key_size == BENCH_KEY_SIZE && value != NULL) {
        scan->visit(scan->context, key, value);
    }
    return TKRZW_REC_PROC_NOOP;
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    struct store *store = argument;
    struct scan each = {.visit = visit, .context = context};
    return check(tkrzw_dbm_process_each(store->dbm, visit_one, &each, false));
}

static bool compact(void *argument)
{
    struct store *store = argument;
    return check(tkrzw_dbm_rebuild(store->dbm, ""));
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {"tkrzw_dbm_util",
                      task->value != NULL ? "set" : "get",
                      command->text[0],
                      task->key,
                      task->value}};
    *command = made;
    (void)bench_path(
        command->text[0], sizeof command->text[0], task->dir, "store.tkh");
}

static const char *version(void)
{
    return TKRZW_PACKAGE_VERSION;
}

static const struct bench_store tkrzw = {
    .name = "tkrzw",
    .family = "tkrzw",
    .version = version,
    .has_threads = true,
    .survives_kill = "every set; opening it repairs it",
    .survives_power_cut = "nothing promised; no checksums",
    .writers = "one process; others are locked out",
    .open = open_store,
    .close = close_store,
    .set = set,
    .get = get,
    .remove = remove_key,
    .set_batch = set_batch,
    .scan = scan,
    .compact = compact,
    .tool = tool};

const struct bench_store *const tkrzw_stores[] = {&tkrzw, NULL};
