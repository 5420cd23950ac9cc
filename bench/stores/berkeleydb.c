/* SPDX-License-Identifier: MIT */

/* Berkeley DB: a B-tree in an environment with transactions, which several
 * processes may share. Each set is a transaction, whose log is written
 * (DB_TXN_WRITE_NOSYNC), and synced if sets must be durable. */

#include "store.h"

#include <db.h>
#include <stddef.h>
#include <stdlib.h>

#define LOCK_COUNT_MAX 20000u

struct store {
    DB_ENV *env;
    DB *db;
};

static bool check(int error)
{
    return error == 0 || bench_fail("%s", db_strerror(error));
}

static void close_store(void *argument)
{
    struct store *store = argument;
    if (store->db != NULL) {
        (void)store->db->close(store->db, 0);
    }
    if (store->env != NULL) {
        (void)store->env->close(store->env, 0);
    }
    free(store);
}

static bool open_environment(const struct bench_settings *settings, DB_ENV *env)
{
    uint64_t cache = bench_cache_bytes(settings);
    const uint32_t gigabyte = (uint32_t)1 << 30;
    const uint32_t flags = DB_CREATE | DB_INIT_MPOOL | DB_INIT_TXN |
                           DB_INIT_LOCK | DB_INIT_LOG | DB_THREAD |
                           DB_REGISTER | DB_RECOVER;
    return check(env->set_cachesize(env,
                                    (uint32_t)(cache / gigabyte),
                                    (uint32_t)(cache % gigabyte),
                                    1)) &&
           check(env->set_lk_detect(env, DB_LOCK_DEFAULT)) &&
           check(env->set_lk_max_locks(env, LOCK_COUNT_MAX)) &&
           check(env->set_lk_max_objects(env, LOCK_COUNT_MAX)) &&
           check(env->set_flags(
               env, DB_TXN_WRITE_NOSYNC, !settings->is_durable)) &&
           check(env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1)) &&
           check(env->open(env, settings->dir, flags, 0600));
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return false;
    }
    const uint32_t flags = DB_CREATE | DB_THREAD | DB_AUTO_COMMIT;
    if (!check(db_env_create(&made->env, 0)) ||
        !open_environment(settings, made->env) ||
        !check(db_create(&made->db, made->env, 0)) ||
        !check(made->db->open(
            made->db, NULL, "store.db", NULL, DB_BTREE, flags, 0600))) {
        close_store(made);
        return false;
    }
    *store_out = made;
    return true;
}

static DBT bytes(const char *data, uint32_t size)
{
    return (DBT){.data = (void *)data, .size = size};
}

static int put(struct store *store,
               DB_TXN *txn,
               const char *key,
               const char *value)
{
    DBT name = bytes(key, BENCH_KEY_SIZE);
    DBT content = bytes(value, BENCH_VALUE_SIZE);
    return store->db->put(store->db, txn, &name, &content, 0);
}

static bool set(void *argument, const char *key, const char *value)
{
    int error = DB_LOCK_DEADLOCK;
    /* In a deadlock, one of the threads has to try again. */
    while (error == DB_LOCK_DEADLOCK) {
        error = put(argument, NULL, key, value);
    }
    return check(error);
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct store *store = argument;
    DB_TXN *txn = NULL;
    bool is_done = check(store->env->txn_begin(store->env, NULL, &txn, 0));
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = check(put(store, txn, pairs[i].key, pairs[i].value));
    }
    return is_done && check(txn->commit(txn, 0));
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct store *store = argument;
    DBT name = bytes(key, BENCH_KEY_SIZE);
    DBT content = {
        .data = value_out, .ulen = BENCH_VALUE_SIZE, .flags = DB_DBT_USERMEM};
    int error = store->db->get(store->db, NULL, &name, &content, 0);
    if (error == DB_NOTFOUND) {
        return BENCH_MISSING;
    }
    if (!check(error) || content.size != BENCH_VALUE_SIZE) {
        bench_fail("a value of %u bytes", (unsigned)content.size);
        return BENCH_FAILED;
    }
    return BENCH_FOUND;
}

static bool remove_key(void *argument, const char *key)
{
    struct store *store = argument;
    DBT name = bytes(key, BENCH_KEY_SIZE);
    return check(store->db->del(store->db, NULL, &name, 0));
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct store *store = argument;
    DBC *cursor = NULL;
    if (!check(store->db->cursor(store->db, NULL, &cursor, 0))) {
        return false;
    }
    char key_bytes[BENCH_KEY_SIZE];
    memcpy(key_bytes, prefix, size);
    char value_bytes[BENCH_VALUE_SIZE];
    DBT key = {.data = key_bytes,
               .size = (uint32_t)size,
               .ulen = sizeof key_bytes,
               .flags = DB_DBT_USERMEM};
    DBT value = {.data = value_bytes,
                 .ulen = sizeof value_bytes,
                 .flags = DB_DBT_USERMEM};
    int error = cursor->get(cursor, &key, &value, DB_SET_RANGE);
    while (error == 0 && memcmp(key_bytes, prefix, size) == 0) {
        visit(context, key_bytes, value_bytes);
        error = cursor->get(cursor, &key, &value, DB_NEXT);
    }
    (void)cursor->close(cursor);
    return error == DB_NOTFOUND || check(error);
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return scan_prefix(argument, "", 0, visit, context);
}

static const char *version(void)
{
    int major;
    int minor;
    int patch;
    (void)db_version(&major, &minor, &patch);
    return bench_version(major, minor, patch);
}

static const struct bench_store berkeley = {
    .name = "berkeleydb",
    .family = "berkeleydb",
    .version = version,
    .shares_writing = true,
    .has_threads = true,
    .has_order = true,
    .is_faster_in_batch = true,
    .survives_kill = "every set, once recovery has run",
    .survives_power_cut = "what was synced, once recovery has run",
    .writers = "any number of processes",
    .open = open_store,
    .close = close_store,
    .set = set,
    .get = get,
    .remove = remove_key,
    .set_batch = set_batch,
    .scan = scan,
    .scan_prefix = scan_prefix};

const struct bench_store *const berkeleydb_stores[] = {&berkeley, NULL};
