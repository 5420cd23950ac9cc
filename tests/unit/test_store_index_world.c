/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: which handle builds or
 * grows an index, and where none can. */

#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/directory.h"
#include "os/file.h"
#include "os/system.h"
#include "store/handle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    int directory_syncs;
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

static int counting_fsync(int fd)
{
    struct stat stat;
    world.directory_syncs +=
        fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) ? 1 : 0;
    return kv_io_system_table()->fsync(fd);
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
    world.table.fsync = counting_fsync;
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

/* After a reboot the index may lack some of its pages on the disk. */
static void pages_lost_with_a_boot_are_harmless(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);

    empty_index(dir, KV_TABLE_HEADER_SIZE, SLOT_PAGE_SIZE);
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
static void mounts_that_come_in_turns_build_once_each(void **state)
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
    assert_int_equal(world.renames, renames + 2);

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

/* A mount number that is used again may mean another mount; and so may any
 * number after a boot. */
static void mounts_that_prove_nothing_have_it_built(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (uint64_t i = 1; i <= 6; i++) {
        int renames = world.renames;
        world.mount = 1 + i % 2;
        assert_heals(dir);
        assert_int_equal(world.renames, renames + 1);
    }
    for (uint64_t i = 1; i <= 3; i++) {
        int renames = world.renames;
        world.boot = 1 + i;
        for (uint64_t id = 1; id <= 2; id++) {
            world.mount = UINT64_C(1) << 32 | id;
            assert_heals(dir);
        }
        assert_int_equal(world.renames, renames + 2);
    }
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

/* Points the only slot of an index into the middle of its line. */
static void move_slot_on(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    uint64_t word = 0;
    size_t at = KV_TABLE_HEADER_SIZE;
    while (at < size && word == 0) {
        memcpy(&word, bytes + at, sizeof word);
        at += word == 0 ? sizeof word : 0;
    }
    assert_int_not_equal(word, 0);
    word += 3;
    store_dir_overwrite(dir, KV_INDEX_NAME, at, &word, sizeof word);
    free(bytes);
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
        move_slot_on(dir);

        assert_value(i == 0 ? store : other, "key", "1");

        assert_int_equal(world.renames, renames + 1);
        assert_poisoned(dir, store, other, "1");
        kvstore_close(store);
        kvstore_close(other);
    }
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
    move_slot_on(dir);
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

static void fail_sync_at_step(const char *name)
{
    kvstore *syncer = failing.syncer;
    failing.is_growing |= strcmp(name, "state") == 0;
    if (syncer == NULL || !failing.is_growing || failing.steps_left-- > 0) {
        return;
    }
    failing.syncer = NULL;
    world.is_broken = true;
    assert_int_equal(kvstore_sync(syncer), KVSTORE_IO);
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

/* What others have appended needs an index for which there is no room. */
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

/* Without room for an index, each handle keeps one of its own until there
 * is. */
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

/* A handle checks the name of its index only now and then, and has just done
 * so. */
static void look_at_names(const kvstore *reader)
{
    kv_io_system_table()->sleep_ns(15000000);
    assert_value(reader, "a", "1");
}

static void lost_index_hides_no_private_set(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *writer = open_plain(dir);
    must_set(writer, "a", "1");
    kvstore *reader = open_plain(dir);
    world.is_full = true;
    look_at_names(reader);
    remove_index(dir);

    must_set(writer, "a", "2");

    assert_value(reader, "a", "2");
    kvstore_close(writer);
    kvstore_close(reader);
}

static void index_of_a_moment_hides_no_private_set(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *writer = open_plain(dir);
    world.is_full = true;
    remove_index(dir);
    must_set(writer, "a", "1");
    world.is_full = false;
    kvstore *reader = open_plain(dir);
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
    world.is_full = true;
    look_at_names(reader);
    remove_index(dir);

    must_set(writer, "a", "2");

    assert_value(reader, "a", "2");
    kvstore_close(writer);
    kvstore_close(reader);
}

/* The process that gave the log its name may have died before the directory was
 * synced; for a shared index, its builder has synced it. */
static void sync_of_a_private_pair_includes_the_name(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    world.is_full = true;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    int before = world.directory_syncs;

    assert_int_equal(kvstore_sync(store), KVSTORE_OK);

    assert_int_equal(world.directory_syncs, before + 1);
    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    assert_int_equal(world.directory_syncs, before + 1);
    kvstore_close(store);
}

/* --- Readers of a private index --- */

static kvstore *open_alone(const struct store_dir *dir)
{
    make_known(dir);
    remove_index(dir);
    world.is_full = true;
    kvstore *store = open_plain(dir);
    assert_false(store->index.is_shared);
    return store;
}

static void private_index_is_written_beside_its_readers(void **state)
{
    kvstore *store = open_alone(*state);
    assert_int_equal(kv_store_begin_read(store), KVSTORE_OK);

    must_set(store, "a", "1");

    kv_store_end_read(store);
    assert_value(store, "a", "1");
    assert_known(store);
    kvstore_close(store);
}

static void private_index_grows_and_keeps_its_keys(void **state)
{
    const struct store_dir *dir = *state;
    char key[32];
    kvstore *store = open_alone(dir);
    kvstore *other = open_plain(dir);
    unsigned level = store->index.table.level;
    int count = 0;
    for (; store->index.table.level == level; count++) {
        (void)snprintf(key, sizeof key, "grown-%d", count);
        must_set(store, key, key);
    }
    assert_int_equal(other->index.table.level, level);

    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "grown-%d", i);
        assert_value(store, key, key);
        assert_value(other, key, key);
    }

    assert_int_equal(other->index.table.level, store->index.table.level);
    assert_known(store);
    kvstore_close(store);
    kvstore_close(other);
}

static struct {
    const kvstore *reader;
    uint64_t damage;
    int looks;
} doubt;

/* The pause between two folds that are to agree. */
static void look_while_in_doubt(int64_t ns)
{
    struct kv_table_totals totals;
    if (doubt.reader != NULL) {
        const struct kv_table *table = &doubt.reader->index.table;
        assert_true(kv_table_load_totals(table, &totals));
        assert_int_equal(totals.applied, doubt.damage);
        assert_int_equal(totals.counts.damaged_records, 0);
        assert_int_equal(atomic_load(&table->header->end), doubt.damage);
        doubt.looks++;
    }
    kv_io_system_table()->sleep_ns(ns);
}

static void private_reader_publishes_no_damage_before_it_is_believed(
    void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    remove_index(dir);
    kvstore *reader = open_with(dir, &options);
    assert_absent(reader, "b");
    uint64_t before = checked_stats(reader).log_bytes;
    log_text_set(&text, "a", "1");
    doubt.damage = before + log_text_damaged_set(&text, "b", "2");
    log_text_set(&text, "c", "3");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    doubt.looks = 0;
    doubt.reader = reader;
    world.table.sleep_ns = look_while_in_doubt;

    assert_value(reader, "c", "3");

    doubt.reader = NULL;
    assert_int_equal(doubt.looks, 1);
    assert_value(reader, "a", "1");
    assert_int_equal(checked_stats(reader).damaged_records, 1);
    kvstore_close(reader);
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
        WORLD_TEST(mounts_that_come_in_turns_build_once_each),
        WORLD_TEST(mounts_that_prove_nothing_have_it_built),
        STORE_TEST(read_only_handle_creates_nothing),
        STORE_TEST(read_only_handle_follows_an_index),
        STORE_TEST(others_follow_growth),
        WORLD_TEST(full_disk_refuses_new_keys_alone),
        WORLD_TEST(failed_sync_of_appended_lines_is_not_tried_again),
        WORLD_TEST(failed_sync_outlives_a_rebuild),
        WORLD_TEST(failed_sync_outlives_the_death_of_a_builder),
        WORLD_TEST(sync_that_fails_during_growth_is_not_forgotten),
        WORLD_TEST(full_disk_does_not_hide_appended_lines),
        WORLD_TEST(full_disk_leaves_private_indexes),
        WORLD_TEST(lost_index_hides_no_private_set),
        WORLD_TEST(index_of_a_moment_hides_no_private_set),
        WORLD_TEST(sync_of_a_private_pair_includes_the_name),
        WORLD_TEST(private_index_is_written_beside_its_readers),
        WORLD_TEST(private_index_grows_and_keeps_its_keys),
        WORLD_TEST(private_reader_publishes_no_damage_before_it_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
