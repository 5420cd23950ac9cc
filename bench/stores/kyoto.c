/* SPDX-License-Identifier: MIT */

/* Kyoto Cabinet's hash database, with one bucket for each key that it will
 * hold, and a map as large as the file, which is not the default. Its batches
 * are transactions. */

#include "store.h"

#include <kclangc.h>
#include <stddef.h>
#include <stdio.h>

static bool check(KCDB *db, int result)
{
    return result != 0 || bench_fail("%s", kcdbemsg(db));
}

static bool open_store(const struct bench_settings *settings, void **store_out)
{
    char path[4096];
    int length = snprintf(path,
                          sizeof path,
                          "%s/store.kch#bnum=%llu#msiz=%llu",
                          settings->dir,
                          (unsigned long long)settings->keys * 2 + 1,
                          (unsigned long long)bench_cache_bytes(settings));
    if (length < 0 || (size_t)length >= sizeof path) {
        return bench_fail("the path is too long");
    }
    KCDB *db = kcdbnew();
    uint32_t mode = KCOWRITER | KCOCREATE;
    mode |= settings->is_durable ? (uint32_t)KCOAUTOSYNC : 0;
    if (!check(db, kcdbopen(db, path, mode))) {
        kcdbdel(db);
        return false;
    }
    *store_out = db;
    return true;
}

static void close_store(void *store)
{
    (void)kcdbclose(store);
    kcdbdel(store);
}

static bool set(void *session, const char *key, const char *value)
{
    return check(
        session,
        kcdbset(session, key, BENCH_KEY_SIZE, value, BENCH_VALUE_SIZE));
}

static bool set_batch(void *session,
                      const struct bench_pair *pairs,
                      size_t count)
{
    bool is_done = check(session, kcdbbegintran(session, 0));
    for (size_t i = 0; is_done && i < count; i++) {
        is_done = set(session, pairs[i].key, pairs[i].value);
    }
    return is_done && check(session, kcdbendtran(session, 1));
}

static enum bench_answer get(void *session, const char *key, char *value_out)
{
    int32_t size =
        kcdbgetbuf(session, key, BENCH_KEY_SIZE, value_out, BENCH_VALUE_SIZE);
    if (size == BENCH_VALUE_SIZE) {
        return BENCH_FOUND;
    }
    if (size == -1 && kcdbecode(session) == KCENOREC) {
        return BENCH_MISSING;
    }
    bench_fail("a value of %d bytes", (int)size);
    return BENCH_FAILED;
}

/* It returns the records in an order of its own, and one record for a key that
 * is asked for twice. */
static bool take_record(const KCREC *records,
                        int64_t count,
                        const char *key,
                        char *value_out)
{
    for (int64_t i = 0; i < count; i++) {
        if (records[i].key.size == BENCH_KEY_SIZE &&
            memcmp(records[i].key.buf, key, BENCH_KEY_SIZE) == 0) {
            return bench_take_value(records[i].value.buf,
                                    records[i].value.size,
                                    value_out) == BENCH_FOUND;
        }
    }
    return bench_fail("a key that was set is not there");
}

static bool get_many(void *session,
                     const char (*keys)[BENCH_KEY_SIZE],
                     char (*values_out)[BENCH_VALUE_SIZE])
{
    KCSTR names[BENCH_MANY];
    KCREC records[BENCH_MANY];
    for (size_t i = 0; i < BENCH_MANY; i++) {
        names[i] = (KCSTR){.buf = (char *)keys[i], .size = BENCH_KEY_SIZE};
    }
    int64_t count = kcdbgetbulk(session, names, BENCH_MANY, records, 0);
    bool are_found = true;
    for (size_t i = 0; are_found && i < BENCH_MANY; i++) {
        are_found = take_record(records, count, keys[i], values_out[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        kcfree(records[i].key.buf);
        kcfree(records[i].value.buf);
    }
    return are_found;
}

static bool remove_key(void *session, const char *key)
{
    return check(session, kcdbremove(session, key, BENCH_KEY_SIZE));
}

struct scan {
    bench_visit visit;
    void *context;
};

static const char *visit_one(const char *key,
                             size_t key_size,
                             const char *value,
                             size_t value_size,
                             size_t *size_out,
                             void *argument)
{
    (void)key_size;
    (void)value_size;
    (void)size_out;
    struct scan *scan = argument;
    scan->visit(scan->context, key, value);
    return KCVISNOP;
}

static bool scan(void *session, bench_visit visit, void *context)
{
    struct scan each = {.visit = visit, .context = context};
    return check(session, kcdbiterate(session, visit_one, &each, 0));
}

static void tool(const struct bench_task *task, struct bench_command *command)
{
    const struct bench_command made = {
        .arguments = {"kchashmgr",
                      task->value != NULL ? "set" : "get",
                      command->text[0],
                      task->key,
                      task->value}};
    *command = made;
    (void)bench_path(
        command->text[0], sizeof command->text[0], task->dir, "store.kch");
}

static const char *version(void)
{
    return KCVERSION;
}

static const struct bench_store kyoto = {
    .name = "kyoto",
    .family = "kyoto",
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
    .get_many = get_many,
    .scan = scan,
    .tool = tool};

const struct bench_store *const kyoto_stores[] = {&kyoto, NULL};
