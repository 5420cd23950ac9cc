/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: backups. */

#include "fault_table.h"
#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "random_log.h"
#include "store_calls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The directory of a backup, in that of the store. */
struct target {
    struct store_dir dir;
};

static void name_target(struct target *target,
                        const struct store_dir *dir,
                        const char *name)
{
    (void)snprintf(target->dir.path,
                   sizeof target->dir.path,
                   "%s",
                   store_dir_path(dir, name));
}

static bool has_file(const struct target *target, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", target->dir.path, name);
    return access(path, F_OK) == 0;
}

static void remove_file(const struct target *target, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", target->dir.path, name);
    (void)remove(path);
}

/* Removes a backup, and its directory. */
static void remove_target(const struct target *target)
{
    remove_file(target, KV_LOG_NAME);
    remove_file(target, KV_INDEX_NAME);
    remove_file(target, KV_LOG_COMPACT_NAME);
    (void)rmdir(target->dir.path);
}

static char *read_log(const struct target *target, size_t *size_out)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", target->dir.path, KV_LOG_NAME);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    char *bytes = calloc(1, 1 << 20);
    assert_non_null(bytes);
    *size_out = fread(bytes, 1, (1 << 20) - 1, stream);
    (void)fclose(stream);
    return bytes;
}

static void assert_target_log(const struct target *target,
                              const struct log_text *text)
{
    size_t size = 0;
    char *bytes = read_log(target, &size);
    assert_int_equal(size, text->size);
    assert_memory_equal(bytes, text->size == 0 ? "" : text->bytes, size);
    free(bytes);
}

static kvstore *open_text(const struct store_dir *dir,
                          const struct log_text *text)
{
    store_dir_write_log(dir, text);
    return open_plain(dir);
}

/* --- What it holds --- */

/* What it means to others is not known: a copy could be a store without it. */
static void record_of_a_newer_version_is_not_copied(void **state)
{
    const struct store_dir *dir = *state;
    static const bool are_in_batch[] = {false, true};
    for (size_t i = 0; i < sizeof are_in_batch / sizeof *are_in_batch; i++) {
        struct target target;
        struct log_text text = LOG_TEXT_EMPTY;
        name_target(&target, dir, "backup");
        log_text_set(&text, "a", "1");
        size_t offset = text.size;
        if (are_in_batch[i]) {
            log_text_batch_set(&text, "b", "1", 2);
            offset = text.size;
            log_text_add(&text, "{\"New\":{\"key\":\"k\",\"batch\":1,");
            log_text_close(&text, offset);
        } else {
            log_text_unknown(&text, "k");
        }
        kvstore *store = open_text(dir, &text);

        assert_int_equal(kvstore_backup(store, target.dir.path),
                         KVSTORE_UNSUPPORTED);

        assert_int_equal(kvstore_last_error()->offset, offset);
        assert_false(has_file(&target, KV_LOG_NAME));
        assert_false(has_file(&target, KV_LOG_COMPACT_NAME));
        log_text_release(&text);
        kvstore_close(store);
        remove_target(&target);
    }
}

static void live_records_are_copied_as_they_are(void **state)
{
    const struct store_dir *dir = *state;
    struct target target;
    struct log_text text = LOG_TEXT_EMPTY;
    struct log_text expected = LOG_TEXT_EMPTY;
    static const char foreign[] =
        "{ \"Set\": {\"val\":\"4\", \"key\":\"ad\"}}\r\n";
    name_target(&target, dir, "backup");
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "2");
    log_text_add(&text, foreign);
    log_text_add(&text, "\n");
    log_text_set(&text, "a", "3");
    log_text_remove(&text, "b");
    log_text_expiring_set(&text, "c", "4", 1000);
    log_text_batch_set(&text, "d", "5", 2);
    log_text_batch_remove(&text, "e", 1);
    log_text_add(&expected, foreign);
    log_text_set(&expected, "a", "3");
    log_text_set(&expected, "d", "5");
    kvstore *store = open_text(dir, &text);

    assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);

    struct stat stat_of;
    assert_target_log(&target, &expected);
    assert_false(has_file(&target, KV_LOG_COMPACT_NAME));
    assert_int_equal(stat(target.dir.path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0700);
    kvstore *copy = open_plain(&target.dir);
    assert_value(copy, "a", "3");
    assert_value(copy, "ad", "4");
    assert_absent(copy, "b");
    must_set(copy, "a", "changed");
    kvstore_close(copy);
    assert_value(store, "a", "3");
    remove_target(&target);
    kvstore_close(store);
    log_text_release(&text);
    log_text_release(&expected);
}

static void empty_store_becomes_an_empty_store(void **state)
{
    struct target target;
    name_target(&target, *state, "one/two");
    kvstore *store = open_plain(*state);

    assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);

    kvstore *copy = open_plain(&target.dir);
    assert_absent(copy, "a");
    kvstore_close(copy);
    remove_target(&target);
    name_target(&target, *state, "one");
    remove_target(&target);
    kvstore_close(store);
}

static void damage_is_carried_along(void **state)
{
    const struct store_dir *dir = *state;
    struct target target;
    struct log_text text = LOG_TEXT_EMPTY;
    struct log_text expected = LOG_TEXT_EMPTY;
    name_target(&target, dir, "backup");
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "1");
    log_text_damaged_set(&text, "b", "2");
    log_text_set(&text, "a", "2");
    log_text_remove(&text, "c");
    log_text_expiring_set(&text, "d", "4", 1000);
    log_text_set(&expected, "b", "1");
    log_text_damaged_set(&expected, "b", "2");
    log_text_set(&expected, "a", "2");
    log_text_remove(&expected, "c");
    log_text_expiring_set(&expected, "d", "4", 1000);
    kvstore *store = open_text(dir, &text);

    assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);

    assert_target_log(&target, &expected);
    remove_target(&target);
    kvstore_close(store);
    log_text_release(&text);
    log_text_release(&expected);
}

/* Of all kinds of damage there are: a backup says of each key what the store
 * says, and has as much damage. */
static void backup_says_what_the_store_says(void **state)
{
    const struct store_dir *dir = *state;
    struct target target;
    kvstore_options options = plain_options();
    options.read_only = true;
    name_target(&target, dir, "backup");
    for (uint64_t seed = 1; seed <= 160; seed++) {
        struct random_log log;
        random_log_make(&log, seed);
        char *bytes = random_log_join(&log);
        store_dir_write(dir, KV_LOG_NAME, bytes, log.size);
        kvstore *store = open_with(dir, &options);

        kvstore_stats stats;
        kvstore_stats copied;
        assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
        bool has_newer = stats.unknown_records > 0;
        assert_int_equal(kvstore_backup(store, target.dir.path),
                         has_newer ? KVSTORE_UNSUPPORTED : KVSTORE_OK);

        kvstore *copy = has_newer ? NULL : open_with(&target.dir, &options);
        for (size_t i = 0; !has_newer && i < RANDOM_LOG_KEYS; i++) {
            assert_int_equal(try_get(copy, random_log_keys[i]),
                             try_get(store, random_log_keys[i]));
        }
        if (!has_newer) {
            assert_int_equal(kvstore_get_stats(copy, &copied), KVSTORE_OK);
            assert_int_equal(copied.damaged_records, stats.damaged_records);
        }
        kvstore_close(copy);
        remove_target(&target);
        kvstore_close(store);
        free(bytes);
        random_log_release(&log);
    }
}

/* --- Beside a writer --- */

static atomic_bool is_over;

static void *write_pairs(void *context)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    kvstore *store = open_with(context, &options);
    for (int i = 1; !atomic_load(&is_over); i++) {
        char value[32];
        (void)snprintf(value, sizeof value, "%d", i);
        must_set(store, "first", value);
        must_set(store, "second", value);
        if (i % 2000 == 0) {
            must_compact(store);
        }
    }
    kvstore_close(store);
    return NULL;
}

static long number_of(const kvstore *store, const char *key)
{
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, key, strlen(key), &value, &size),
                     KVSTORE_OK);
    long number = strtol(value, NULL, 10);
    kvstore_free(value);
    return number;
}

static void backup_is_of_one_moment(void **state)
{
    struct target target;
    pthread_t writer;
    kvstore *store = open_plain(*state);
    must_set(store, "first", "0");
    must_set(store, "second", "0");
    name_target(&target, *state, "backup");
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&writer, NULL, write_pairs, *state), 0);

    for (int i = 0; i < 40; i++) {
        assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);
        kvstore *copy = open_plain(&target.dir);
        long ahead = number_of(copy, "first") - number_of(copy, "second");
        assert_true(ahead == 0 || ahead == 1);
        assert_int_equal(kvstore_verify(copy, NULL, NULL), KVSTORE_OK);
        kvstore_close(copy);
        remove_target(&target);
    }

    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    kvstore_close(store);
}

/* --- Refusals --- */

static void assert_there(const kvstore *store, const struct target *target)
{
    assert_int_equal(kvstore_backup(store, target->dir.path), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, EEXIST);
}

static void touch(const struct target *target, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", target->dir.path, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    (void)fclose(stream);
}

static void directory_with_a_store_is_refused(void **state)
{
    const struct store_dir *dir = *state;
    struct target target;
    struct target own;
    kvstore_options options = plain_options();
    options.exclusive = true;
    kvstore *store = open_with(dir, &options);
    must_set(store, "a", "1");
    name_target(&target, dir, "backup");
    (void)snprintf(own.dir.path, sizeof own.dir.path, "%s", dir->path);
    assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);

    assert_there(store, &own);
    assert_there(store, &target);
    remove_file(&target, KV_LOG_NAME);
    touch(&target, KV_INDEX_NAME);
    assert_there(store, &target);
    remove_file(&target, KV_INDEX_NAME);
    touch(&target, KV_LOG_COMPACT_NAME);
    assert_there(store, &target);
    remove_file(&target, KV_LOG_COMPACT_NAME);
    touch(&target, "notes.txt");
    assert_int_equal(kvstore_backup(store, target.dir.path), KVSTORE_OK);
    remove_file(&target, "notes.txt");
    remove_target(&target);
    assert_int_equal(kvstore_backup(store, ""), KVSTORE_INVALID);
    assert_int_equal(kvstore_backup(store, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_backup(NULL, "x"), KVSTORE_INVALID);
    kvstore_close(store);
}

/* --- Failures --- */

/* One backup, in which the n-th call of a kind fails. False: none was met. */
static bool backs_up_with_fault(kvstore *store,
                                struct target *target,
                                const struct fault_kind *kind,
                                uint64_t n)
{
    int64_t allocations = fault_table_allocations();
    int files = fault_table_open_files();
    fault_table_plan(kind, n, false);
    kvstore_status status = kvstore_backup(store, target->dir.path);
    bool has_fired = fault_table_fired() > 0;
    fault_table_plan(NULL, 0, false);
    assert_int_equal(fault_table_allocations(), allocations);
    assert_int_equal(fault_table_open_files(), files);
    assert_true(status == KVSTORE_OK || has_fired);
    assert_int_equal(has_file(target, KV_LOG_NAME), status == KVSTORE_OK);
    if (status == KVSTORE_OK) {
        kvstore *copy = open_plain(&target->dir);
        assert_value(copy, "a", "2");
        kvstore_close(copy);
    }
    remove_target(target);
    return has_fired;
}

static void failure_leaves_no_store(void **state)
{
    const struct store_dir *dir = *state;
    struct target target;
    name_target(&target, dir, "backup");
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    must_set(store, "a", "2");
    fault_table_install();
    for (size_t i = 0; i < fault_kind_count; i++) {
        uint64_t n = 1;
        while (backs_up_with_fault(store, &target, &fault_kinds[i], n)) {
            n++;
        }
    }
    fault_table_uninstall();
    kv_io_swap_table(kv_io_system_table());
    assert_value(store, "a", "2");
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(record_of_a_newer_version_is_not_copied),
        STORE_TEST(live_records_are_copied_as_they_are),
        STORE_TEST(empty_store_becomes_an_empty_store),
        STORE_TEST(damage_is_carried_along),
        STORE_TEST(backup_says_what_the_store_says),
        STORE_TEST(backup_is_of_one_moment),
        STORE_TEST(directory_with_a_store_is_refused),
        STORE_TEST(failure_leaves_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
