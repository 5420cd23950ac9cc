/* SPDX-License-Identifier: MIT */

/* Do the public calls keep kvstore.h's word? Here: an index that has to be built
 * or to grow, by whom and where it cannot be. */

#include "index.h"
#include "index_file.h"
#include "io.h"
#include "kvstore.h"
#include "log.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 300
#define MANY_KEYS 20000
#define SLOT_PAGE_SIZE 4096

/* --- A store that is known --- */

static void name_key(char *key, size_t size, int number)
{
    (void)snprintf(key, size, "key-%d", number);
}

static const char *value_of(int number)
{
    return number % 3 == 0 ? "third" : "other";
}

/* Every key is set twice, and every seventh removed. */
static void write_known(kvstore *store)
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        name_key(key, sizeof key, i);
        must_set(store, key, "old");
        must_set(store, key, value_of(i));
        if (i % 7 == 0) {
            must_remove(store, key);
        }
    }
}

static void make_known(const struct store_dir *dir)
{
    kvstore *store = open_plain(dir);
    write_known(store);
    kvstore_close(store);
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
}

static void assert_known(const kvstore *store)
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        name_key(key, sizeof key, i);
        if (i % 7 == 0) {
            assert_absent(store, key);
        } else {
            assert_value(store, key, value_of(i));
        }
    }
}

#define KNOWN_KEYS (KEYS - (KEYS + 6) / 7)

/* A handle finds everything, whatever stands there, and the next one does. */
static void assert_heals(const struct store_dir *dir)
{
    for (int i = 0; i < 2; i++) {
        kvstore *store = open_plain(dir);
        assert_known(store);
        assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
        must_set(store, "new", "value");
        assert_value(store, "new", "value");
        must_remove(store, "new");
        kvstore_close(store);
    }
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
}

static void remove_index(const struct store_dir *dir)
{
    assert_int_equal(unlink(store_dir_path(dir, KV_INDEX_NAME)), 0);
}

static void empty_index(const struct store_dir *dir,
                        uint64_t offset,
                        size_t size)
{
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    store_dir_overwrite(dir, KV_INDEX_NAME, offset, bytes, size);
    free(bytes);
}

static void rest(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

/* Each sees what the other writes, in both orders. */
static void assert_in_touch(kvstore *one, kvstore *other)
{
    static int round;
    char value[32];
    for (int i = 0; i < 4; i++) {
        kvstore *writer = i % 2 == 0 ? one : other;
        const kvstore *reader = i % 2 == 0 ? other : one;
        (void)snprintf(value, sizeof value, "round %d", round++);

        must_set(writer, "common", value);

        assert_value(reader, "common", value);
        assert_value(writer, "common", value);
    }
    must_remove(one, "common");
    assert_absent(other, "common");
}

static void append_by_hand(const struct store_dir *dir, const char *value)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "hand", value);
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

static void append_many_by_hand(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char key[32];
    for (int i = 0; i < MANY_KEYS; i++) {
        name_key(key, sizeof key, i);
        log_text_set(&text, key, value_of(i));
    }
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

static void assert_many(const kvstore *store)
{
    char key[32];
    for (int i = 0; i < MANY_KEYS; i += 7) {
        name_key(key, sizeof key, i);
        assert_value(store, key, value_of(i));
    }
}

/* --- Boots and mounts --- */

static struct {
    struct kv_io_table table;
    uint64_t boot;
    uint64_t mount;
    int renames; /* To store.index. */
    bool is_full;
    bool is_broken;
} world;

static int told_boot_id(uint64_t id_out[2])
{
    id_out[0] = world.boot;
    id_out[1] = 1;
    return 0;
}

static int told_mount_id(int fd, uint64_t *id_out)
{
    (void)fd;
    *id_out = world.mount;
    return 0;
}

static int counting_renameat(int dir_fd, const char *from, const char *to)
{
    world.renames += strcmp(to, KV_INDEX_NAME) == 0 ? 1 : 0;
    return kv_io_system_table()->renameat(dir_fd, from, to);
}

static int limited_allocate_blocks(int fd, off_t size)
{
    if (world.is_full) {
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->allocate_blocks(fd, size);
}

static int breaking_fdatasync(int fd)
{
    if (world.is_broken) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fdatasync(fd);
}

static int enter_world(void **state)
{
    world.boot = 1;
    world.mount = 1;
    world.renames = 0;
    world.is_full = false;
    world.is_broken = false;
    world.table = *kv_io_system_table();
    world.table.boot_id = told_boot_id;
    world.table.mount_id = told_mount_id;
    world.table.renameat = counting_renameat;
    world.table.allocate_blocks = limited_allocate_blocks;
    world.table.fdatasync = breaking_fdatasync;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int leave_world(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

static void index_is_built_once_a_boot(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    int renames = world.renames;
    assert_heals(dir);
    assert_int_equal(world.renames, renames);

    world.boot = 2;
    assert_heals(dir);

    assert_int_equal(world.renames, renames + 1);
}

/* What is on the disk after a reboot may lack some of its pages. */
static void pages_lost_with_a_boot_are_harmless(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);

    empty_index(dir, KV_INDEX_HEADER_SIZE, SLOT_PAGE_SIZE);
    world.boot = 2;

    assert_heals(dir);
}

static void system_without_boot_ids_works(void **state)
{
    const struct store_dir *dir = *state;
    world.table.boot_id = kv_io_system_table()->boot_id;
    make_known(dir);
    world.table.boot_id = told_boot_id;
    world.boot = 0;

    assert_heals(dir);
}

/* Two that see the directory through mounts of their own. */
static void mounts_share_an_index(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *one = open_plain(dir);
    world.mount = 2;
    kvstore *other = open_plain(dir);
    int renames = world.renames;

    for (uint64_t i = 0; i < 20; i++) {
        world.mount = 1 + i % 2;
        kvstore *third = open_plain(dir);
        assert_in_touch(one, third);
        assert_in_touch(third, other);
        kvstore_close(third);
        rest(i % 5 == 0 ? 20 : 0);
    }
    kvstore_close(one);
    kvstore_close(other);
    for (uint64_t i = 0; i < 6; i++) {
        world.mount = 1 + i % 2;
        assert_heals(dir);
    }

    assert_int_equal(world.renames, renames);
}

/* --- Reading only --- */

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
}

static int count_files(const struct store_dir *dir)
{
    int count = 0;
    assert_int_equal(
        kv_io_list(&dir->directory, "store.", "", count_name, &count),
        KVSTORE_OK);
    return count;
}

static void read_only_handle_creates_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    remove_index(dir);

    kvstore *store = open_with(dir, &options);

    assert_known(store);
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
    append_by_hand(dir, "1");
    assert_value(store, "hand", "1");
    assert_int_equal(count_files(dir), 1);
    kvstore_close(store);
    assert_int_equal(count_files(dir), 1);
}

static void read_only_handle_follows_an_index(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    kvstore *store = open_with(dir, &options);
    kvstore *writer = open_plain(dir);

    must_set(writer, "new", "1");
    assert_value(store, "new", "1");
    must_compact(writer);
    must_set(writer, "new", "2");
    assert_value(store, "new", "2");
    remove_index(dir);
    rest(20);
    assert_value(store, "new", "2");
    must_set(writer, "new", "3");

    assert_value(store, "new", "3");
    assert_known(store);
    kvstore_close(store);
    kvstore_close(writer);
}

/* --- Growing --- */

static void others_follow_growth(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore *store = open_with(dir, &options);
    kvstore *other = open_with(dir, &options);
    options.read_only = true;
    kvstore *reader = open_with(dir, &options);
    uint64_t size = store_dir_file_size(dir, KV_INDEX_NAME);
    char key[32];
    for (int i = 0; i < MANY_KEYS; i++) {
        name_key(key, sizeof key, i);
        must_set(store, key, value_of(i));
        if (i % 50 == 0) {
            assert_value(other, key, value_of(i));
            assert_value(reader, key, value_of(i));
        }
    }

    for (int i = 0; i < MANY_KEYS; i++) {
        name_key(key, sizeof key, i);
        assert_value(other, key, value_of(i));
    }
    assert_int_equal(checked_stats(store).keys, MANY_KEYS);
    assert_int_equal(checked_stats(other).keys, MANY_KEYS);
    assert_int_equal(checked_stats(reader).keys, MANY_KEYS);
    assert_true(store_dir_file_size(dir, KV_INDEX_NAME) > 16 * size);
    assert_in_touch(store, other);
    kvstore_close(store);
    kvstore_close(other);
    kvstore_close(reader);
}

/* Sets new keys until one is refused; how many were not? */
static int fill_index(kvstore *store)
{
    char key[32];
    for (int i = 0; i < MANY_KEYS; i++) {
        name_key(key, sizeof key, i);
        if (try_set(store, key, value_of(i)) != KVSTORE_OK) {
            assert_int_equal(kvstore_last_error()->status, KVSTORE_IO);
            assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
            return i;
        }
    }
    return MANY_KEYS;
}

static void full_disk_refuses_new_keys_alone(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    world.is_full = true;

    int count = fill_index(store);

    assert_true(count > 0 && count < MANY_KEYS);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    assert_int_equal(try_set(other, "new", "1"), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_int_equal(count_files(dir), 2);
    must_set(store, "key-0", "overwritten");
    assert_value(other, "key-0", "overwritten");
    must_remove(other, "key-1");
    assert_absent(store, "key-1");
    assert_value(store, "key-2", value_of(2));
    assert_int_equal(checked_stats(store).keys, count - 1);

    world.is_full = false;
    must_set(store, "new", "1");
    assert_value(other, "new", "1");
    assert_int_equal(checked_stats(other).keys, count);
    kvstore_close(store);
    kvstore_close(other);
}

/* The system tells once that it could not write them, and then nothing. */
static void failed_sync_of_appended_lines_is_not_tried_again(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    kvstore *store = open_with(dir, &options);
    must_set(store, "key", "1");
    append_by_hand(dir, "1");
    world.is_broken = true;
    assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
    world.is_broken = false;

    assert_int_equal(try_set(store, "key", "3"), KVSTORE_IO);

    must_compact(store);
    must_set(store, "key", "4");
    assert_value(store, "key", "4");
    kvstore_close(store);
}

/* What others have appended needs an index that cannot be had. */
static void full_disk_does_not_hide_appended_lines(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    append_many_by_hand(dir);
    world.is_full = true;

    kvstore *other = open_plain(dir);

    assert_many(other);
    assert_value(store, "key", "1");
    must_set(store, "key", "2");
    assert_value(other, "key", "2");
    assert_many(store);
    kvstore_close(store);
    kvstore_close(other);
}

/* Without room for an index, each keeps one of its own, until there is. */
static void full_disk_leaves_private_indexes(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    world.is_full = true;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    assert_int_equal(count_files(dir), 1);
    assert_in_touch(store, other);
    world.is_full = false;

    kvstore *third = open_plain(dir);

    assert_true(store_dir_has(dir, KV_INDEX_NAME));
    assert_in_touch(third, store);
    assert_in_touch(other, third);
    assert_in_touch(store, other);
    assert_known(store);
    kvstore_close(store);
    kvstore_close(other);
    kvstore_close(third);
    assert_heals(dir);
}

#define WORLD_TEST(test) \
    cmocka_unit_test_setup_teardown(test, enter_world, leave_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(index_is_built_once_a_boot),
        WORLD_TEST(pages_lost_with_a_boot_are_harmless),
        WORLD_TEST(system_without_boot_ids_works),
        WORLD_TEST(mounts_share_an_index),
        STORE_TEST(read_only_handle_creates_nothing),
        STORE_TEST(read_only_handle_follows_an_index),
        STORE_TEST(others_follow_growth),
        WORLD_TEST(full_disk_refuses_new_keys_alone),
        WORLD_TEST(failed_sync_of_appended_lines_is_not_tried_again),
        WORLD_TEST(full_disk_does_not_hide_appended_lines),
        WORLD_TEST(full_disk_leaves_private_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
