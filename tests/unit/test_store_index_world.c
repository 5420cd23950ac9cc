/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: which handle builds or
 * grows an index. */

#include "idle_clock.h"
#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/directory.h"
#include "os/file.h"
#include "os/system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT_PAGE_SIZE 4096

static void empty_index(const struct store_dir *dir,
                        uint64_t offset,
                        size_t size)
{
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    store_dir_overwrite(dir, KV_INDEX_NAME, offset, bytes, size);
    free(bytes);
}

/* --- Boots and mounts --- */

static struct {
    struct kv_io_table table;
    uint64_t boot;
    uint64_t mount;
    int renames; /* To store.index. */
    uint64_t bytes_read;
    kvstore *writer; /* Sets a key at each read; or NULL. */
    bool is_full;
    bool is_broken;  /* fdatasync fails, */
    bool breaks_all; /* and fsync. */
} world;

static int told_boot_id(uint64_t *id_out)
{
    *id_out = world.boot;
    return 0;
}

static uint64_t told_mount_id(int fd)
{
    (void)fd;
    return world.mount;
}

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    kvstore *writer = world.writer;
    if (writer != NULL) {
        world.writer = NULL;
        must_set(writer, "beside", "0");
        world.writer = writer;
    }
    ssize_t part = kv_io_system_table()->pread(fd, buffer, size, offset);
    world.bytes_read += part > 0 ? (uint64_t)part : 0;
    return part;
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

static int breaking_fsync(int fd)
{
    if (world.breaks_all) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fsync(fd);
}

static int enter_world(void **state)
{
    world.breaks_all = false;
    world.writer = NULL;
    world.boot = 1;
    world.mount = 1;
    world.renames = 0;
    world.is_full = false;
    world.is_broken = false;
    world.table = *kv_io_system_table();
    world.table.boot_id = told_boot_id;
    world.table.mount_id = told_mount_id;
    world.table.pread = counting_pread;
    world.table.renameat = counting_renameat;
    world.table.allocate_blocks = limited_allocate_blocks;
    world.table.fdatasync = breaking_fdatasync;
    world.table.fsync = breaking_fsync;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int leave_world(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

/* True if opening the store costs a pass over the log. */
static bool reads_all(const struct store_dir *dir, bool is_read_only)
{
    kvstore_options options = plain_options();
    options.read_only = is_read_only;
    world.bytes_read = 0;
    kvstore *store = open_with(dir, &options);
    bool has_read_all =
        world.bytes_read >= store_dir_file_size(dir, KV_LOG_NAME);
    kvstore_close(store);
    return has_read_all;
}

static void index_is_checked_once_a_boot(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    int renames = world.renames;
    assert_false(reads_all(dir, false));

    world.boot = 2;
    assert_true(reads_all(dir, true));
    assert_true(reads_all(dir, true));
    assert_true(reads_all(dir, false));
    assert_false(reads_all(dir, false));
    assert_false(reads_all(dir, true));
    assert_heals(dir);

    assert_int_equal(world.renames, renames);
}

/* As in containers that are told boots of their own. */
static void boots_share_an_index(void **state)
{
    const struct store_dir *dir = *state;
    world.mount = UINT64_C(1) << 32;
    make_known(dir);
    int renames = world.renames;
    world.boot = 2;
    assert_true(reads_all(dir, false));

    for (uint64_t i = 0; i < 10; i++) {
        world.boot = 1 + i % 2;
        assert_false(reads_all(dir, false));
        assert_heals(dir);
    }
    assert_int_equal(world.renames, renames);
    kvstore *store = open_plain(dir);
    append_many_by_hand(dir);
    must_set(store, "key-1", value_of(1));
    must_compact(store);
    kvstore_close(store);
    for (uint64_t i = 0; i < 4; i++) {
        world.boot = 1 + i % 2;
        assert_false(reads_all(dir, false));
    }
}

/* After a reboot the index may lack some of its pages on the disk. */
static void pages_lost_with_a_boot_are_harmless(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);

    empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
    world.boot = 2;

    assert_heals(dir);
}

/* All pages of the index may be of an earlier moment, at which it was true: what
 * was acknowledged later is in the log. */
static void index_of_an_earlier_moment_hides_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    make_known(dir);
    kvstore *writer = open_plain(dir);
    must_set(writer, "key-1", "earlier");
    size_t size = 0;
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    must_set(writer, "key-1", "later");
    must_set(writer, "new", "1");
    kvstore_close(writer);
    store_dir_overwrite(dir, KV_INDEX_NAME, 0, index, size);
    free(index);
    world.boot = 2;

    for (int i = 0; i < 2; i++) {
        options.read_only = i == 0;
        kvstore *store = open_with(dir, &options);
        assert_value(store, "key-1", "later");
        assert_value(store, "new", "1");
        kvstore_close(store);
    }
}

/* What no writer has acknowledged is no reason to take an index away: there may be
 * no room for another. */
static void torn_tail_in_another_boot_costs_no_build(void **state)
{
    static const char *const tails[] = {
        "{\"Set\":{\"key\":\"key-1\"", "", "\t\t\t"};
    const struct store_dir *dir = *state;
    make_known(dir);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        store_dir_append(dir, KV_LOG_NAME, tails[i], strlen(tails[i]));
        world.boot++;
        int renames = world.renames;

        kvstore *store = open_plain(dir);

        assert_int_equal(world.renames, renames);
        must_set(store, "key-1", "1");
        assert_value(store, "key-1", "1");
        assert_int_equal(world.renames, renames);
        kvstore_close(store);
    }
}

static int steps_to_live;

static void step_to_death(const char *name)
{
    (void)name;
    if (steps_to_live-- == 0) {
        _exit(1);
    }
}

/* True if it has opened the store, and not died at a step of that. */
static bool opens_in_child(const struct store_dir *dir, int steps)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        kvstore_options options = plain_options();
        kvstore *store = NULL;
        steps_to_live = steps;
        world.table.step = step_to_death;
        _exit(kvstore_open(dir->path, &options, &store) == KVSTORE_OK ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

/* The first to open the store for writing dies before it has brought such an
 * index up to date. */
static void death_over_an_index_of_an_earlier_moment_hides_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    kvstore *writer = open_plain(dir);
    must_set(writer, "key-1", "earlier");
    size_t size = 0;
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    must_set(writer, "key-1", "later");
    kvstore_close(writer);
    world.boot = 2;
    int steps = 0;
    bool has_opened = false;
    for (; !has_opened; steps += 1 + steps / 4) {
        store_dir_write(dir, KV_INDEX_NAME, index, size);
        has_opened = opens_in_child(dir, steps);
        kvstore *store = open_with(dir, &options);
        assert_value(store, "key-1", "later");
        kvstore_close(store);
    }
    free(index);
    assert_true(steps > 2);
}

/* It reads all of the log at each open, says so, and takes nobody's index
 * away. */
static void assert_slow_and_harmless(const struct store_dir *dir,
                                     uint64_t reason)
{
    int renames = world.renames;
    assert_true(reads_all(dir, true));
    assert_true(reads_all(dir, false));
    kvstore *store = open_plain(dir);
    assert_int_equal(checked_stats(store).slow_open, reason);
    must_set(store, "key-1", value_of(1));
    kvstore_close(store);
    assert_heals(dir);
    assert_int_equal(world.renames, renames);
}

static void system_that_tells_no_boot_checks_the_index(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    world.boot = 0;
    assert_slow_and_harmless(dir, KVSTORE_OPEN_NO_BOOT_ID);

    world.boot = 1;
    assert_false(reads_all(dir, false));
    kvstore *store = open_plain(dir);
    assert_int_equal(checked_stats(store).slow_open, KVSTORE_OPEN_FAST);
    assert_known(store);
    kvstore_close(store);

    remove_index(dir);
    world.boot = 0;
    assert_heals(dir);
    assert_slow_and_harmless(dir, KVSTORE_OPEN_NO_BOOT_ID);
    world.boot = 1;
    assert_true(reads_all(dir, false));
    assert_false(reads_all(dir, false));
}

static void system_that_tells_no_mount_checks_the_index(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    world.mount = 0;
    assert_slow_and_harmless(dir, KVSTORE_OPEN_NO_MOUNT_ID);

    world.mount = 1;
    assert_false(reads_all(dir, false));
}

#define BOOT_AT offsetof(struct kv_table_header, boot_ids)

/* A new boot forgets a failed sync: it must not, if one fails meanwhile. */
static void boot_is_added_under_the_lock_alone(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    world.boot = 2;
    world.mount = 0;
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    int lock = open(dir->path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);

    kvstore *store = open_with(dir, &options);

    assert_known(store);
    assert_int_equal(load_header_word(dir, BOOT_AT), 1);
    kvstore_close(store);
    (void)close(lock);
    assert_true(reads_all(dir, false));
    assert_int_equal(load_header_word(dir, BOOT_AT), 2);
    assert_true(reads_all(dir, false));
}

/* Such a reader checks the index once. If there is no verdict, as beside a busy
 * writer, it follows the log by an index of its own, a line at a time. */
static void system_that_tells_no_boot_reads_beside_a_writer(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *writer = open_plain(dir);
    world.boot = 0;
    kvstore_options options = plain_options();
    options.read_only = true;
    world.writer = writer;
    kvstore *reader = open_with(dir, &options);
    world.writer = NULL;
    assert_known(reader);
    assert_int_equal(checked_stats(reader).slow_open, KVSTORE_OPEN_PRIVATELY);
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);

    world.bytes_read = 0;
    for (int i = 0; i < 10; i++) {
        must_set(writer, "beside", value_of(i));
        assert_value(reader, "beside", value_of(i));
    }

    assert_true(world.bytes_read < size);
    kvstore_close(reader);
    kvstore_close(writer);
}

/* Also if the index is wrong: then it is built anew. */
static void system_that_tells_nothing_notices_lost_pages(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    int renames = world.renames;
    empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
    world.boot = 0;
    world.mount = 0;

    assert_heals(dir);

    assert_int_equal(world.renames, renames + 1);
    assert_slow_and_harmless(dir, KVSTORE_OPEN_NO_BOOT_ID);
}

#define TOTALS_AT(number) \
    (offsetof(struct kv_table_header, totals) + 8 * (size_t)(number))
#define SLOTS_USED_AT TOTALS_AT(2)
#define DAMAGE_SLOTS_AT TOTALS_AT(3)
#define KEYS_AT TOTALS_AT(8)

static void add_to_header_word(const struct store_dir *dir,
                               size_t at,
                               uint64_t amount)
{
    store_header_word(dir, at, load_header_word(dir, at) + amount);
}

/* A page of an older moment may have come to the disk. */
static void counts_of_another_boot_are_checked(void **state)
{
    const struct store_dir *dir = *state;
    const size_t words[] = {SLOTS_USED_AT, KEYS_AT};
    make_known(dir);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        int renames = world.renames;
        add_to_header_word(dir, words[i], (uint64_t)-1);
        world.boot++;

        assert_heals(dir);

        assert_int_equal(world.renames, renames + 1);
    }
}

/* Else the value of before the damage would be back. */
static void lost_slot_of_damage_is_noticed_in_another_boot(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "key", "1");
    size_t offset = log_text_damaged_set(&text, "key", "2");
    log_text_set(&text, "behind", "1");
    store_dir_write(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    kvstore *store = open_plain(dir);
    assert_corrupt(store, "key", offset);
    kvstore_close(store);
    struct stored_slot slot = find_damage_slot(dir, "key");
    empty_slot(dir, &slot);
    add_to_header_word(dir, SLOTS_USED_AT, (uint64_t)-1);
    add_to_header_word(dir, DAMAGE_SLOTS_AT, (uint64_t)-1);
    world.boot = 2;

    store = open_plain(dir);

    assert_corrupt(store, "key", offset);
    assert_value(store, "behind", "1");
    kvstore_close(store);
}

/* Two handles that see the directory through mounts of their own. */
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

/* No handle has it open in between; growth and compaction included. */
static void mounts_that_come_in_turns_share_an_index(void **state)
{
    const struct store_dir *dir = *state;
    const uint64_t mounts[] = {
        UINT64_C(1) << 32 | 1, UINT64_C(1) << 32 | 2, UINT64_C(1) << 32 | 3};
    world.mount = mounts[0];
    make_known(dir);
    int renames = world.renames;
    for (int i = 0; i < 30; i++) {
        world.mount = mounts[i % 3];
        assert_heals(dir);
    }
    assert_int_equal(world.renames, renames);

    kvstore *store = open_plain(dir);
    append_many_by_hand(dir);
    must_set(store, "key-1", value_of(1));
    must_compact(store);
    kvstore_close(store);
    renames = world.renames;
    for (int i = 0; i < 6; i++) {
        world.mount = mounts[i % 3];
        store = open_plain(dir);
        assert_many(store);
        kvstore_close(store);
    }

    assert_int_equal(world.renames, renames);
}

/* Any number may be another mount's in another boot. */
static void mounts_are_checked_once_each(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    int renames = world.renames;
    world.mount = 2;
    assert_true(reads_all(dir, false));
    for (uint64_t i = 1; i <= 6; i++) {
        world.mount = 1 + i % 2;
        assert_false(reads_all(dir, false));
    }
    for (uint64_t boot = 2; boot <= 4; boot++) {
        world.boot = boot;
        for (uint64_t id = 1; id <= 2; id++) {
            world.mount = id;
            assert_true(reads_all(dir, false));
            assert_false(reads_all(dir, false));
        }
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

/* A process that folds lets readers wait for it; one that has died while it did,
 * and left a note, does not. */
static void dead_process_keeps_no_reader_waiting(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    make_known(dir);
    store_header_word(dir, HEADER_AT(holder_folds), 1);
    options.exclusive = true;
    kvstore *writer = open_with(dir, &options);
    append_by_hand(dir, "1");
    idle_clock_start();

    kvstore *reader = open_plain(dir);

    assert_int_equal(idle_clock_slept_ns(), 0);
    idle_clock_stop();
    assert_known(reader);
    kvstore_close(reader);
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

/* Sets new keys until one is refused. Returns how many were not. */
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

/* The system reports once that it could not write them, and then nothing. */
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

/* --- A failed sync --- */

static kvstore *open_durable(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    return open_with(dir, &options);
}

/* No handle may write, every handle may read, until a compaction. */
static void assert_poisoned(const struct store_dir *dir,
                            kvstore *one,
                            kvstore *other,
                            const char *value)
{
    kvstore *third = open_plain(dir);
    kvstore *const stores[3] = {one, other, third};
    uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_set(stores[i], "refused", "1"), KVSTORE_IO);
        assert_value(stores[i], "key", value);
    }
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    must_compact(third);
    for (int i = 0; i < 3; i++) {
        must_set(stores[i], "taken", "1");
        assert_absent(stores[i], "refused");
    }
    kvstore_close(third);
}

/* Points the key's slot into the middle of its line. */
static void move_slot_on(const struct store_dir *dir, const char *key)
{
    struct stored_slot slot = find_slot(dir, key);
    slot.entry.pointer.offset += 3;
    store_slot(dir, &slot);
}

/* Whether or not the builder of the index has met the failed sync itself. */
static void failed_sync_outlives_a_rebuild(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        store_dir_write(dir, KV_LOG_NAME, "", 0);
        kvstore *store = open_durable(dir);
        kvstore *other = open_durable(dir);
        must_set(store, "key", "1");
        world.is_broken = true;
        assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
        world.is_broken = false;
        int renames = world.renames;
        move_slot_on(dir, "key");

        assert_value(i == 0 ? store : other, "key", "1");

        assert_int_equal(world.renames, renames + 1);
        assert_poisoned(dir, store, other, "1");
        kvstore_close(store);
        kvstore_close(other);
    }
}

/* A get that builds the index syncs the log first, so that it reports nothing
 * that may still be lost. The index is of a log of which a sync has failed,
 * then, whoever comes next. */
static void failed_sync_before_a_build_is_not_forgotten(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_durable(dir);
    kvstore *other = open_plain(dir);
    must_set(other, "key", "1");
    remove_index(dir);
    rest(20);
    world.is_broken = true;

    assert_value(store, "key", "1");

    world.is_broken = false;
    assert_poisoned(dir, store, other, "1");
    kvstore_close(store);
    kvstore_close(other);
}

/* The debt of a process that died while it switched. */
static void failed_sync_of_anothers_debt_is_not_forgotten(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 2; i++) {
        store_dir_write(dir, KV_LOG_NAME, "", 0);
        kvstore *store = open_durable(dir);
        must_set(store, "key", "1");
        store_header_word(
            dir, offsetof(struct kv_table_header, state), KV_TABLE_SWITCHING);
        world.is_broken = true;
        world.breaks_all = true;
        kvstore *other = NULL;
        if (i == 0) {
            assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
        } else {
            other = open_plain(dir);
            assert_value(other, "key", "1");
            kvstore_close(other);
        }
        world.is_broken = false;
        world.breaks_all = false;
        other = open_plain(dir);

        assert_poisoned(dir, store, other, "1");
        kvstore_close(store);
        kvstore_close(other);
    }
}

/* Opens a store of which a sync has failed, and closes it. */
static void fail_sync(const struct store_dir *dir)
{
    kvstore *store = open_durable(dir);
    must_set(store, "key", "1");
    world.is_broken = true;
    assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
    world.is_broken = false;
    kvstore_close(store);
}

static kvstore_status open_and_set(const struct store_dir *dir)
{
    kvstore *store = open_plain(dir);
    kvstore_status status = try_set(store, "key", "3");
    kvstore_close(store);
    return status;
}

/* Also where the index is not trusted, and is built anew. */
static void failed_sync_is_known_through_all_mounts(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    fail_sync(dir);
    for (uint64_t i = 2; i < 5; i++) {
        int renames = world.renames;
        world.mount = i;
        if (i == 3) {
            empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
        }
        if (i == 4) {
            world.boot = 0;
        }

        assert_int_equal(open_and_set(dir), KVSTORE_IO);

        assert_int_equal(world.renames, renames + (i == 3 ? 1 : 0));
    }
    kvstore *store = open_plain(dir);
    must_compact(store);
    must_set(store, "key", "3");
    assert_known(store);
    kvstore_close(store);
}

/* What is in memory then is what the disk has. Whether the index is true or
 * not, and whoever opens it first. */
static void failed_sync_ends_with_the_boot(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    for (uint64_t i = 2; i < 5; i++) {
        kvstore *reader = NULL;
        fail_sync(dir);
        assert_int_equal(open_and_set(dir), KVSTORE_IO);
        world.boot = i;
        if (i == 3) {
            empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
        }
        if (i == 4) {
            reader = open_with(dir, &options);
        }

        assert_int_equal(open_and_set(dir), KVSTORE_OK);

        kvstore_close(reader);
    }
}

/* A container that is told a boot of its own has the same memory. */
static void failed_sync_is_known_in_boots_beside(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    fail_sync(dir);
    kvstore *holder = open_plain(dir);
    for (uint64_t i = 2; i < 4; i++) {
        int renames = world.renames;
        world.boot = i;
        if (i == 3) {
            empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
        }

        assert_int_equal(open_and_set(dir), KVSTORE_IO);

        assert_int_equal(world.renames, renames + (i == 3 ? 1 : 0));
    }
    assert_int_equal(try_set(holder, "key", "3"), KVSTORE_IO);
    kvstore_close(holder);
}

/* Who may write an index that is not the log's own kind does not stop others. */
static void planted_poison_is_not_taken_along(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    fail_sync(dir);
    assert_int_equal(chmod(store_dir_path(dir, KV_INDEX_NAME), 0666), 0);

    assert_int_equal(open_and_set(dir), KVSTORE_OK);
}

/* --- An index that lacks lines --- */

/* Lines are acknowledged in a boot, and the index of before is what a power cut
 * leaves to the next one; it may say that a sync has failed. */
static void lose_last_of_index(const struct store_dir *dir, bool is_poisoned)
{
    size_t size = 0;
    make_known(dir);
    kvstore *store = open_durable(dir);
    must_set(store, "key-1", "earlier");
    kvstore_close(store);
    if (is_poisoned) {
        fail_sync(dir);
    }
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    world.boot++;
    store = open_durable(dir);
    must_set(store, "key-1", "later");
    kvstore_close(store);
    store_dir_write(dir, KV_INDEX_NAME, index, size);
    free(index);
    world.boot++;
}

/* The first to open the store vouches for no index without them, and dies. */
static void death_over_forgotten_poison_hides_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.read_only = true;
    lose_last_of_index(dir, true);
    size_t size = 0;
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    bool has_opened = false;
    for (int steps = 0; !has_opened; steps += 1 + steps / 4) {
        store_dir_write(dir, KV_INDEX_NAME, index, size);
        has_opened = opens_in_child(dir, steps);
        kvstore *store = open_with(dir, &options);
        assert_value(store, "key-1", "later");
        kvstore_close(store);
    }
    free(index);
}

/* A sync that fails while they are taken along costs none of them, and what ends
 * that is the compaction that the message names. */
static void failed_sync_over_a_short_index_loses_nothing(void **state)
{
    static const struct {
        bool is_poisoned;
        bool is_told_its_boot;
    } cases[] = {{true, true}, {false, true}, {true, false}, {false, false}};
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kvstore *store = NULL;
        world.boot = 10 * (i + 1);
        lose_last_of_index(dir, cases[i].is_poisoned);
        world.boot = cases[i].is_told_its_boot ? world.boot : 0;
        world.is_broken = true;
        kvstore_status status = kvstore_open(dir->path, &options, &store);
        assert_true(status == KVSTORE_OK || status == KVSTORE_IO);
        kvstore_close(store);
        world.is_broken = false;

        store = open_durable(dir);
        must_compact(store);

        assert_value(store, "key-1", "later");
        must_set(store, "key", "4");
        kvstore_close(store);
    }
}

/* Where there is no room for what the index lacks, a handle that is told no boot
 * goes by one of its own. */
static void handle_without_boot_hides_no_line_on_a_full_disk(void **state)
{
    const struct store_dir *dir = *state;
    char key[32];
    size_t size = 0;
    make_known(dir);
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    kvstore *store = open_plain(dir);
    must_set(store, "key-1", "later");
    for (int i = 0; i < 5000; i++) {
        name_key(key, sizeof key, 1000 + i);
        must_set(store, key, "1");
    }
    kvstore_close(store);
    store_dir_write(dir, KV_INDEX_NAME, index, size);
    free(index);
    world.boot = 0;
    world.is_full = true;

    store = open_plain(dir);

    assert_value(store, "key-1", "later");
    assert_int_equal(try_set(store, "key-1", "2"), KVSTORE_IO);
    assert_value(store, "key-1", "later");
    world.is_full = false;
    must_set(store, "key-1", "3");
    assert_value(store, "key-1", "3");
    kvstore_close(store);
}

/* Beside others that hold the index, a line past it is not acknowledged, and none
 * shows it once its sync has failed. */
static void handle_without_boot_shows_no_line_whose_sync_failed(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    make_known(dir);
    kvstore *holder = open_plain(dir);
    world.boot = 0;
    kvstore *store = open_with(dir, &options);
    append_by_hand(dir, "1");
    rest(20);
    world.is_broken = true;
    assert_int_equal(try_set(store, "key-1", "2"), KVSTORE_IO);
    world.is_broken = false;

    assert_absent(store, "hand");
    assert_int_equal(try_set(store, "key-1", "2"), KVSTORE_IO);
    assert_absent(store, "hand");
    world.boot = 1;
    must_compact(holder);
    assert_absent(holder, "hand");
    kvstore_close(store);
    kvstore_close(holder);
}

/* One that checks for itself alone takes no index away, and needs no room for
 * another. */
static void handle_without_mount_or_boot_leaves_the_index(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    world.is_full = true;
    for (int i = 0; i < 4; i++) {
        world.mount = 1;
        world.boot = 1;
        kvstore *holder = i / 2 == 0 ? open_plain(dir) : NULL;
        int renames = world.renames;
        world.mount = i % 2 == 0 ? 0 : 1;
        world.boot = i % 2 == 0 ? 1 : 0;
        append_by_hand(dir, value_of(i));

        kvstore *store = open_plain(dir);

        assert_value(store, "hand", value_of(i));
        must_set(store, "key-1", "2");
        must_set(store, "key-1", "4");
        assert_value(store, "hand", value_of(i));
        kvstore_close(store);
        assert_int_equal(world.renames, renames);
        if (holder != NULL) {
            assert_value(holder, "key-1", "4");
        }
        kvstore_close(holder);
    }
}

static struct {
    const struct store_dir *dir;
    int count;
} looks;

/* Another process opens the store as soon as the index comes to life. */
static void look_at_state(const char *name)
{
    if (strcmp(name, "state") != 0) {
        return;
    }
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    uint64_t boot = world.boot;
    world.table.step = kv_io_system_table()->step;
    world.boot = 1;
    kvstore *store = open_with(looks.dir, &options);
    assert_value(store, "key-1", "later");
    kvstore_close(store);
    world.boot = boot;
    world.table.step = look_at_state;
    looks.count++;
}

/* Nor does it bring one to life that lacks lines. */
static void handle_without_boot_completes_no_short_index(void **state)
{
    const struct store_dir *dir = *state;
    size_t size = 0;
    make_known(dir);
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    kvstore *store = open_plain(dir);
    must_set(store, "key-1", "later");
    kvstore_close(store);
    store_dir_write(dir, KV_INDEX_NAME, index, size);
    free(index);
    store_header_word(dir, HEADER_AT(state), KV_TABLE_SWITCHING);
    looks.dir = dir;
    looks.count = 0;
    world.boot = 0;
    world.table.step = look_at_state;

    store = open_plain(dir);

    world.table.step = kv_io_system_table()->step;
    assert_value(store, "key-1", "later");
    assert_true(looks.count > 0);
    kvstore_close(store);
}

/* Only the call whose sync has failed tells it, not one that is refused for that:
 * what it knows may have been taken back. */
static void refused_barrier_tells_nothing(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    fail_sync(dir);
    world.boot = 0;
    kvstore *store = open_plain(dir);
    assert_int_equal(try_set(store, "key", "3"), KVSTORE_IO);
    world.boot = 2;
    kvstore *other = open_plain(dir);
    must_set(other, "key", "4");
    world.boot = 0;

    assert_int_equal(kvstore_sync(store), KVSTORE_IO);

    world.boot = 2;
    must_set(other, "key", "5");
    kvstore_close(other);
    kvstore_close(store);
}

static int no_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    fail();
    return -1;
}

/* An index that has lost its name can tell nobody. It does not take the lock for
 * that, which another may have. */
static void failed_barrier_is_told_by_name(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    remove_index(dir);
    kvstore *builder = open_plain(dir);
    must_set(builder, "key", "2");
    kvstore_close(builder);
    int lock = open(dir->path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    world.is_broken = true;
    world.table.flock = no_flock;
    assert_int_equal(kvstore_sync(store), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    world.table.flock = kv_io_system_table()->flock;
    world.is_broken = false;
    (void)close(lock);
    kvstore *other = open_durable(dir);

    assert_poisoned(dir, store, other, "2");

    kvstore_close(other);
    kvstore_close(store);
}

static int last_renameat(int dir_fd, const char *from, const char *to)
{
    (void)kv_io_system_table()->renameat(dir_fd, from, to);
    _exit(0);
}

/* The builder of the index dies as soon as the index has its name. */
static void failed_sync_outlives_the_death_of_a_builder(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_durable(dir);
    kvstore *other = open_durable(dir);
    must_set(store, "key", "1");
    world.is_broken = true;
    assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
    world.is_broken = false;
    move_slot_on(dir, "key");
    pid_t child = fork();
    if (child == 0) {
        kvstore_options options = plain_options();
        kvstore *own = NULL;
        world.table.renameat = last_renameat;
        _exit(kvstore_open(dir->path, &options, &own) == KVSTORE_OK &&
                      try_get(own, "key") == KVSTORE_OK
                  ? 1
                  : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    assert_int_equal(try_set(other, "refused", "1"), KVSTORE_IO);

    assert_poisoned(dir, store, other, "1");
    kvstore_close(store);
    kvstore_close(other);
}

static struct {
    kvstore *syncer; /* Whose sync fails; NULL: it has failed, or will not. */
    int steps_left;  /* Before it fails. */
    bool is_growing;
} failing;

static int64_t slept_ns;

static int64_t moved_clock_ns(void)
{
    return kv_io_system_table()->clock_ns() + slept_ns;
}

static void move_clock(int64_t ns)
{
    slept_ns += ns;
}

static void fail_sync_at_step(const char *name)
{
    kvstore *syncer = failing.syncer;
    failing.is_growing |= strcmp(name, "state") == 0;
    if (syncer == NULL || !failing.is_growing || failing.steps_left-- > 0) {
        return;
    }
    failing.syncer = NULL;
    world.is_broken = true;
    /* It waits for the lock, which this thread has; but not really. */
    world.table.clock_ns = moved_clock_ns;
    world.table.sleep_ns = move_clock;
    assert_int_equal(kvstore_sync(syncer), KVSTORE_IO);
    world.table.clock_ns = kv_io_system_table()->clock_ns;
    world.table.sleep_ns = kv_io_system_table()->sleep_ns;
    world.is_broken = false;
}

static int step_renameat(int dir_fd, const char *from, const char *to)
{
    fail_sync_at_step("before the name");
    int result = counting_renameat(dir_fd, from, to);
    fail_sync_at_step("behind the name");
    return result;
}

/* Another handle's sync of the same log fails in the middle of the growth. True
 * if it was so late that the growth was over. */
static bool try_growth(const struct store_dir *dir, int step)
{
    char key[32];
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(store, "key", "1");
    int renames = world.renames;
    failing.syncer = other;
    failing.steps_left = step;
    failing.is_growing = false;
    world.table.step = fail_sync_at_step;
    world.table.renameat = step_renameat;
    for (int i = 0; world.renames == renames; i++) {
        name_key(key, sizeof key, i);
        kvstore_status status = try_set(store, key, "1");
        /* The handle that grows the index may then find the log poisoned. */
        assert_true(status == KVSTORE_OK ||
                    (status == KVSTORE_IO && failing.syncer == NULL));
    }
    world.table.step = kv_io_system_table()->step;
    world.table.pread = counting_pread;
    world.table.renameat = counting_renameat;
    bool was_over = failing.syncer != NULL;
    if (!was_over) {
        assert_poisoned(dir, store, other, "1");
    }
    kvstore_close(store);
    kvstore_close(other);
    return was_over;
}

static void sync_that_fails_during_growth_is_not_forgotten(void **state)
{
    int step = 0;
    while (!try_growth(*state, step)) {
        step++;
    }
    assert_true(step >= 5);
}

#define WORLD_TEST(test) \
    cmocka_unit_test_setup_teardown(test, enter_world, leave_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(index_is_checked_once_a_boot),
        WORLD_TEST(boots_share_an_index),
        WORLD_TEST(pages_lost_with_a_boot_are_harmless),
        WORLD_TEST(index_of_an_earlier_moment_hides_nothing),
        WORLD_TEST(torn_tail_in_another_boot_costs_no_build),
        WORLD_TEST(death_over_an_index_of_an_earlier_moment_hides_nothing),
        WORLD_TEST(system_that_tells_no_boot_checks_the_index),
        WORLD_TEST(system_that_tells_no_mount_checks_the_index),
        WORLD_TEST(boot_is_added_under_the_lock_alone),
        WORLD_TEST(system_that_tells_no_boot_reads_beside_a_writer),
        WORLD_TEST(system_that_tells_nothing_notices_lost_pages),
        WORLD_TEST(counts_of_another_boot_are_checked),
        WORLD_TEST(lost_slot_of_damage_is_noticed_in_another_boot),
        WORLD_TEST(mounts_share_an_index),
        WORLD_TEST(mounts_that_come_in_turns_share_an_index),
        WORLD_TEST(mounts_are_checked_once_each),
        STORE_TEST(read_only_handle_creates_nothing),
        STORE_TEST(read_only_handle_follows_an_index),
        STORE_TEST(dead_process_keeps_no_reader_waiting),
        STORE_TEST(others_follow_growth),
        WORLD_TEST(full_disk_refuses_new_keys_alone),
        WORLD_TEST(failed_sync_of_appended_lines_is_not_tried_again),
        WORLD_TEST(failed_sync_outlives_a_rebuild),
        WORLD_TEST(failed_sync_before_a_build_is_not_forgotten),
        WORLD_TEST(failed_sync_of_anothers_debt_is_not_forgotten),
        WORLD_TEST(failed_sync_outlives_the_death_of_a_builder),
        WORLD_TEST(failed_sync_is_known_through_all_mounts),
        WORLD_TEST(failed_sync_ends_with_the_boot),
        WORLD_TEST(failed_sync_is_known_in_boots_beside),
        WORLD_TEST(planted_poison_is_not_taken_along),
        WORLD_TEST(death_over_forgotten_poison_hides_nothing),
        WORLD_TEST(failed_sync_over_a_short_index_loses_nothing),
        WORLD_TEST(handle_without_boot_hides_no_line_on_a_full_disk),
        WORLD_TEST(handle_without_boot_shows_no_line_whose_sync_failed),
        WORLD_TEST(handle_without_mount_or_boot_leaves_the_index),
        WORLD_TEST(handle_without_boot_completes_no_short_index),
        WORLD_TEST(failed_barrier_is_told_by_name),
        WORLD_TEST(refused_barrier_tells_nothing),
        WORLD_TEST(sync_that_fails_during_growth_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
