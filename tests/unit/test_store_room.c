/* SPDX-License-Identifier: MIT */

/* Does a killed compactor's leftover, which fills the disk, keep anybody from
 * writing? */

#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/lock.h"
#include "os/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A disk that is full as long as the leftover is there. */
static struct {
    struct kv_io_table table;
    char leftover[300];
    int reason;
} disk;

static bool is_full(void)
{
    bool is_there = access(disk.leftover, F_OK) == 0;
    errno = disk.reason;
    return is_there;
}

static ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return is_full() ? -1
                     : kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

static int full_allocate_blocks(int fd, off_t size)
{
    return is_full() ? -1 : kv_io_system_table()->allocate_blocks(fd, size);
}

static int enter_disk(void **state)
{
    int result = store_dir_set_up(state);
    const struct store_dir *dir = *state;
    (void)snprintf(disk.leftover,
                   sizeof disk.leftover,
                   "%s",
                   store_dir_path(dir, KV_LOG_COMPACT_NAME));
    disk.reason = ENOSPC;
    disk.table = *kv_io_system_table();
    disk.table.pwrite = full_pwrite;
    disk.table.allocate_blocks = full_allocate_blocks;
    kv_io_swap_table(&disk.table);
    return result;
}

static int leave_disk(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

static void fill_disk(const struct store_dir *dir)
{
    store_dir_write(dir, KV_LOG_COMPACT_NAME, "left", 4);
}

static bool is_left(const struct store_dir *dir)
{
    return store_dir_has(dir, KV_LOG_COMPACT_NAME);
}

static void set_takes_the_leftover_away(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (int i = 0; i < 6; i++) {
        kvstore_options options = plain_options();
        options.exclusive = i % 2 == 1;
        options.sync = i < 4 ? KVSTORE_SYNC_NONE : KVSTORE_SYNC_ALWAYS;
        disk.reason = i < 2 ? EDQUOT : ENOSPC;
        kvstore *store = open_with(dir, &options);
        fill_disk(dir);

        must_set(store, "key-1", value_of(1));

        /* One that has padding may need no room. */
        assert_true(options.exclusive || !is_left(dir));
        assert_value(store, "key-1", value_of(1));
        kvstore_close(store);
        assert_heals(dir);
    }
}

static void growth_takes_the_leftover_away(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    char key[32];
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    int count = 0;
    while (store_dir_file_size(dir, KV_INDEX_NAME) == size) {
        name_key(key, sizeof key, count);
        fill_disk(dir);
        must_set(store, key, value_of(count++));
    }

    assert_false(is_left(dir));
    assert_value(store, key, value_of(count - 1));
    kvstore_close(store);
}

static void build_takes_the_leftover_away(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    fill_disk(dir);
    kvstore *store = open_plain(dir);

    must_set(store, "new", "1");

    assert_false(is_left(dir));
    assert_known(store);
    kvstore_close(store);
}

/* It is that of a compaction which is at work. */
static void held_file_stays(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    fill_disk(dir);
    struct kv_io_file file = KV_IO_FILE_NONE;
    assert_int_equal(
        kv_io_open(&dir->directory, KV_LOG_COMPACT_NAME, KV_IO_READ, &file),
        KVSTORE_OK);
    assert_int_equal(kv_io_lock(&file, 0, NULL), KVSTORE_OK);
    kvstore *store = open_plain(dir);

    assert_int_equal(try_set(store, "key", "1"), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_true(is_left(dir));
    kv_io_close(&file);
    must_set(store, "key", "1");
    assert_false(is_left(dir));
    kvstore_close(store);
}

/* A call that fails for another reason takes nothing away. */
static void other_failures_leave_it(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    disk.reason = EIO;
    fill_disk(dir);
    kvstore *store = open_plain(dir);

    assert_int_equal(try_set(store, "key", "1"), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    assert_true(is_left(dir));
    kvstore_close(store);
}

#define DISK_TEST(test) \
    cmocka_unit_test_setup_teardown(test, enter_disk, leave_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(set_takes_the_leftover_away),
        DISK_TEST(growth_takes_the_leftover_away),
        DISK_TEST(build_takes_the_leftover_away),
        DISK_TEST(held_file_stays),
        DISK_TEST(other_failures_leave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
