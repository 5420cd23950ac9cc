/* SPDX-License-Identifier: MIT */

/* SQLite: one table without row ids, a write-ahead log, statements prepared
 * once. synchronous is FULL if sets must be durable, else OFF; NORMAL, with a
 * write-ahead log, does not sync each of them. */

#include "store.h"

#include <limits.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct store {
    char path[PATH_MAX];
    uint64_t cache_bytes;
    bool is_durable;
};

enum statement {
    SET,
    GET,
    REMOVE,
    SCAN,
    PREFIX,
    BEGIN,
    COMMIT,
    STATEMENT_COUNT
};

struct session {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

static const char *const texts[STATEMENT_COUNT] = {
    [SET] = "INSERT OR REPLACE INTO pairs VALUES (?, ?)",
    [GET] = "SELECT value FROM pairs WHERE key = ?",
    [REMOVE] = "DELETE FROM pairs WHERE key = ?",
    [SCAN] = "SELECT key, value FROM pairs ORDER BY key",
    [PREFIX] = "SELECT key, value FROM pairs WHERE key >= ? AND key < ?"
               " ORDER BY key",
    [BEGIN] = "BEGIN",
    [COMMIT] = "COMMIT"};

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL ||
        !bench_path(
            made->path, sizeof made->path, settings->dir, "store.sqlite")) {
        free(made);
        return false;
    }
    made->cache_bytes = bench_cache_bytes(settings);
    made->is_durable = settings->is_durable;
    *store_out = made;
    return true;
}

static void close_store(void *store)
{
    free(store);
}

static bool check(struct session *session, int result)
{
    return result == SQLITE_OK || result == SQLITE_ROW ||
           result == SQLITE_DONE ||
           bench_fail("%s", sqlite3_errmsg(session->db));
}

static void disconnect_session(void *argument)
{
    struct session *session = argument;
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(session->statements[i]);
    }
    (void)sqlite3_close(session->db);
    free(session);
}

static bool prepare(const struct store *store, struct session *session)
{
    char text[300];
    (void)snprintf(text,
                   sizeof text,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s;"
                   "PRAGMA cache_size = -%llu;"
                   "CREATE TABLE IF NOT EXISTS pairs"
                   " (key PRIMARY KEY, value) WITHOUT ROWID",
                   store->is_durable ? "FULL" : "OFF",
                   (unsigned long long)(store->cache_bytes >> 10));
    if (!check(session, sqlite3_busy_timeout(session->db, 60000)) ||
        !check(session, sqlite3_exec(session->db, text, NULL, NULL, NULL))) {
        return false;
    }
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        if (!check(session,
                   sqlite3_prepare_v2(session->db,
                                      texts[i],
                                      -1,
                                      &session->statements[i],
                                      NULL))) {
            return false;
        }
    }
    return true;
}

static bool connect_session(void *argument, void **session_out)
{
    const struct store *store = argument;
    struct session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return false;
    }
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (!check(made, sqlite3_open_v2(store->path, &made->db, flags, NULL)) ||
        !prepare(store, made)) {
        disconnect_session(made);
        return false;
    }
    *session_out = made;
    return true;
}

static bool bind(struct session *session,
                 sqlite3_stmt *statement,
                 int place,
                 const char *text,
                 int size)
{
    return check(
        session,
        sqlite3_bind_text(statement, place, text, size, SQLITE_STATIC));
}

/* Runs a statement that returns no rows. */
static bool run(struct session *session, enum statement which)
{
    (void)sqlite3_step(session->statements[which]);
    return check(session, sqlite3_reset(session->statements[which]));
}

static bool set(void *argument, const char *key, const char *value)
{
    struct session *session = argument;
    sqlite3_stmt *statement = session->statements[SET];
    return bind(session, statement, 1, key, BENCH_KEY_SIZE) &&
           bind(session, statement, 2, value, BENCH_VALUE_SIZE) &&
           run(session, SET);
}

static bool set_batch(void *argument,
                      const struct bench_pair *pairs,
                      size_t count)
{
    struct session *session = argument;
    bool is_done = run(session, BEGIN);
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = set(session, pairs[i].key, pairs[i].value);
    }
    return is_done && run(session, COMMIT);
}

static enum bench_answer get(void *argument, const char *key, char *value_out)
{
    struct session *session = argument;
    sqlite3_stmt *statement = session->statements[GET];
    if (!bind(session, statement, 1, key, BENCH_KEY_SIZE)) {
        return BENCH_FAILED;
    }
    enum bench_answer answer = BENCH_MISSING;
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        answer = bench_take_value(sqlite3_column_text(statement, 0),
                                  (size_t)sqlite3_column_bytes(statement, 0),
                                  value_out);
    } else if (!check(session, result)) {
        answer = BENCH_FAILED;
    }
    (void)sqlite3_reset(statement);
    return answer;
}

static bool get_many(void *argument,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    struct session *session = argument;
    bool are_found = run(session, BEGIN);
    for (size_t i = 0; are_found && i < BENCH_MANY; i++) {
        are_found = get(session, keys[i], values_out[i]) == BENCH_FOUND;
    }
    return are_found && run(session, COMMIT);
}

static bool remove_key(void *argument, const char *key)
{
    struct session *session = argument;
    return bind(session, session->statements[REMOVE], 1, key, BENCH_KEY_SIZE) &&
           run(session, REMOVE);
}

static bool visit_rows(struct session *session,
                       enum statement which,
                       bench_visit visit,
                       void *context)
{
    sqlite3_stmt *statement = session->statements[which];
    int result = sqlite3_step(statement);
    while (result == SQLITE_ROW) {
        visit(context,
              sqlite3_column_text(statement, 0),
              sqlite3_column_text(statement, 1));
        result = sqlite3_step(statement);
    }
    (void)sqlite3_reset(statement);
    return check(session, result);
}

static bool scan(void *argument, bench_visit visit, void *context)
{
    return visit_rows(argument, SCAN, visit, context);
}

static bool scan_prefix(void *argument,
                        const char *prefix,
                        size_t size,
                        bench_visit visit,
                        void *context)
{
    struct session *session = argument;
    sqlite3_stmt *statement = session->statements[PREFIX];
    /* Before this key: the last character of a prefix is never the largest. */
    char end[BENCH_KEY_SIZE];
    memcpy(end, prefix, size);
    end[size - 1]++;
    return bind(session, statement, 1, prefix, (int)size) &&
           bind(session, statement, 2, end, (int)size) &&
           visit_rows(session, PREFIX, visit, context);
}

static bool compact(void *argument)
{
    struct session *session = argument;
    return check(session,
                 sqlite3_exec(session->db, "VACUUM", NULL, NULL, NULL));
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    memset(command, 0, sizeof *command);
    (void)bench_path(
        command->text[0], sizeof command->text[0], task->dir, "store.sqlite");
    if (task->value != NULL) {
        (void)snprintf(command->text[1],
                       sizeof command->text[1],
                       "PRAGMA synchronous = OFF;"
                       "INSERT OR REPLACE INTO pairs VALUES ('%s', '%s')",
                       task->key,
                       task->value);
    } else {
        (void)snprintf(command->text[1],
                       sizeof command->text[1],
                       "SELECT value FROM pairs WHERE key = '%s'",
                       task->key);
    }
    command->arguments[0] = "sqlite3";
    command->arguments[1] = command->text[0];
    command->arguments[2] = command->text[1];
}

static const char *version(void)
{
    return sqlite3_libversion();
}

static const struct bench_store sqlite = {
    .name = "sqlite",
    .family = "sqlite",
    .version = version,
    .shares_writing = true,
    .has_threads = true,
    .has_order = true,
    .is_faster_in_batch = true,
    .survives_kill = "every set",
    .survives_power_cut = "nothing promised unless every set is synced",
    .writers = "any number of processes",
    .open = open_store,
    .close = close_store,
    .connect = connect_session,
    .disconnect = disconnect_session,
    .set = set,
    .get = get,
    .remove = remove_key,
    .set_batch = set_batch,
    .get_many = get_many,
    .scan = scan,
    .scan_prefix = scan_prefix,
    .compact = compact,
    .tool = tool};

const struct bench_store *const sqlite_stores[] = {&sqlite, NULL};
