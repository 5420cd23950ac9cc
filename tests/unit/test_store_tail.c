/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: an exclusive handle,
 * which copies its lines to the mapped end of the log, or writes them over
 * padding if it is durable. */

#include "kvstore.h"
#include "log/log.h"
#include "os/directory.h"
#include "os/file.h"
#include "store/handle.h"
#include "store_calls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UNIT ((uint64_t)64 << 10) /* What is padded at a time. */
#define WARM_UP 64                /* Sets that are written by system calls. */
#define LARGE_READ 4097           /* Larger than a read for padding. */
#define EXT4 0xef53
#define NFS 0x6969

/* A system whose file system, disk and clock are set by a test. */
static struct {
    struct kv_io_table table;
    long type;
    const kvstore *limited; /* Its log does not go past */
    uint64_t disk_size;     /* this. */
    bool is_clock_stopped;  /* No handle checks names again. */
    atomic_int syncs;
    bool is_sync_failing;
    kvstore *writer;   /* Once, sets */
    int lines;         /* so many numbers while a read */
    size_t split_from; /* of this size or more */
    uint64_t seam;     /* is at this offset. */
} world;

static long told_type(int fd)
{
    (void)fd;
    return world.type;
}

static ssize_t limited_pwrite(int fd,
                              const void *bytes,
                              size_t size,
                              off_t offset)
{
    uint64_t start = (uint64_t)offset;
    bool is_limited = world.limited != NULL && world.limited->log.file.fd == fd;
    if (is_limited && start >= world.disk_size) {
        errno = ENOSPC;
        return -1;
    }
    uint64_t room = is_limited ? world.disk_size - start : size;
    return kv_io_system_table()->pwrite(
        fd, bytes, size < room ? size : (size_t)room, offset);
}

static int64_t stopped_clock(void)
{
    return world.is_clock_stopped ? INT64_C(1000000000000)
                                  : kv_io_system_table()->clock_coarse_ns();
}

static int counted_fdatasync(int fd)
{
    atomic_fetch_add(&world.syncs, 1);
    if (world.is_sync_failing) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fdatasync(fd);
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.type = EXT4;
    world.table = *kv_io_system_table();
    world.table.file_system_type = told_type;
    world.table.pwrite = limited_pwrite;
    world.table.clock_coarse_ns = stopped_clock;
    world.table.fdatasync = counted_fdatasync;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define TAIL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- Stores --- */

static kvstore_options exclusive_options(void)
{
    kvstore_options options = plain_options();
    options.exclusive = true;
    return options;
}

static kvstore *open_exclusive(const struct store_dir *dir)
{
    kvstore_options options = exclusive_options();
    return open_with(dir, &options);
}

static kvstore *open_durable(const struct store_dir *dir)
{
    kvstore_options options = exclusive_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    return open_with(dir, &options);
}

static kvstore *open_reader(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.read_only = true;
    return open_with(dir, &options);
}

static kvstore *open_impatient(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    return open_with(dir, &options);
}

static void set_number(kvstore *store, int key, int number)
{
    char name[32];
    char value[32];
    (void)snprintf(name, sizeof name, "key-%d", key);
    (void)snprintf(value, sizeof value, "value-%d", number);
    must_set(store, name, value);
}

static void assert_number(const kvstore *store, int key, int number)
{
    char name[32];
    char value[32];
    (void)snprintf(name, sizeof name, "key-%d", key);
    (void)snprintf(value, sizeof value, "value-%d", number);
    assert_value(store, name, value);
}

/* Makes enough sets that padding is in use. */
static void warm_up(kvstore *store)
{
    for (int i = 0; i <= WARM_UP; i++) {
        set_number(store, i, i);
    }
    assert_true(kv_log_is_padded(&store->log));
}

static uint64_t log_size(const struct store_dir *dir)
{
    return store_dir_file_size(dir, KV_LOG_NAME);
}

/* Asserts that the log is lines that begin and end as records do, and no
 * padding. */
static void assert_clean(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
    for (char *line = bytes; line < bytes + size;) {
        char *newline = memchr(line, '\n', (size_t)(bytes + size - line));
        assert_non_null(newline);
        assert_int_equal(line[0], '{');
        assert_int_equal(newline[-1], '}');
        line = newline + 1;
    }
    free(bytes);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
}

static void assert_no_cuts(const struct store_dir *dir)
{
    int cuts = 0;
    assert_int_equal(
        kv_io_list(&dir->directory, KV_LOG_NAME ".cut", "", count_name, &cuts),
        KVSTORE_OK);
    assert_int_equal(cuts, 0);
}

/* --- The two ways to append --- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Makes the same calls in any store that was empty. */
static void work(kvstore *store, uint64_t seed)
{
    static char value[200000];
    for (int i = 0; i < 6000; i++) {
        char key[32];
        uint64_t bits = next_random(&seed);
        size_t size = (size_t)(bits >> 20) & 1023;
        size = i % 97 == 0 ? (size_t)((bits >> 20) % 65000) : size;
        size = i % 501 == 0 ? (size_t)((bits >> 20) % sizeof value) : size;
        memset(value, 'a' + (int)(bits % 26), size);
        value[0] = i % 3 == 0 ? '\xff' : value[0];
        int key_size = snprintf(key,
                                sizeof key,
                                "k%d",
                                (int)((bits >> 40) % (i < 3000 ? 50 : 4000)));
        kvstore_status status =
            bits % 11 == 0
                ? kvstore_remove(store, key, (size_t)key_size)
                : kvstore_set(store, key, (size_t)key_size, value, size);
        assert_true(status == KVSTORE_OK || status == KVSTORE_NOT_FOUND);
        if (i % 2000 == 1500) {
            must_compact(store);
        }
    }
}

/* Works in a store that was empty, and leaves it so. The caller frees the
 * log. */
static char *log_of_work(const struct store_dir *dir,
                         kvstore *store,
                         bool is_padded,
                         kvstore_stats *stats_out)
{
    size_t size = 0;
    work(store, 42);
    assert_int_equal(kv_log_is_padded(&store->log), is_padded);
    *stats_out = checked_stats(store);
    kvstore_close(store);
    char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
    assert_int_equal(size, stats_out->log_bytes);
    store_dir_truncate(dir, KV_LOG_NAME, 0);
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);
    return bytes;
}

static void all_ways_write_the_same_log(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_stats stats[3];
    char *logs[3];

    logs[0] = log_of_work(dir, open_exclusive(dir), true, &stats[0]);
    logs[1] = log_of_work(dir, open_durable(dir), true, &stats[1]);
    world.type = NFS + 1; /* Some other file system. */
    logs[2] = log_of_work(dir, open_exclusive(dir), false, &stats[2]);

    for (int i = 1; i < 3; i++) {
        assert_int_equal(stats[i].log_bytes, stats[0].log_bytes);
        assert_memory_equal(logs[i], logs[0], (size_t)stats[0].log_bytes);
        assert_int_equal(stats[i].live_bytes, stats[0].live_bytes);
        assert_int_equal(stats[i].stale_bytes, stats[0].stale_bytes);
        assert_int_equal(stats[i].keys, stats[0].keys);
        free(logs[i]);
    }
    free(logs[0]);
}

static void only_exclusive_handles_have_a_tail(void **state)
{
    for (int i = 0; i < 3; i++) {
        kvstore_options options = plain_options();
        options.exclusive = i > 0;
        options.sync = i == 1 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
        kvstore *store = open_with(*state, &options);

        for (int j = 0; j <= WARM_UP; j++) {
            set_number(store, j, j);
        }

        assert_int_equal(kv_log_is_padded(&store->log), i > 0);
        kvstore_close(store);
    }
}

static void durable_sets_are_synced_over_padding(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_durable(dir);
    warm_up(store);
    uint64_t size = log_size(dir);
    assert_int_equal(size % UNIT, 0);
    int before = atomic_load(&world.syncs);

    for (int i = 0; i < 100; i++) {
        set_number(store, i, i + 1);
    }

    assert_int_equal(log_size(dir), size);
    assert_int_equal(atomic_load(&world.syncs), before + 100);
    kvstore_close(store);
    assert_clean(dir);
    store = open_reader(dir);
    assert_number(store, 99, 100);
    kvstore_close(store);
}

static void failed_durable_set_leaves_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_durable(dir);
    warm_up(store);
    uint64_t end = checked_stats(store).log_bytes;
    world.is_sync_failing = true;

    assert_int_equal(try_set(store, "key-7", "never"), KVSTORE_IO);

    world.is_sync_failing = false;
    assert_int_equal(log_size(dir), end);
    assert_number(store, 7, 7);
    kvstore_close(store);
    assert_clean(dir);
    store = open_impatient(dir);
    assert_number(store, 7, 7);
    kvstore_close(store);
}

static void padding_goes_at_close(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    assert_int_equal(log_size(dir) % UNIT, 0);
    uint64_t end = checked_stats(store).log_bytes;

    kvstore_close(store);

    assert_int_equal(log_size(dir), end);
    assert_clean(dir);
}

/* A get builds a deleted index anew, too. */
static void padding_goes_with_the_index(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);
    kv_io_system_table()->sleep_ns(15000000);

    assert_number(store, 1, 1);

    assert_true(store_dir_has(dir, "store.index"));
    assert_clean(dir);
    set_number(store, 1, 2);
    assert_number(store, 1, 2);
    kvstore_close(store);
    assert_clean(dir);
}

static void sync_reaches_what_was_copied(void **state)
{
    kvstore *store = open_exclusive(*state);
    warm_up(store);
    int before = atomic_load(&world.syncs);

    assert_int_equal(kvstore_sync(store), KVSTORE_OK);

    assert_int_equal(atomic_load(&world.syncs), before + 1);
    kvstore_close(store);
}

static void nothing_is_copied_behind_a_failed_sync(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    uint64_t end = checked_stats(store).log_bytes;
    world.is_sync_failing = true;

    assert_int_equal(kvstore_sync(store), KVSTORE_IO);
    world.is_sync_failing = false;
    assert_int_equal(try_set(store, "new", "1"), KVSTORE_IO);
    assert_number(store, 7, 7);
    assert_int_equal(checked_stats(store).log_bytes, end);
    must_compact(store);
    warm_up(store);

    kvstore_close(store);
    assert_clean(dir);
}

static void compaction_and_growth_go_on_with_another_tail(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    for (int i = 0; i < 5000; i++) {
        set_number(store, i % 2500, i);
        if (i % 1500 == 1499) {
            assert_true(kv_log_is_padded(&store->log));
            must_compact(store);
            assert_false(kv_log_is_padded(&store->log));
        }
    }

    for (int i = 2500; i < 5000; i++) {
        assert_number(store, i % 2500, i);
    }
    assert_true(kv_log_is_padded(&store->log));
    kvstore_close(store);
    assert_clean(dir);
}

static void deleted_index_is_built_anew_beside_padding(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);
    kv_io_sleep_ns(30000000);

    set_number(store, 1, 1000);

    assert_true(store_dir_has(dir, "store.index"));
    assert_number(store, 1, 1000);
    assert_number(store, 2, 2);
    assert_int_equal(checked_stats(store).blank_bytes, 0);
    warm_up(store);
    kvstore_close(store);
    assert_clean(dir);
}

static void *set_many(void *context)
{
    static atomic_int next;
    kvstore *store = context;
    int first = atomic_fetch_add(&next, 1) * 10000;
    for (int i = 0; i < 3000; i++) {
        set_number(store, first + i % 300, i);
    }
    return NULL;
}

static void threads_share_the_tail(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    kvstore *reader = open_reader(dir);
    pthread_t threads[4];
    bool are_sound = true;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, set_many, store), 0);
    }
    for (int i = 0; i < 2000; i++) {
        kvstore_status status = try_get(reader, "key-1");
        are_sound &= status == KVSTORE_OK || status == KVSTORE_NOT_FOUND;
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }

    assert_true(are_sound);
    for (int i = 0; i < 1200; i++) {
        assert_number(reader, i / 300 * 10000 + i % 300, 2700 + i % 300);
    }
    kvstore_close(reader);
    kvstore_close(store);
    assert_clean(dir);
}

/* --- Other handles beside it --- */

static void readers_see_each_set_at_once(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    kvstore *reader = open_reader(dir);
    kvstore *busy = open_impatient(dir);
    for (int i = 0; i < 3000; i++) {
        set_number(store, i % 10, i);
        assert_number(reader, i % 10, i);
        assert_number(busy, i % 10, i);
        if (i % 500 == 0) {
            kvstore *late = open_impatient(dir);
            assert_number(late, i % 10, i);
            assert_int_equal(kvstore_verify(late, NULL, NULL), KVSTORE_OK);
            assert_int_equal(try_set(late, "a", "b"), KVSTORE_BUSY);
            assert_int_equal(checked_stats(late).blank_bytes, 0);
            kvstore_close(late);
        }
    }
    assert_int_equal(kvstore_verify(reader, NULL, NULL), KVSTORE_OK);

    kvstore_close(store);
    must_set(busy, "a", "b");
    assert_value(reader, "a", "b");
    kvstore_close(busy);
    kvstore_close(reader);
    assert_clean(dir);
}

/* A reader without an index folds the log itself, padding and all. */
static void private_reader_leaves_padding_out(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    world.is_clock_stopped = true;
    set_number(store, 1, 1);
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);

    kvstore *reader = open_reader(dir);
    assert_false(reader->index.is_shared);
    for (int i = 0; i < 3000; i++) {
        set_number(store, i % 10, i);
        assert_number(reader, i % 10, i);
        kvstore_stats stats = checked_stats(reader);
        assert_int_equal(stats.blank_bytes + stats.damaged_bytes, 0);
        assert_int_equal(stats.log_bytes, store->index.totals.applied);
    }
    assert_true(kv_log_is_padded(&store->log));
    assert_int_equal(kvstore_verify(reader, NULL, NULL), KVSTORE_OK);
    world.is_clock_stopped = false;

    kvstore_close(store);
    assert_number(reader, 9, 2999);
    kvstore_close(reader);
}

/* A read takes time: while a reader copies the log's end, the writer replaces
 * padding with lines. What the reader has of them begins after tabs that are no
 * longer there. */
static ssize_t split_pread(int fd, void *buffer, size_t size, off_t offset)
{
    const struct kv_io_table *real = kv_io_system_table();
    uint64_t start = (uint64_t)offset;
    if (world.writer == NULL || size < world.split_from ||
        start >= world.seam || world.seam >= start + size) {
        return real->pread(fd, buffer, size, offset);
    }
    kvstore *writer = world.writer;
    world.writer = NULL;
    world.lines = 8;
    size_t first = (size_t)(world.seam - start);
    ssize_t part = real->pread(fd, buffer, first, offset);
    assert_int_equal(part, first);
    for (int i = 0; i < world.lines; i++) {
        set_number(writer, i, 100 + i);
    }
    part = real->pread(
        fd, (char *)buffer + first, size - first, (off_t)world.seam);
    return part < 0 ? part : part + (ssize_t)first;
}

static void assert_reads_whole_lines(const struct store_dir *dir,
                                     size_t split_from,
                                     int64_t seam)
{
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    set_number(store, 9, 100);
    int64_t line = (int64_t)store->index.totals.applied;
    set_number(store, 9, 101);
    int64_t end = (int64_t)store->index.totals.applied;
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);
    world.is_clock_stopped = true;
    kvstore *reader = open_reader(dir);
    assert_false(reader->index.is_shared);
    assert_number(reader, 9, 101);
    set_number(store, 9, 102);
    world.table.pread = split_pread;
    world.split_from = split_from;
    world.lines = 0;
    world.seam = (uint64_t)(end + 5 * (end - line) + seam);
    world.writer = store;

    assert_number(reader, 9, 102);

    world.writer = NULL;
    for (int i = 0; i < 8; i++) {
        set_number(store, i + 10, i);
        assert_number(reader, i + 10, i);
    }
    for (int i = 0; i < world.lines; i++) {
        assert_number(reader, i, 100 + i);
    }
    kvstore_stats stats = checked_stats(reader);
    assert_int_equal(stats.blank_bytes + stats.damaged_bytes, 0);
    world.is_clock_stopped = false;
    kvstore_close(reader);
    kvstore_close(store);
}

static void private_reader_meets_a_writer_at_a_line(void **state)
{
    assert_reads_whole_lines(*state, 0, 0);
    assert_reads_whole_lines(*state, LARGE_READ, 0);
}

static void private_reader_meets_a_writer_at_a_newline(void **state)
{
    assert_reads_whole_lines(*state, 0, -1);
    assert_reads_whole_lines(*state, LARGE_READ, -1);
}

/* An index that is up to date with padded lines needs no second fold. */
static void private_reader_is_up_with_padded_lines(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    world.is_clock_stopped = true;
    set_number(store, 1, 1);
    assert_int_equal(kv_io_unlink(&dir->directory, "store.index"), KVSTORE_OK);
    kvstore *reader = open_reader(dir);
    int fd = reader->log.file.fd;
    const void *region = reader->index.memory.region;

    assert_number(reader, 2, 2);

    assert_int_equal(reader->log.file.fd, fd);
    assert_ptr_equal(reader->index.memory.region, region);
    kvstore_close(reader);
    kvstore_close(store);
}

static void line_appended_by_hand_is_not_lost(void **state)
{
    static const char line[] = "{\"Set\":{\"key\":\"hand\",\"val\":\"1\"}}\n";
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    store_dir_append(dir, KV_LOG_NAME, line, sizeof line - 1);
    kv_io_sleep_ns(30000000);

    set_number(store, 1, 1000);

    assert_value(store, "hand", "1");
    assert_number(store, 1, 1000);
    (void)checked_stats(store);
    kvstore_close(store);
    store = open_reader(dir);
    assert_value(store, "hand", "1");
    assert_number(store, 2, 2);
    kvstore_close(store);
}

static void line_appended_by_hand_survives_close(void **state)
{
    static const char line[] = "{\"Set\":{\"key\":\"hand\",\"val\":\"1\"}}\n";
    const struct store_dir *dir = *state;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    store_dir_append(dir, KV_LOG_NAME, line, sizeof line - 1);

    kvstore_close(store);

    store = open_impatient(dir);
    assert_value(store, "hand", "1");
    assert_number(store, 2, 2);
    kvstore_close(store);
}

static void childs_close_leaves_the_padding(void **state)
{
    const struct store_dir *dir = *state;
    int status = 0;
    kvstore *store = open_exclusive(dir);
    warm_up(store);
    uint64_t size = log_size(dir);

    pid_t pid = fork();
    if (pid == 0) {
        bool is_refused = try_set(store, "child", "1") == KVSTORE_INVALID;
        kvstore_close(store);
        _exit(is_refused ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(status, 0);
    assert_int_equal(log_size(dir), size);
    for (int i = 0; i < 2000; i++) {
        set_number(store, i, i + 1);
    }
    kvstore_close(store);
    assert_clean(dir);
    store = open_reader(dir);
    assert_number(store, 1999, 2000);
    assert_absent(store, "child");
    kvstore_close(store);
}

/* --- Handles that open after it has died --- */

/* Sets in a child that dies with padding in the log. */
static void die_padded(const struct store_dir *dir)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        kvstore *store = open_exclusive(dir);
        warm_up(store);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(log_size(dir), UNIT);
}

static void readers_leave_a_dead_ones_padding(void **state)
{
    const struct store_dir *dir = *state;
    die_padded(dir);
    int syncs = atomic_load(&world.syncs);

    for (int i = 0; i < 4; i++) {
        kvstore_options options = KVSTORE_OPTIONS_INIT;
        options.read_only = i % 2 == 1;
        kvstore *store = open_with(dir, &options);
        assert_number(store, 0, 0);
        assert_number(store, WARM_UP, WARM_UP);
        assert_int_equal(checked_stats(store).blank_bytes, 0);
        assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
        kvstore_close(store);
        if (i == 1) {
            assert_int_equal(atomic_load(&world.syncs), syncs);
            assert_int_equal(kv_io_unlink(&dir->directory, "store.index"),
                             KVSTORE_OK);
        }
    }

    assert_int_equal(log_size(dir), UNIT);
}

static void next_writer_takes_the_padding_away(void **state)
{
    const struct store_dir *dir = *state;
    for (int i = 0; i < 8; i++) {
        kvstore_options options = plain_options();
        options.exclusive = (i & 1) != 0;
        options.sync = (i & 2) != 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
        die_padded(dir);
        if ((i & 4) != 0) {
            (void)kv_io_unlink(&dir->directory, "store.index");
        }
        kvstore *store = open_with(dir, &options);

        must_set(store, "a", "b");

        kvstore_stats stats = checked_stats(store);
        assert_int_equal(log_size(dir), stats.log_bytes);
        assert_int_equal(stats.blank_bytes + stats.damaged_bytes, 0);
        assert_number(store, WARM_UP, WARM_UP);
        kvstore_close(store);
        assert_clean(dir);
        assert_no_cuts(dir);
        store_dir_truncate(dir, KV_LOG_NAME, 0);
        (void)kv_io_unlink(&dir->directory, "store.index");
    }
}

static void compaction_and_repair_take_it_away(void **state)
{
    const struct store_dir *dir = *state;
    die_padded(dir);
    kvstore *store = open_impatient(dir);
    must_compact(store);
    kvstore_close(store);
    assert_clean(dir);

    die_padded(dir);
    store = open_impatient(dir);
    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);
    assert_number(store, WARM_UP, WARM_UP);
    kvstore_close(store);
    assert_clean(dir);
}

/* What a writer leaves when it is killed while copying a line. */
static void cut_killed_copy(const struct store_dir *dir,
                            const char *torn,
                            size_t size)
{
    die_padded(dir);
    kvstore *store = open_impatient(dir);
    uint64_t end = checked_stats(store).log_bytes;
    store_dir_overwrite(dir, KV_LOG_NAME, end, torn, size);

    must_set(store, "a", "b");

    assert_int_equal(checked_stats(store).damaged_bytes, 0);
    assert_int_equal(log_size(dir), checked_stats(store).log_bytes);
    kvstore_close(store);
    store = open_reader(dir);
    assert_value(store, "a", "b");
    assert_absent(store, "k");
    kvstore_close(store);
    assert_clean(dir);
    assert_no_cuts(dir);
    store_dir_truncate(dir, KV_LOG_NAME, 0);
}

/* All but the first byte is there up to some place, or from there on. */
static void killed_copy_is_cut_without_a_trace(void **state)
{
    static const char line[] =
        "{\"Set\":{\"key\":\"k\",\"val\":\"{\\\"a\\\":1}\","
        "\"sum\":\"00000000\"}}\n";
    for (size_t from = 2; from <= sizeof line - 1; from++) {
        char torn[sizeof line - 1];
        memcpy(torn, line, sizeof torn);
        torn[0] = '\t';
        memset(torn + from, '\t', sizeof torn - from);
        cut_killed_copy(*state, torn, sizeof torn);
        memcpy(torn + 2, line + 2, sizeof torn - 2);
        memset(torn + 2, '\t', from - 2);
        cut_killed_copy(*state, torn, sizeof torn);
    }
}

/* Any beginning of a line that was written over padding, or all of it but its
 * newline, with a wrong sum. */
static void killed_write_is_cut_without_a_trace(void **state)
{
    static const char line[] =
        "{\"Set\":{\"key\":\"k\",\"val\":\"{\\\"a\\\":1}\","
        "\"sum\":\"00000000\"}}\n";
    for (size_t size = 1; size < sizeof line - 1; size++) {
        cut_killed_copy(*state, line, size);
    }
}

/* A power cut leaves any of a write's sectors; where one is missing, the
 * padding shows. */
static void lost_sector_of_a_write_is_no_damage(void **state)
{
    const struct store_dir *dir = *state;
    static const char head[] = "{\"Set\":{\"key\":\"key-1\",\"val\":\"";
    static const char end_of_line[] = "\",\"sum\":\"00000000\"}}\n";
    char line[3000];
    memset(line, 'v', sizeof line);
    memcpy(line, head, sizeof head - 1);
    memcpy(line + sizeof line - sizeof end_of_line + 1,
           end_of_line,
           sizeof end_of_line - 1);
    die_padded(dir);
    kvstore *store = open_reader(dir);
    uint64_t end = checked_stats(store).log_bytes;
    kvstore_close(store);
    uint64_t hole = (end / 512 + 2) * 512 - end;
    memset(line + hole, '\t', 512);
    store_dir_overwrite(dir, KV_LOG_NAME, end, line, sizeof line);

    store = open_impatient(dir);
    must_set(store, "a", "b");

    assert_number(store, 1, 1);
    assert_int_equal(checked_stats(store).damaged_records, 0);
    kvstore_close(store);
    assert_clean(dir);
}

/* Another program's line, not quite JSON. */
static void tabs_behind_a_line_do_not_make_it_torn(void **state)
{
    const struct store_dir *dir = *state;
    static const char text[] = "{\"Set\":{\"key\":\"k\",\"val\":\"1\",}}";
    char line[100];
    memset(line, '\t', sizeof line);
    memcpy(line, text, sizeof text - 1);
    line[sizeof line - 1] = '\n';
    store_dir_write(dir, KV_LOG_NAME, line, sizeof line);

    kvstore *store = open_impatient(dir);
    must_set(store, "a", "b");

    assert_int_equal(checked_stats(store).damaged_records, 1);
    assert_int_equal(checked_stats(store).damaged_bytes, sizeof line);
    kvstore_close(store);
    assert_no_cuts(dir);
}

/* A last line that has rotted is closed by its own newline, before the padding:
 * it was not cut short. */
static void rotted_line_before_padding_is_not_dropped(void **state)
{
    const struct store_dir *dir = *state;
    die_padded(dir);
    kvstore *store = open_reader(dir);
    uint64_t end = checked_stats(store).log_bytes;
    kvstore_close(store);
    store_dir_overwrite(dir, KV_LOG_NAME, end - 12, "#", 1);
    (void)kv_io_unlink(&dir->directory, "store.index");

    store = open_impatient(dir);
    must_set(store, "a", "b");

    assert_int_equal(checked_stats(store).damaged_records, 1);
    kvstore_close(store);
}

/* A power cut may leave all of a line but its newline in front of the padding. It
 * was not acknowledged: no handle may tell of it, as long as one cuts it off. */
static void line_without_its_newline_is_told_by_nobody(void **state)
{
    static const char lines[] =
        "{\"Set\":{\"key\":\"user\",\"val\":\"Alice\",\"sum\":\"b2fd84ab\"}}\n"
        "{\"Remove\":{\"key\":\"user\",\"sum\":\"515c8fa6\"}}";
    const struct store_dir *dir = *state;
    char log[sizeof lines + 100];
    memset(log, '\t', sizeof log);
    memcpy(log, lines, sizeof lines - 1);
    store_dir_write(dir, KV_LOG_NAME, log, sizeof log);

    kvstore *reader = open_reader(dir);
    assert_value(reader, "user", "Alice");
    kvstore *store = open_impatient(dir);
    assert_value(store, "user", "Alice");
    must_set(store, "a", "b");
    assert_value(store, "user", "Alice");
    assert_value(reader, "user", "Alice");
    kvstore_close(store);
    kvstore_close(reader);
}

static void line_of_a_dead_writer_is_kept(void **state)
{
    static const char line[] = "{\"Set\":{\"key\":\"k\",\"val\":\"1\"}}\n";
    const struct store_dir *dir = *state;
    die_padded(dir);
    kvstore *store = open_reader(dir);
    uint64_t end = checked_stats(store).log_bytes;
    kvstore_close(store);
    store_dir_overwrite(dir, KV_LOG_NAME, end, line, sizeof line - 1);

    store = open_impatient(dir);

    assert_value(store, "k", "1");
    must_set(store, "a", "b");
    kvstore_close(store);
    assert_clean(dir);
    assert_no_cuts(dir);
}

/* --- Full disks --- */

static void fill_disk(const struct store_dir *dir, kvstore *store)
{
    warm_up(store);
    world.limited = store;
    world.disk_size = 4 * UNIT + 12345;
    int done = 0;

    while (done < 100000) {
        char key[32];
        (void)snprintf(key, sizeof key, "full-%d", done);
        if (try_set(store, key, "value") != KVSTORE_OK) {
            break;
        }
        done++;
    }
    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    uint64_t end = checked_stats(store).log_bytes;
    assert_true(world.disk_size - end < 100);
    assert_int_equal(log_size(dir), end);
    world.limited = NULL;
    for (int i = 0; i < 1000; i++) {
        set_number(store, i, i);
    }

    for (int i = 0; i < done; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "full-%d", i);
        assert_value(store, key, "value");
    }
    assert_true(kv_log_is_padded(&store->log));
    kvstore_close(store);
    assert_clean(dir);
}

static void full_disk_loses_nothing(void **state)
{
    fill_disk(*state, open_exclusive(*state));
}

static void full_disk_loses_nothing_that_is_durable(void **state)
{
    fill_disk(*state, open_durable(*state));
}

/* Sets until a limit on file sizes is reached, in a child. Returns its status:
 * 0 if the last set said so. */
static int set_up_to_limit(kvstore *store, uint64_t limit_bytes, bool waits)
{
    struct rlimit limit = {.rlim_cur = limit_bytes, .rlim_max = RLIM_INFINITY};
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    if (waits) {
        kv_io_system_table()->sleep_ns(2 * KV_NAME_CHECK_NS);
    }
    kvstore_status set = KVSTORE_OK;
    for (int i = 0; i < 100000 && set == KVSTORE_OK; i++) {
        set = try_set(store, "again", "value");
    }
    bool is_limit = kvstore_last_error()->system_errno == EFBIG;
    kvstore_close(store);
    return set == KVSTORE_IO && is_limit ? 0 : 1;
}

static void limit_on_file_sizes_raises_no_signal(void **state)
{
    const struct store_dir *dir = *state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        kvstore *store = open_exclusive(dir);
        warm_up(store);
        _exit(set_up_to_limit(store, 3 * UNIT + 5000, false));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(status, 0);
    assert_true(log_size(dir) > 3 * UNIT + 4900);
    assert_clean(dir);
}

static void lowered_limit_raises_no_signal_in_a_shared_handle(void **state)
{
    const struct store_dir *dir = *state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        kvstore *store = open_plain(dir);
        _exit(try_set(store, "a", "1") == KVSTORE_OK
                  ? set_up_to_limit(store, 20000, true)
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(status, 0);
    assert_true(log_size(dir) > 19000);
    assert_clean(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAIL_TEST(all_ways_write_the_same_log),
        TAIL_TEST(only_exclusive_handles_have_a_tail),
        TAIL_TEST(durable_sets_are_synced_over_padding),
        TAIL_TEST(failed_durable_set_leaves_nothing),
        TAIL_TEST(padding_goes_at_close),
        TAIL_TEST(padding_goes_with_the_index),
        TAIL_TEST(sync_reaches_what_was_copied),
        TAIL_TEST(nothing_is_copied_behind_a_failed_sync),
        TAIL_TEST(compaction_and_growth_go_on_with_another_tail),
        TAIL_TEST(deleted_index_is_built_anew_beside_padding),
        TAIL_TEST(threads_share_the_tail),
        TAIL_TEST(readers_see_each_set_at_once),
        TAIL_TEST(private_reader_leaves_padding_out),
        TAIL_TEST(private_reader_meets_a_writer_at_a_line),
        TAIL_TEST(private_reader_meets_a_writer_at_a_newline),
        TAIL_TEST(private_reader_is_up_with_padded_lines),
        TAIL_TEST(line_appended_by_hand_is_not_lost),
        TAIL_TEST(line_appended_by_hand_survives_close),
        TAIL_TEST(childs_close_leaves_the_padding),
        TAIL_TEST(readers_leave_a_dead_ones_padding),
        TAIL_TEST(next_writer_takes_the_padding_away),
        TAIL_TEST(compaction_and_repair_take_it_away),
        TAIL_TEST(killed_copy_is_cut_without_a_trace),
        TAIL_TEST(killed_write_is_cut_without_a_trace),
        TAIL_TEST(lost_sector_of_a_write_is_no_damage),
        TAIL_TEST(tabs_behind_a_line_do_not_make_it_torn),
        TAIL_TEST(rotted_line_before_padding_is_not_dropped),
        TAIL_TEST(line_without_its_newline_is_told_by_nobody),
        TAIL_TEST(line_of_a_dead_writer_is_kept),
        TAIL_TEST(full_disk_loses_nothing),
        TAIL_TEST(full_disk_loses_nothing_that_is_durable),
        TAIL_TEST(limit_on_file_sizes_raises_no_signal),
        TAIL_TEST(lowered_limit_raises_no_signal_in_a_shared_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
