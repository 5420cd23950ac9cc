/* SPDX-License-Identifier: MIT */

/* tdb, Samba's store: with its fcntl locks, so that several processes may
 * write, and without any (TDB_NOLOCK). Durable sets are transactions, the only
 * thing that tdb syncs. A process can open a file only once, for one thread. */

#include "store.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>
#include <tdb.h>

enum { LOCKED, UNLOCKED };

struct store {
    struct tdb_context *tdb;
    bool is_durable;
};

static bool check(const struct store *store, int result)
{
    return result == 0 || bench_fail("%s", tdb_errorstr(store->tdb));
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    char path[PATH_MAX];
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL ||
        !bench_path(path, sizeof path, settings->dir, "store.tdb")) {
        free(made);
        return false;
    }
    /* One record for each chain, since the number of chains never changes. */
    int chains = (int)(settings->keys + 131);
    int flags = TDB_INCOMPATIBLE_HASH;
    flags |= settings->variant == UNLOCKED ? TDB_NOLOCK : 0;
    flags |= settings->is_durable ? 0 : TDB_NOSYNC;
    made->is_durable = settings->is_durable;
    made->tdb = tdb_open(path, chains, flags, O_RDWR | O_CREAT, 0600);
    if (made->tdb == NULL) {
        free(made);
        return bench_fail("it does not open");
    }
    *store_out = made;
    return true;
}

static void close_store(void *argument)
{
    struct store *store = argument;
    (void)tdb_close(store->tdb);
    free(store);
}

static TDB_DATA bytes(const char *data, size_t size)
{
    return (TDB_DATA){.dptr = (unsigned char *)data, .dsize = size};
}

static bool put(struct store *store, const char *key, const char *value)
{
    return check(store,
                 tdb_store(store->tdb,
                           bytes(key, BENCH_KEY_SIZE),
                           bytes(value, BENCH_VALUE_SIZE),
                           TDB_REPLACE));
}

static bool set(void *argument, const char *key, const char *value)
{
    struct store *store = argument;
    if (!store->is_durable) {
        return put(store, key, value);
    }
    return check(store, tdb_transaction_start(store->tdb)) &&
           put(store, key, value) &&
           check(store, tdb_transaction_commit(store->tdb));
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct store *store = argument;
    bool is_done = check(store, tdb_transaction_start(store->tdb));
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = put(store, pairs[i].key, pairs[i].value);
    }
    return is_done && check(store, tdb_transaction_commit(store->tdb));
}

static int take(TDB_DATA key, TDB_DATA data, void *value_out)
{
    (void)key;
    return (int)bench_take_value(data.dptr, data.dsize, value_out);
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    int result = tdb_parse_record(
        store->tdb, bytes(key, BENCH_KEY_SIZE), take, value_out);
    if (result == -1) {
        return tdb_error(store->tdb) == TDB_ERR_NOEXIST ? BENCH_MISSING
                                                        : BENCH_FAILED;
    }
    return (enum bench_answer)result;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    return check(store, tdb_delete(store->tdb, bytes(key, BENCH_KEY_SIZE)));
}

struct scan {
    bench_visit visit;
    void *context;
};

static int visit_one(struct tdb_context *tdb,
                     TDB_DATA key,
                     TDB_DATA data,
                     void *argument)
{
    (void)tdb;
    struct scan *scan = argument;
    scan->visit(scan->context, key.dptr, data.dptr);
    return 0;
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    struct store *store = argument;
    struct scan each = {.visit = visit, .context = context};
    return tdb_traverse_read(store->tdb, visit_one, &each) >= 0 ||
           check(store, -1);
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {"tdbtool",
                      command->text[0],
                      task->value != NULL ? "store" : "show",
                      task->key,
                      task->value}};
    *command = made;
    (void)bench_path(
        command->text[0], sizeof command->text[0], task->dir, "store.tdb");
}

#define TDB_COMMON \
    .family = "tdb", .open = open_store, .close = close_store, .set = set, \
    .get = get, .remove = remove_key, .set_batch = set_batch, .scan = scan, \
    .survives_kill = "every set"

static const struct bench_store locked = {
    .name = "tdb",
    .variant = LOCKED,
    .shares_writing = true,
    .survives_power_cut = "transactions alone; else nothing promised",
    .writers = "any number of processes",
    .tool = tool,
    TDB_COMMON};

static const struct bench_store unlocked = {
    .name = "tdb-nolock",
    .variant = UNLOCKED,
    .survives_power_cut = "transactions alone; else nothing promised",
    .writers = "one process, and nothing keeps others out",
    TDB_COMMON};

const struct bench_store *const tdb_stores[] = {&locked, &unlocked, NULL};
