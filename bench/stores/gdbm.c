/* SPDX-License-Identifier: MIT */

/* GNU dbm. One thread at a time may use it. Durable sets are followed by
 * gdbm_sync(). */

#include "store.h"

#include <gdbm.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct store {
    GDBM_FILE file;
    bool is_durable;
};

static bool check(int result)
{
    return result == 0 || bench_fail("%s", gdbm_strerror(gdbm_errno));
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    char path[PATH_MAX];
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL ||
        !bench_path(path, sizeof path, settings->dir, "store.gdbm")) {
        free(made);
        return false;
    }
    made->is_durable = settings->is_durable;
    made->file = gdbm_open(path, 0, GDBM_WRCREAT, 0600, NULL);
    if (made->file == NULL) {
        free(made);
        return check(-1);
    }
    *store_out = made;
    return true;
}

static void close_store(void *argument)
{
    struct store *store = argument;
    (void)gdbm_close(store->file);
    free(store);
}

static datum bytes(const char *data, int size)
{
    return (datum){.dptr = (char *)data, .dsize = size};
}

static bool set(void *argument, const char *key, const char *value)
{
    struct store *store = argument;
    return check(gdbm_store(store->file,
                            bytes(key, BENCH_KEY_SIZE),
                            bytes(value, BENCH_VALUE_SIZE),
                            GDBM_REPLACE)) &&
           (!store->is_durable || check(gdbm_sync(store->file)));
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    datum value = gdbm_fetch(store->file, bytes(key, BENCH_KEY_SIZE));
    if (value.dptr == NULL) {
        return gdbm_errno == GDBM_ITEM_NOT_FOUND ? BENCH_MISSING : BENCH_FAILED;
    }
    enum bench_answer answer =
        bench_take_value(value.dptr, (size_t)value.dsize, value_out);
    free(value.dptr);
    return answer;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    return check(gdbm_delete(store->file, bytes(key, BENCH_KEY_SIZE)));
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    struct store *store = argument;
    datum key = gdbm_firstkey(store->file);
    while (key.dptr != NULL) {
        datum value = gdbm_fetch(store->file, key);
        if (value.dptr != NULL) {
            visit(context, key.dptr, value.dptr);
        }
        free(value.dptr);
        datum next = gdbm_nextkey(store->file, key);
        free(key.dptr);
        key = next;
    }
    return true;
}

static bool compact(void *argument)
{
    struct store *store = argument;
    return check(gdbm_reorganize(store->file));
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {"gdbmtool",
                      command->text[0],
                      task->value != NULL ? "store" : "fetch",
                      task->key,
                      task->value}};
    *command = made;
    (void)bench_path(
        command->text[0], sizeof command->text[0], task->dir, "store.gdbm");
}

static const char *version(void)
{
    return bench_version(
        gdbm_version_number[0], gdbm_version_number[1], gdbm_version_number[2]);
}

static const struct bench_store gdbm = {
    .name = "gdbm",
    .family = "gdbm",
    .version = version,
    .survives_kill = "every set",
    .survives_power_cut = "nothing promised unless every set is synced",
    .writers = "one process; others are locked out",
    .open = open_store,
    .close = close_store,
    .set = set,
    .get = get,
    .remove = remove_key,
    .scan = scan,
    .compact = compact,
    .tool = tool};

const struct bench_store *const gdbm_stores[] = {&gdbm, NULL};
