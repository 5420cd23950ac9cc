/* SPDX-License-Identifier: MIT */

/* What a store does on a disk that fails or is full, step by step. The first
 * call of a sort fails; test_fault_pass.c lets every one fail. */

#include "any_status.h"
#include "fault_table.h"
#include "kvstore.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct disk {
    char path[SCRATCH_PATH_SIZE];
    kvstore *store;
};

static kvstore_status set(kvstore *store, const char *key, const char *value)
{
    return kvstore_set(store, key, strlen(key), value, strlen(value));
}

static void assert_value(const kvstore *store,
                         const char *key,
                         const char *expected)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(store, key, strlen(key), &value, &size);
    if (expected == NULL) {
        assert_int_equal(status, KVSTORE_NOT_FOUND);
    } else {
        assert_int_equal(status, KVSTORE_OK);
        assert_string_equal(value, expected);
    }
    kvstore_free(value);
}

static size_t log_size(const struct disk *disk)
{
    size_t size = 0;
    free(scratch_read(disk->path, "store.log", &size));
    return size;
}

/* Opens a store with one key. */
static int set_up(void **state)
{
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        return -1;
    }
    scratch_make(disk->path);
    fault_table_install();
    *state = disk;
    return kvstore_open(disk->path, NULL, &disk->store) == KVSTORE_OK &&
                   set(disk->store, "a", "old") == KVSTORE_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct disk *disk = *state;
    kvstore_close(disk->store);
    fault_table_uninstall();
    scratch_remove(disk->path);
    free(disk);
    return 0;
}

static void fail_next(enum fault_call call, int error, enum fault_effect effect)
{
    static struct fault_kind kind;
    kind = (struct fault_kind){.name = "planned",
                               .calls = FAULT_BIT(call),
                               .error = error,
                               .effect = effect};
    fault_table_plan(&kind, 1, false);
}

/* --- A sync that fails --- */

static void failed_sync_is_not_acknowledged(void **state)
{
    struct disk *disk = *state;
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);

    kvstore_status status = set(disk->store, "a", "new");

    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    assert_value(disk->store, "a", "old");
}

static void line_of_a_failed_sync_is_cut(void **state)
{
    struct disk *disk = *state;
    size_t size = log_size(disk);
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);

    (void)set(disk->store, "a", "new");

    assert_int_equal(log_size(disk), size);
}

static void writes_after_a_failed_sync_are_refused(void **state)
{
    struct disk *disk = *state;
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);
    (void)set(disk->store, "a", "new");
    uint64_t writes = fault_table_calls(FAULT_PWRITE);

    assert_int_equal(set(disk->store, "b", "1"), KVSTORE_IO);
    assert_int_equal(kvstore_remove(disk->store, "a", 1), KVSTORE_IO);
    assert_int_equal(kvstore_sync(disk->store), KVSTORE_IO);
    assert_int_equal(fault_table_calls(FAULT_PWRITE), writes);
}

static void failed_sync_is_never_tried_again(void **state)
{
    struct disk *disk = *state;
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);
    (void)set(disk->store, "a", "new");
    uint64_t syncs = fault_table_calls(FAULT_FDATASYNC);

    (void)set(disk->store, "b", "1");
    any_status(kvstore_sync(disk->store));
    assert_value(disk->store, "a", "old");
    assert_value(disk->store, "b", NULL);

    assert_int_equal(fault_table_calls(FAULT_FDATASYNC), syncs);
}

static void reads_go_on_after_a_failed_sync(void **state)
{
    struct disk *disk = *state;
    kvstore *fresh = NULL;
    assert_int_equal(kvstore_open(disk->path, NULL, &fresh), KVSTORE_OK);
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);

    kvstore_status status = set(fresh, "b", "1");

    assert_int_equal(status, KVSTORE_IO);
    assert_value(fresh, "a", "old");
    assert_value(fresh, "b", NULL);
    kvstore_close(fresh);
}

static void compaction_heals_a_failed_sync(void **state)
{
    struct disk *disk = *state;
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);
    (void)set(disk->store, "a", "new");

    assert_int_equal(kvstore_compact(disk->store), KVSTORE_OK);

    assert_value(disk->store, "a", "old");
    assert_int_equal(set(disk->store, "a", "new"), KVSTORE_OK);
    assert_int_equal(kvstore_sync(disk->store), KVSTORE_OK);
    assert_value(disk->store, "a", "new");
}

static void failed_sync_of_a_mended_end_is_not_forgotten(void **state)
{
    struct disk *disk = *state;
    static const char torn[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n{\"Se";
    kvstore_close(disk->store);
    scratch_write(disk->path, "store.log", torn, sizeof torn - 1);
    assert_int_equal(kvstore_open(disk->path, NULL, &disk->store), KVSTORE_OK);
    fail_next(FAULT_FDATASYNC, EIO, FAULT_NOTHING_DONE);

    assert_int_equal(set(disk->store, "b", "1"), KVSTORE_IO);

    assert_int_equal(set(disk->store, "b", "1"), KVSTORE_IO);
    assert_int_equal(kvstore_compact(disk->store), KVSTORE_OK);
    assert_int_equal(set(disk->store, "b", "1"), KVSTORE_OK);
    assert_value(disk->store, "a", "1");
}

static void failed_directory_sync_after_compaction_is_told(void **state)
{
    struct disk *disk = *state;
    struct fault_kind kind = {
        .name = "one fsync", .calls = FAULT_BIT(FAULT_FSYNC), .error = EIO};
    /* The sync of the new log, and that of the directory before the switch. */
    for (uint64_t number = 1; number <= 2; number++) {
        fault_table_plan(&kind, number, false);
        assert_int_equal(kvstore_compact(disk->store),
                         KVSTORE_COMPACTION_FAILED);
        assert_int_equal(set(disk->store, "a", "old"), KVSTORE_OK);
    }
    fault_table_plan(&kind, 3, false);

    kvstore_status status = kvstore_compact(disk->store);

    assert_int_equal(status, KVSTORE_IO);
    assert_value(disk->store, "a", "old");
    assert_int_equal(set(disk->store, "a", "new"), KVSTORE_IO);
    assert_int_equal(kvstore_compact(disk->store), KVSTORE_OK);
    assert_int_equal(set(disk->store, "a", "new"), KVSTORE_OK);
    fault_table_plan(NULL, 0, false);
}

static void debt_of_a_dead_compactor_is_paid_once(void **state)
{
    struct disk *disk = *state;
    kvstore *other = NULL;
    uint64_t syncs = fault_table_calls(FAULT_FSYNC);
    assert_int_equal(kvstore_open(disk->path, NULL, &other), KVSTORE_OK);
    assert_int_equal(set(other, "a", "1"), KVSTORE_OK);
    assert_int_equal(fault_table_calls(FAULT_FSYNC), syncs);
    kvstore_close(other);
    kvstore_close(disk->store);
    char path[SCRATCH_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/store.index", disk->path);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(kvstore_open(disk->path, NULL, &disk->store), KVSTORE_OK);
    assert_int_equal(set(disk->store, "a", "2"), KVSTORE_OK);
    assert_int_equal(set(disk->store, "a", "3"), KVSTORE_OK);

    assert_int_equal(fault_table_calls(FAULT_FSYNC), syncs + 1);
}

/* --- A disk that is full --- */

static void half_written_line_is_cut_back(void **state)
{
    struct disk *disk = *state;
    size_t size = log_size(disk);
    fail_next(FAULT_PWRITE, ENOSPC, FAULT_HALF_THEN_FAIL);

    kvstore_status status = set(disk->store, "a", "new");

    assert_int_equal(status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_int_equal(log_size(disk), size);
    assert_value(disk->store, "a", "old");
}

static void next_set_works_once_there_is_space(void **state)
{
    struct disk *disk = *state;
    fail_next(FAULT_PWRITE, ENOSPC, FAULT_HALF_THEN_FAIL);
    (void)set(disk->store, "a", "new");

    assert_int_equal(set(disk->store, "a", "new"), KVSTORE_OK);

    assert_value(disk->store, "a", "new");
}

static void line_that_cannot_be_cut_back_is_cut_by_the_next_set(void **state)
{
    struct disk *disk = *state;
    struct fault_kind kind = {.name = "full and broken",
                              .calls = FAULT_BIT(FAULT_PWRITE) |
                                       FAULT_BIT(FAULT_FTRUNCATE),
                              .error = ENOSPC,
                              .effect = FAULT_HALF_THEN_FAIL};
    size_t size = log_size(disk);
    fault_table_plan(&kind, 1, true);
    assert_int_equal(set(disk->store, "a", "new"), KVSTORE_IO);
    fault_table_plan(NULL, 0, false);
    assert_true(log_size(disk) > size);

    assert_int_equal(set(disk->store, "b", "1"), KVSTORE_OK);

    assert_value(disk->store, "a", "old");
    assert_value(disk->store, "b", "1");
}

/* Runs the rest of this test, in a process that has the limit: no cmocka
 * there. */
static int work_at_the_limit(const char *path, size_t limit_bytes)
{
    struct rlimit limit = {.rlim_cur = limit_bytes, .rlim_max = RLIM_INFINITY};
    kvstore *store = NULL;
    void *value = NULL;
    size_t size = 0;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        kvstore_open(path, NULL, &store) != KVSTORE_OK) {
        return 2;
    }
    if (set(store, "a", "a value that does not fit") != KVSTORE_IO ||
        kvstore_last_error()->system_errno != EFBIG) {
        return 3;
    }
    if (kvstore_get(store, "a", 1, &value, &size) != KVSTORE_OK ||
        strcmp(value, "old") != 0) {
        return 4;
    }
    kvstore_free(value);
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        set(store, "b", "fits again") != KVSTORE_OK) {
        return 5;
    }
    kvstore_close(store);
    return 0;
}

static void file_size_limit_kills_nobody(void **state)
{
    struct disk *disk = *state;
    size_t size = log_size(disk);
    for (size_t room = 0; room < 64; room += 7) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(work_at_the_limit(disk->path, size + room));
        }

        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        size = log_size(disk);
    }
    assert_value(disk->store, "a", "old");
    assert_value(disk->store, "b", "fits again");
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(failed_sync_is_not_acknowledged),
        DISK_TEST(line_of_a_failed_sync_is_cut),
        DISK_TEST(writes_after_a_failed_sync_are_refused),
        DISK_TEST(failed_sync_is_never_tried_again),
        DISK_TEST(reads_go_on_after_a_failed_sync),
        DISK_TEST(compaction_heals_a_failed_sync),
        DISK_TEST(failed_sync_of_a_mended_end_is_not_forgotten),
        DISK_TEST(failed_directory_sync_after_compaction_is_told),
        DISK_TEST(debt_of_a_dead_compactor_is_paid_once),
        DISK_TEST(half_written_line_is_cut_back),
        DISK_TEST(next_set_works_once_there_is_space),
        DISK_TEST(line_that_cannot_be_cut_back_is_cut_by_the_next_set),
        DISK_TEST(file_size_limit_kills_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
