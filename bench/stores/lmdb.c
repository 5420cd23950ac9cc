/* SPDX-License-Identifier: MIT */

/* LMDB in the two modes that do not sync for each set: MDB_NOSYNC, which writes
 * pages with pwrite, and MDB_NOSYNC with MDB_WRITEMAP, which changes them in
 * the map. If sets must be durable, MDB_NOSYNC is left out. Each get has a read
 * transaction of its own, since the other stores' gets see the newest value. */

#include "store.h"

#include <lmdb.h>
#include <stddef.h>
#include <stdlib.h>

enum { PLAIN, WRITEMAP };

struct environment {
    MDB_env *env;
    MDB_dbi dbi;
};

struct session {
    struct environment *environment;
    MDB_txn *reader;
};

static bool check(int error)
{
    return error == 0 || bench_fail("%s", mdb_strerror(error));
}

static bool open_database(struct environment *made)
{
    MDB_txn *txn = NULL;
    return check(mdb_txn_begin(made->env, NULL, 0, &txn)) &&
           check(mdb_dbi_open(txn, NULL, 0, &made->dbi)) &&
           check(mdb_txn_commit(txn));
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    struct environment *made = calloc(1, sizeof *made);
    if (made == NULL || !check(mdb_env_create(&made->env))) {
        free(made);
        return false;
    }
    /* Pages are half empty after random sets, and emptier while they split. */
    size_t map_size = ((size_t)1 << 28) + (size_t)settings->keys * 1024;
    unsigned flags = MDB_NOTLS;
    flags |= settings->variant == WRITEMAP ? MDB_WRITEMAP : 0;
    flags |= settings->is_durable ? 0 : MDB_NOSYNC;
    if (!check(mdb_env_set_mapsize(made->env, map_size)) ||
        !check(mdb_env_open(made->env, settings->dir, flags, 0600)) ||
        !open_database(made)) {
        mdb_env_close(made->env);
        free(made);
        return false;
    }
    *store_out = made;
    return true;
}

static void close_store(void *store)
{
    struct environment *environment = store;
    mdb_env_close(environment->env);
    free(environment);
}

static bool connect_session(void *store, void **session_out)
{
    struct session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return false;
    }
    made->environment = store;
    if (!check(mdb_txn_begin(
            made->environment->env, NULL, MDB_RDONLY, &made->reader))) {
        free(made);
        return false;
    }
    mdb_txn_reset(made->reader);
    *session_out = made;
    return true;
}

static void disconnect_session(void *argument)
{
    struct session *session = argument;
    mdb_txn_abort(session->reader);
    free(session);
}

static MDB_val bytes(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)data};
}

static bool put(MDB_txn *txn, MDB_dbi dbi, const char *key, const char *value)
{
    MDB_val name = bytes(key, BENCH_KEY_SIZE);
    MDB_val content = bytes(value, BENCH_VALUE_SIZE);
    return check(mdb_put(txn, dbi, &name, &content, 0));
}

static bool set(void *argument, const char *key, const char *value)
{
    struct session *session = argument;
    MDB_txn *txn = NULL;
    return check(mdb_txn_begin(session->environment->env, NULL, 0, &txn)) &&
           put(txn, session->environment->dbi, key, value) &&
           check(mdb_txn_commit(txn));
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct session *session = argument;
    MDB_txn *txn = NULL;
    if (!check(mdb_txn_begin(session->environment->env, NULL, 0, &txn))) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!put(
                txn, session->environment->dbi, pairs[i].key, pairs[i].value)) {
            return false;
        }
    }
    return check(mdb_txn_commit(txn));
}

static enum bench_answer get_within(struct session *session,
                                    const char *key,
                                    char *value_out)
{
    MDB_val name = bytes(key, BENCH_KEY_SIZE);
    MDB_val content;
    int error =
        mdb_get(session->reader, session->environment->dbi, &name, &content);
    if (error == MDB_NOTFOUND) {
        return BENCH_MISSING;
    }
    if (!check(error)) {
        return BENCH_FAILED;
    }
    return bench_take_value(content.mv_data, content.mv_size, value_out);
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct session *session = argument;
    if (!check(mdb_txn_renew(session->reader))) {
        return BENCH_FAILED;
    }
    enum bench_answer answer = get_within(session, key, value_out);
    mdb_txn_reset(session->reader);
    return answer;
}

static bool get_many(void *argument,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    struct session *session = argument;
    bool are_found = check(mdb_txn_renew(session->reader));
    for (size_t i = 0; are_found && i < BENCH_MANY; i++) {
        are_found = get_within(session, keys[i], values_out[i]) == BENCH_FOUND;
    }
    mdb_txn_reset(session->reader);
    return are_found;
}

static bool remove_key(void *argument, const char *key)
{
    struct session *session = argument;
    MDB_val name = bytes(key, BENCH_KEY_SIZE);
    MDB_txn *txn = NULL;
    return check(mdb_txn_begin(session->environment->env, NULL, 0, &txn)) &&
           check(mdb_del(txn, session->environment->dbi, &name, NULL)) &&
           check(mdb_txn_commit(txn));
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct session *session = argument;
    MDB_cursor *cursor = NULL;
    bool is_open = check(mdb_txn_renew(session->reader)) &&
                   check(mdb_cursor_open(
                       session->reader, session->environment->dbi, &cursor));
    MDB_val key = bytes(prefix, size);
    MDB_val value;
    MDB_cursor_op where = size > 0 ? MDB_SET_RANGE : MDB_FIRST;
    int error =
        is_open ? mdb_cursor_get(cursor, &key, &value, where) : MDB_NOTFOUND;
    while (error == 0 && memcmp(key.mv_data, prefix, size) == 0) {
        visit(context, key.mv_data, value.mv_data);
        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(session->reader);
    return is_open && (error == MDB_NOTFOUND || check(error));
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return scan_prefix(argument, "", 0, visit, context);
}

/* LMDB has no command that reads or sets one key: this is a program of our
 * own. */
static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {LMDB_PROGRAM, task->dir, task->key, task->value}};
    *command = made;
}

static const char *version(void)
{
    int major;
    int minor;
    int patch;
    (void)mdb_version(&major, &minor, &patch);
    return bench_version(major, minor, patch);
}

#define LMDB_COMMON \
    .family = "lmdb", .shares_writing = true, .has_threads = true, \
    .has_order = true, .is_faster_in_batch = true, \
    .survives_kill = "every set", .writers = "any number of processes", \
    .open = open_store, .close = close_store, .connect = connect_session, \
    .disconnect = disconnect_session, .set = set, .get = get, \
    .remove = remove_key, .set_batch = set_batch, .get_many = get_many, \
    .scan = scan, .scan_prefix = scan_prefix

static const struct bench_store plain = {
    .name = "lmdb",
    .version = version,
    .variant = PLAIN,
    .survives_power_cut = "nothing promised unless every set is synced",
    .tool = tool,
    LMDB_COMMON};

static const struct bench_store writemap = {
    .name = "lmdb-writemap",
    .version = version,
    .variant = WRITEMAP,
    .survives_power_cut = "nothing promised unless every set is synced",
    LMDB_COMMON};

const struct bench_store *const lmdb_stores[] = {&plain, &writemap, NULL};
