/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: where a handle can share
 * no index. It reads by one of its own, compacts and repairs by one, and is
 * refused when it writes. */

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
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* --- What the system refuses --- */

static struct {
    struct kv_io_table table;
    uint64_t boot;
    int create_error; /* Of a new index; 0: none. */
    int room_error;   /* Of the room for it. */
    int map_error;    /* Of a mapping that can be written. */
    int directory_syncs;
    int data_syncs;
    int sync_error; /* Of a description that cannot write. */
} world;

static int told_boot_id(uint64_t *id_out)
{
    *id_out = world.boot;
    return 0;
}

static int refusing_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    if (world.create_error != 0 && (flags & O_CREAT) != 0 &&
        strncmp(name, KV_INDEX_NAME ".", sizeof KV_INDEX_NAME) == 0) {
        errno = world.create_error;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static int refusing_allocate_blocks(int fd, off_t size)
{
    if (world.room_error != 0) {
        errno = world.room_error;
        return -1;
    }
    return kv_io_system_table()->allocate_blocks(fd, size);
}

static void *refusing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    if (world.map_error != 0 && is_writable) {
        errno = world.map_error;
        return MAP_FAILED;
    }
    return kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

static int counting_fdatasync(int fd)
{
    world.data_syncs++;
    return kv_io_system_table()->fdatasync(fd);
}

static int counting_fsync(int fd)
{
    struct stat stat;
    world.directory_syncs +=
        fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) ? 1 : 0;
    return kv_io_system_table()->fsync(fd);
}

static void refuse_nothing(void)
{
    world.create_error = 0;
    world.room_error = 0;
    world.map_error = 0;
}

static void fill_disk(void)
{
    world.room_error = ENOSPC;
}

static int enter_world(void **state)
{
    refuse_nothing();
    world.boot = 1;
    world.directory_syncs = 0;
    world.table = *kv_io_system_table();
    world.table.boot_id = told_boot_id;
    world.table.openat = refusing_openat;
    world.table.allocate_blocks = refusing_allocate_blocks;
    world.table.mmap = refusing_mmap;
    world.table.fsync = counting_fsync;
    world.table.fdatasync = counting_fdatasync;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int leave_world(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

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

/* The files of a store, or of one without an index. */
struct files {
    char *log;
    size_t log_size;
    char *index; /* NULL: none. */
    size_t index_size;
    int count;
};

static struct files read_files(const struct store_dir *dir)
{
    struct files files = {.count = count_files(dir)};
    files.log = store_dir_read(dir, KV_LOG_NAME, &files.log_size);
    if (store_dir_has(dir, KV_INDEX_NAME)) {
        files.index = store_dir_read(dir, KV_INDEX_NAME, &files.index_size);
    }
    return files;
}

/* Checks that no byte has changed and no file has come or gone. */
static void assert_files(const struct store_dir *dir, struct files *files)
{
    store_dir_assert_file(dir, KV_LOG_NAME, files->log, files->log_size);
    if (files->index != NULL) {
        store_dir_assert_file(
            dir, KV_INDEX_NAME, files->index, files->index_size);
    }
    assert_int_equal(count_files(dir), files->count);
    free(files->log);
    free(files->index);
}

static void assert_refused(kvstore *store, int system_errno)
{
    assert_int_equal(try_set(store, "key-1", "refused"), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
    assert_int_equal(try_set(store, "refused", "1"), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
    assert_int_equal(kvstore_remove(store, "key-1", 5), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
}

static bool count_key(void *context, const void *key, size_t key_size)
{
    (void)key;
    (void)key_size;
    (*(int *)context)++;
    return true;
}

/* Every call that reads. */
static void assert_reads(kvstore *store)
{
    int count = 0;
    assert_known(store);
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
    assert_int_equal(kvstore_list(store, "", 0, count_key, &count), KVSTORE_OK);
    assert_int_equal(count, KNOWN_KEYS);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
}

/* --- Why there is no index to share --- */

struct reason {
    const char *name;
    int create_error;
    int room_error;
    int map_error;
};

static const struct reason reasons[] = {
    {.name = "create: ENOSPC", .create_error = ENOSPC},
    {.name = "create: EDQUOT", .create_error = EDQUOT},
    {.name = "create: EACCES", .create_error = EACCES},
    {.name = "create: EPERM", .create_error = EPERM},
    {.name = "create: EROFS", .create_error = EROFS},
    {.name = "room: ENOSPC", .room_error = ENOSPC},
    {.name = "room: EDQUOT", .room_error = EDQUOT},
    {.name = "room: EFBIG", .room_error = EFBIG},
    {.name = "mmap: ENODEV", .map_error = ENODEV},
};
#define REASONS (sizeof reasons / sizeof reasons[0])

static int errno_of(const struct reason *reason)
{
    return reason->create_error + reason->room_error + reason->map_error;
}

static void begin_refusing(const struct reason *reason)
{
    print_message("%s\n", reason->name);
    world.create_error = reason->create_error;
    world.room_error = reason->room_error;
    world.map_error = reason->map_error;
}

/* Makes a store whose index is there and counts for nothing. */
static void make_untrusted(const struct store_dir *dir)
{
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    make_known(dir);
    store_dir_overwrite(dir, KV_INDEX_NAME, 0, "of another program", 18);
}

/* A store is left as it was by whoever can only read it. */
static void reads_go_on_and_writes_are_refused(void **state)
{
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < 2 * REASONS; i++) {
        make_untrusted(dir);
        if (i >= REASONS) {
            remove_index(dir);
        }
        struct files files = read_files(dir);
        begin_refusing(&reasons[i % REASONS]);
        kvstore *store = open_plain(dir);

        assert_refused(store, errno_of(&reasons[i % REASONS]));

        assert_reads(store);
        assert_false(store->index.is_shared);
        assert_refused(store, errno_of(&reasons[i % REASONS]));
        assert_reads(store);
        assert_files(dir, &files);
        refuse_nothing();
        must_set(store, "key-1", "taken");
        assert_true(store->index.is_shared);
        kvstore_close(store);
    }
}

/* An index that this process alone cannot use is left to the others: nothing is
 * rewritten beside it. */
static void assert_leaves_index_alone(const struct store_dir *dir,
                                      kvstore *store,
                                      int system_errno)
{
    struct files files = read_files(dir);
    assert_int_equal(kvstore_compact(store), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
    assert_int_not_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
    assert_files(dir, &files);
}

/* Compaction and repair are the way out of a full disk. */
static void compaction_by_a_private_index_makes_room(void **state)
{
    const struct store_dir *dir = *state;
    for (size_t i = 0; i < 2 * REASONS; i++) {
        make_untrusted(dir);
        if (i >= REASONS) {
            remove_index(dir);
        }
        uint64_t size = store_dir_file_size(dir, KV_LOG_NAME);
        begin_refusing(&reasons[i % REASONS]);
        kvstore *store = open_plain(dir);
        if (world.map_error != 0 && i < REASONS) {
            assert_leaves_index_alone(dir, store, world.map_error);
            refuse_nothing();
            kvstore_close(store);
            continue;
        }

        must_compact(store);

        assert_false(store->index.is_shared);
        assert_int_equal(count_files(dir), 1); /* No index has the name. */
        assert_true(store_dir_file_size(dir, KV_LOG_NAME) < size);
        assert_int_equal(checked_stats(store).stale_bytes, 0);
        assert_reads(store);
        assert_refused(store, errno_of(&reasons[i % REASONS]));
        refuse_nothing();
        must_set(store, "key-1", "taken");
        assert_value(store, "key-1", "taken");
        kvstore_close(store);
        assert_true(store_dir_has(dir, KV_INDEX_NAME));
    }
}

static void repair_by_a_private_index_makes_a_sound_log(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    make_untrusted(dir);
    (void)log_text_damaged_set(&text, "damaged", "1");
    log_text_set(&text, "behind", "2");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    fill_disk();
    kvstore *store = open_plain(dir);
    assert_int_equal(checked_stats(store).damaged_records, 1);

    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);

    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    assert_int_equal(checked_stats(store).damaged_records, 0);
    assert_value(store, "behind", "2");
    assert_known(store);
    assert_refused(store, ENOSPC);
    refuse_nothing();
    must_set(store, "damaged", "3");
    kvstore_close(store);
}

/* There is room for the new log, and none for an index of it. */
static void full_disk_beside_a_trusted_index_can_be_rewritten(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    must_set(store, "key", "2");
    kvstore *other = open_plain(dir);
    assert_value(other, "key", "2");
    fill_disk();

    must_compact(store);

    assert_false(store->index.is_shared);
    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    assert_int_equal(checked_stats(store).stale_bytes, 0);
    assert_value(other, "key", "2");
    assert_refused(other, ENOSPC);
    refuse_nothing();
    must_set(other, "key", "3");
    assert_value(store, "key", "3");
    kvstore_close(store);
    kvstore_close(other);

    (void)log_text_damaged_set(&text, "damaged", "1");
    log_text_set(&text, "behind", "2");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    store = open_plain(dir);
    assert_true(store->index.is_shared);
    fill_disk();
    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);
    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    assert_value(store, "key", "3");
    assert_value(store, "behind", "2");
    refuse_nothing();
    must_set(store, "damaged", "3");
    kvstore_close(store);
}

/* It goes on by a private index, and has not failed. */
static void read_by_a_private_index_sets_no_error(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    fill_disk();
    remove_index(dir);
    kv_io_sleep_ns(2 * KV_NAME_CHECK_NS);
    kvstore_error before = *kvstore_last_error();

    assert_value(store, "key", "1");

    assert_false(store->index.is_shared);
    assert_memory_equal(kvstore_last_error(), &before, sizeof before);
    kvstore_close(store);
}

/* What is no regular file is not ours to take away. */
static void directory_in_the_place_of_the_index_stays(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    assert_int_equal(mkdir(store_dir_path(dir, KV_INDEX_NAME), 0700), 0);
    kvstore *store = open_plain(dir);

    assert_refused(store, EEXIST);

    assert_reads(store);
    must_compact(store);
    assert_reads(store);
    assert_refused(store, EEXIST);
    assert_int_equal(remove(store_dir_path(dir, KV_INDEX_NAME)), 0);
    must_set(store, "key-1", "taken");
    kvstore_close(store);
}

static void fifo_in_the_place_of_the_index_stays(void **state)
{
    const struct store_dir *dir = *state;
    struct stat stat;
    make_known(dir);
    remove_index(dir);
    assert_int_equal(mkfifo(store_dir_path(dir, KV_INDEX_NAME), 0600), 0);
    kvstore *store = open_plain(dir);

    must_compact(store);

    assert_int_equal(lstat(store_dir_path(dir, KV_INDEX_NAME), &stat), 0);
    assert_true(S_ISFIFO(stat.st_mode));
    assert_refused(store, EEXIST);
    assert_reads(store);
    kvstore_close(store);
}

/* --- A full disk --- */

/* What others have appended needs a larger index, for which there is no room.
 * Nobody sees those lines, and nobody writes over them. */
static void full_disk_leaves_appended_lines_alone(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    kvstore_close(store);
    append_many_by_hand(dir);
    fill_disk();
    size_t size = (size_t)store_dir_file_size(dir, KV_LOG_NAME);
    store = open_plain(dir);
    kvstore *other = open_plain(dir);

    for (int i = 0; i < 3; i++) {
        assert_value(other, "key", "1");
        assert_absent(other, "key-1");
        assert_int_equal(try_set(store, "key", "2"), KVSTORE_IO);
        assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
        assert_value(store, "key", "1");
        assert_absent(store, "key-1");
    }

    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), size);
    assert_int_equal(count_files(dir), 2);
    refuse_nothing();
    must_set(store, "key", "2");
    assert_value(other, "key", "2");
    assert_many(other);
    assert_many(store);
    kvstore_close(store);
    kvstore_close(other);
}

/* But a compaction folds them, and they are in the log that it writes. */
static void compaction_on_a_full_disk_keeps_appended_lines(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    append_many_by_hand(dir);
    fill_disk();
    kvstore *other = open_plain(dir);

    must_compact(other);

    assert_many(other);
    assert_many(store);
    refuse_nothing();
    must_set(store, "key", "2");
    assert_value(other, "key", "2");
    kvstore_close(store);
    kvstore_close(other);
}

/* Without room for an index, each handle reads by one of its own until there
 * is. */
static void full_disk_leaves_readers(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    fill_disk();
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    assert_int_equal(count_files(dir), 1);
    assert_reads(store);
    assert_reads(other);
    assert_refused(store, ENOSPC);
    assert_int_equal(count_files(dir), 1);
    refuse_nothing();

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

/* A reader may still use the index that was lost. */
static void lost_index_on_a_full_disk_refuses_sets(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS; /* It checks the names each time. */
    kvstore *writer = open_with(dir, &options);
    must_set(writer, "a", "1");
    kvstore *reader = open_plain(dir);
    fill_disk();
    look_at_names(reader);
    remove_index(dir);

    assert_int_equal(try_set(writer, "a", "2"), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_value(reader, "a", "1");
    assert_value(writer, "a", "1");
    refuse_nothing();
    must_set(writer, "a", "2");
    assert_value(reader, "a", "2");
    kvstore_close(writer);
    kvstore_close(reader);
}

static int sync_that_fails_once_for_readers(int fd)
{
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY && world.sync_error != 0) {
        errno = world.sync_error;
        return -1;
    }
    return kv_io_system_table()->fdatasync(fd);
}

/* The kernel tells each description of a failed write once. One that was opened
 * after the failure knows of nothing; so the one of before stays. */
static void lost_write_is_known_after_the_index(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *writer = open_plain(dir);
    must_set(writer, "a", "1");
    fill_disk();
    remove_index(dir);
    look_at_names(writer);
    assert_value(writer, "a", "1");
    assert_int_equal(checked_stats(writer).slow_open, KVSTORE_OPEN_PRIVATELY);
    world.sync_error = EIO;
    world.table.fdatasync = sync_that_fails_once_for_readers;

    assert_int_equal(kvstore_sync(writer), KVSTORE_IO);

    world.sync_error = 0;
    assert_int_equal(kvstore_sync(writer), KVSTORE_IO);
    kvstore_close(writer);
}

/* Nor does a compaction make an index that was lost a stale one. */
static void private_compaction_hides_no_later_set(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *writer = open_plain(dir);
    must_set(writer, "a", "1");
    kvstore *reader = open_plain(dir);
    fill_disk();
    look_at_names(reader);
    world.boot = 2; /* For the compactor, nobody's index counts. */
    kvstore *compactor = open_plain(dir);
    must_compact(compactor);
    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    refuse_nothing();

    must_set(compactor, "a", "2");

    assert_value(reader, "a", "2");
    must_set(writer, "a", "3");
    assert_value(reader, "a", "3");
    assert_value(compactor, "a", "3");
    kvstore_close(writer);
    kvstore_close(reader);
    kvstore_close(compactor);
}

/* The process that gave the log its name may have died before the directory was
 * synced; for a shared index, its builder has synced it. */
static void sync_of_a_private_pair_includes_the_name(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    remove_index(dir);
    fill_disk();
    kvstore *store = open_plain(dir);
    assert_known(store);
    int before = world.directory_syncs;

    assert_int_equal(kvstore_sync(store), KVSTORE_OK);

    assert_int_equal(world.directory_syncs, before + 1);
    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    assert_int_equal(world.directory_syncs, before + 1);
    kvstore_close(store);
}

/* Opens a durable handle that has no room for an index. */
static kvstore *open_durable_alone(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    make_known(dir);
    remove_index(dir);
    fill_disk();
    return open_with(dir, &options);
}

static void durable_reader_syncs_before_it_reports(void **state)
{
    kvstore *store = open_durable_alone(*state);
    int before = world.directory_syncs;
    world.data_syncs = 0;

    assert_known(store);

    assert_int_equal(world.directory_syncs, before + 1);
    assert_int_equal(world.data_syncs, 1);
    assert_refused(store, ENOSPC);
    assert_known(store);
    kvstore_close(store);
}

static int failing_fdatasync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

/* What cannot be synced is not told the first time. Then nothing more is to be
 * had of syncs. */
static void durable_reader_that_cannot_sync_says_so(void **state)
{
    kvstore *store = open_durable_alone(*state);
    world.table.fdatasync = failing_fdatasync;

    assert_int_equal(try_get(store, "key-1"), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, EIO);
    assert_known(store);
    kvstore_close(store);
}

/* --- Readers of a private index --- */

/* Opens a read-only handle that no index can be mapped for. */
static kvstore *open_alone(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.read_only = true;
    make_known(dir);
    remove_index(dir);
    kvstore *reader = open_with(dir, &options);
    assert_false(reader->index.is_shared);
    return reader;
}

static void private_reader_follows_beside_its_reads(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *reader = open_alone(dir);
    assert_int_equal(kv_store_begin_read(reader), KVSTORE_OK);

    append_by_hand(dir, "1");
    assert_value(reader, "hand", "1");

    kv_store_end_read(reader);
    assert_false(reader->index.is_shared);
    assert_known(reader);
    kvstore_close(reader);
}

static void private_index_grows_and_keeps_its_keys(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *reader = open_alone(dir);
    assert_known(reader);
    uint64_t buckets = reader->index.table.bucket_count;
    append_many_by_hand(dir);

    assert_many(reader);

    assert_false(reader->index.is_shared);
    assert_true(reader->index.table.bucket_count > buckets);
    append_by_hand(dir, "1");
    assert_value(reader, "hand", "1");
    assert_many(reader);
    kvstore_close(reader);
}

/* As soon as there is an index, it joins. */
static void private_reader_joins_a_writer(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *reader = open_alone(dir);
    kvstore *writer = open_plain(dir);

    must_set(writer, "a", "1");

    assert_value(reader, "a", "1");
    assert_true(reader->index.is_shared);
    must_remove(writer, "a");
    assert_absent(reader, "a");
    assert_known(reader);
    kvstore_close(reader);
    kvstore_close(writer);
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
        WORLD_TEST(reads_go_on_and_writes_are_refused),
        WORLD_TEST(compaction_by_a_private_index_makes_room),
        WORLD_TEST(repair_by_a_private_index_makes_a_sound_log),
        WORLD_TEST(full_disk_beside_a_trusted_index_can_be_rewritten),
        WORLD_TEST(read_by_a_private_index_sets_no_error),
        WORLD_TEST(directory_in_the_place_of_the_index_stays),
        WORLD_TEST(fifo_in_the_place_of_the_index_stays),
        WORLD_TEST(full_disk_leaves_appended_lines_alone),
        WORLD_TEST(compaction_on_a_full_disk_keeps_appended_lines),
        WORLD_TEST(full_disk_leaves_readers),
        WORLD_TEST(lost_index_on_a_full_disk_refuses_sets),
        WORLD_TEST(lost_write_is_known_after_the_index),
        WORLD_TEST(private_compaction_hides_no_later_set),
        WORLD_TEST(sync_of_a_private_pair_includes_the_name),
        WORLD_TEST(durable_reader_syncs_before_it_reports),
        WORLD_TEST(durable_reader_that_cannot_sync_says_so),
        WORLD_TEST(private_reader_follows_beside_its_reads),
        WORLD_TEST(private_index_grows_and_keeps_its_keys),
        WORLD_TEST(private_reader_joins_a_writer),
        WORLD_TEST(private_reader_publishes_no_damage_before_it_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
