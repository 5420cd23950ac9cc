/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: threads, several
 * handles on one directory, exclusive ones, and fork. */

#include "any_status.h"
#include "idle_clock.h"
#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "os/lock.h"
#include "store_calls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 8
#define KEYS_PER_THREAD 250

static kvstore_options impatient_options(void)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    return options;
}

/* --- Threads --- */

struct worker {
    kvstore *store;
    int number;
    bool is_good;
};

static bool holds(const kvstore *store, const char *key, const char *value)
{
    char buffer[32];
    size_t size = 0;
    return kvstore_get_into(
               store, key, strlen(key), buffer, sizeof buffer, &size) ==
               KVSTORE_OK &&
           size == strlen(value) && memcmp(buffer, value, size) == 0;
}

/* Sets its keys, reads them and another thread's, removes every fifth. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    char key[32];
    char value[32];
    worker->is_good = true;
    for (int i = 0; i < KEYS_PER_THREAD; i++) {
        (void)snprintf(key, sizeof key, "key-%d-%d", worker->number, i);
        (void)snprintf(value, sizeof value, "value-%d", i);
        worker->is_good &= try_set(worker->store, key, "old") == KVSTORE_OK &&
                           try_set(worker->store, key, value) == KVSTORE_OK &&
                           holds(worker->store, key, value);
        if (i % 5 == 0) {
            worker->is_good &=
                kvstore_remove(worker->store, key, strlen(key)) == KVSTORE_OK &&
                try_get(worker->store, key) == KVSTORE_NOT_FOUND;
        }
        key[4] = (char)('0' + (worker->number + 1) % THREADS);
        kvstore_status other = try_get(worker->store, key);
        worker->is_good &= other == KVSTORE_OK || other == KVSTORE_NOT_FOUND;
    }
    return NULL;
}

/* stores[i % count] is the handle of thread i. */
static void run_workers(kvstore **stores, int count)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = stores[i % count], .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(workers[i].is_good);
    }
}

static void assert_there(const kvstore *store, int thread, int i)
{
    char key[32];
    char value[32];
    (void)snprintf(key, sizeof key, "key-%d-%d", thread, i);
    (void)snprintf(value, sizeof value, "value-%d", i);
    if (i % 5 == 0) {
        assert_absent(store, key);
    } else {
        assert_value(store, key, value);
    }
}

static void assert_all_there(const kvstore *store)
{
    for (int i = 0; i < THREADS * KEYS_PER_THREAD; i++) {
        assert_there(store, i / KEYS_PER_THREAD, i % KEYS_PER_THREAD);
    }
    assert_int_equal(checked_stats(store).keys,
                     THREADS * KEYS_PER_THREAD * 4 / 5);
}

static void eight_threads_share_a_handle(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 20000;
    options.lock_timeout_ms = 60000;
    kvstore *store = open_with(dir, &options);

    run_workers(&store, 1);

    assert_all_there(store);
    assert_true(checked_stats(store).compactions > 0);
    kvstore_close(store);
    store = open_plain(dir);
    assert_all_there(store);
    kvstore_close(store);
}

static void eight_threads_use_three_handles(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 20000;
    options.lock_timeout_ms = 60000;
    kvstore *stores[3];
    for (int i = 0; i < 3; i++) {
        stores[i] = open_with(dir, &options);
    }

    run_workers(stores, 3);

    for (int i = 0; i < 3; i++) {
        assert_all_there(stores[i]);
        kvstore_close(stores[i]);
    }
}

static void *fail_elsewhere(void *argument)
{
    (void)argument;
    any_status(kvstore_sync(NULL));
    return NULL;
}

static void last_error_is_the_threads_own(void **state)
{
    (void)state;
    pthread_t thread;
    kvstore *store = NULL;
    assert_int_equal(kvstore_open("/dev/null", NULL, &store), KVSTORE_IO);

    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);

    assert_int_equal(kvstore_last_error()->status, KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOTDIR);
}

/* --- Two handles --- */

static void writes_are_seen_by_the_other_handle(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *one = open_plain(dir);
    kvstore *other = open_plain(dir);

    must_set(one, "a", "1");
    assert_value(other, "a", "1");
    must_set(other, "a", "2");
    assert_value(one, "a", "2");
    must_remove(one, "a");
    assert_absent(other, "a");
    assert_int_equal(kvstore_remove(other, "a", 1), KVSTORE_NOT_FOUND);
    must_set(other, "b", "1");

    assert_int_equal(checked_stats(one).log_bytes,
                     checked_stats(other).log_bytes);
    kvstore_close(one);
    kvstore_close(other);
}

static void compaction_by_the_other_handle_hides_nothing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *one = open_plain(dir);
    kvstore *other = open_plain(dir);
    must_set(one, "a", "1");
    must_set(one, "a", "2");
    must_set(one, "b", "1");
    assert_value(other, "a", "2");

    must_compact(other);

    must_set(one, "c", "1");
    assert_value(other, "c", "1");
    must_compact(one);
    assert_value(other, "a", "2");
    must_set(other, "a", "3");
    assert_value(one, "a", "3");
    assert_value(one, "b", "1");
    assert_int_equal(checked_stats(one).compactions, 2);
    assert_int_equal(checked_stats(other).compactions, 2);
    kvstore_close(one);
    kvstore_close(other);
}

static void read_only_handle_follows_compactions(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *writer = open_plain(dir);
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    kvstore *reader = open_with(dir, &options);
    must_set(writer, "a", "1");
    assert_value(reader, "a", "1");
    must_set(writer, "a", "2");

    must_compact(writer);

    assert_value(reader, "a", "2");
    must_set(writer, "b", "1");
    assert_value(reader, "b", "1");
    kvstore_close(reader);
    kvstore_close(writer);
}

/* --- Two ways to one store --- */

static void symbolic_link_leads_to_the_same_store(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    char link[sizeof dir->path + 64];
    (void)snprintf(link, sizeof link, "%s", store_dir_path(dir, "link"));
    assert_int_equal(symlink(dir->path, link), 0);
    kvstore *one = open_with(dir, &options);
    kvstore *other = NULL;
    assert_int_equal(kvstore_open(link, &options, &other), KVSTORE_OK);

    for (int i = 0; i < 2; i++) {
        kvstore *writer = i == 0 ? one : other;
        const kvstore *reader = i == 0 ? other : one;
        must_set(writer, "a", i == 0 ? "1" : "2");
        assert_value(reader, "a", i == 0 ? "1" : "2");
        must_compact(writer);
        must_set(writer, "b", i == 0 ? "1" : "2");
        assert_value(reader, "b", i == 0 ? "1" : "2");
        assert_int_equal(checked_stats(reader).compactions, i + 1);
    }
    kvstore_close(other);
    options = impatient_options();
    options.exclusive = true;
    assert_int_equal(kvstore_open(link, &options, &other), KVSTORE_OK);
    assert_int_equal(try_set(one, "a", "3"), KVSTORE_BUSY);

    kvstore_close(other);
    kvstore_close(one);
}

/* --- Exclusive --- */

static void exclusive_handle_keeps_others_from_writing(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = impatient_options();
    kvstore *reader = open_with(dir, &options);
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    kvstore *second = owner;

    must_set(owner, "a", "1");
    assert_value(reader, "a", "1");
    assert_int_equal(try_set(reader, "a", "2"), KVSTORE_BUSY);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    assert_int_equal(kvstore_remove(reader, "a", 1), KVSTORE_BUSY);
    assert_int_equal(kvstore_compact(reader), KVSTORE_BUSY);
    assert_int_equal(kvstore_open(dir->path, &options, &second), KVSTORE_BUSY);
    assert_null(second);
    must_set(owner, "a", "3");
    must_compact(owner);
    must_set(owner, "b", "4");
    assert_value(owner, "b", "4");
    assert_value(reader, "a", "3");
    assert_value(reader, "b", "4");

    kvstore_close(owner);
    must_set(reader, "a", "5");
    kvstore_close(reader);
}

static bool message_begins_with(const char *start)
{
    return strncmp(kvstore_last_error()->message, start, strlen(start)) == 0;
}

/* A process that died, or that only the index names, is not blamed: any user
 * can have written that. */
static void only_a_process_that_holds_the_lock_is_named(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = impatient_options();
    kvstore *other = open_with(dir, &options);
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    must_set(owner, "a", "1");
    char named[64];
    (void)snprintf(named,
                   sizeof named,
                   "busy: process %ld has held the lock for ",
                   (long)getpid());
    const uint64_t innocent = 1;

    assert_int_equal(try_set(other, "a", "2"), KVSTORE_BUSY);
    if (access("/proc/locks", R_OK) == 0) {
        assert_true(message_begins_with(named));
    }
    store_dir_overwrite(dir,
                        KV_INDEX_NAME,
                        offsetof(struct kv_table_header, holder_pid),
                        &innocent,
                        sizeof innocent);
    assert_int_equal(try_set(other, "a", "2"), KVSTORE_BUSY);

    assert_true(message_begins_with("busy: another process holds the lock "));
    kvstore_close(owner);
    kvstore_close(other);
}

static void busy_writer_waits_as_long_as_it_may(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 50;
    kvstore *waiter = open_with(dir, &options);
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    int64_t before_ns = kv_io_clock_ns();

    assert_int_equal(try_set(waiter, "a", "1"), KVSTORE_BUSY);

    assert_true(kv_io_clock_ns() - before_ns >= 49000000);
    kvstore_close(owner);
    kvstore_close(waiter);
}

static void lock_is_waited_for_once(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore_close(open_plain(dir));
    assert_int_equal(unlinkat(dir->directory.fd, KV_INDEX_NAME, 0), 0);
    idle_clock_start();
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);
    options.lock_timeout_ms = 1000;

    kvstore *store = open_with(dir, &options);
    assert_int_equal(kvstore_sync(store), KVSTORE_OK);
    assert_int_equal(idle_clock_slept_ns(), 0);
    assert_int_equal(try_set(store, "a", "1"), KVSTORE_BUSY);
    assert_in_range(idle_clock_slept_ns(), 1000000000, 1010000000);
    assert_int_equal(try_get(store, "a"), KVSTORE_NOT_FOUND);
    assert_in_range(idle_clock_slept_ns(), 1000000000, 1010000000);

    kv_io_unlock(&dir->directory);
    must_set(store, "a", "1");
    assert_value(store, "a", "1");
    idle_clock_stop();
    kvstore_close(store);
}

static void held_compaction_file_is_busy(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    struct kv_io_file other;
    must_set(store, "a", "1");
    assert_int_equal(
        kv_io_open(
            &dir->directory, KV_LOG_COMPACT_NAME, KV_IO_WRITE_CREATE, &other),
        KVSTORE_OK);
    assert_int_equal(kv_io_lock(&other, 0, NULL), KVSTORE_OK);

    assert_int_equal(kvstore_compact(store), KVSTORE_BUSY);

    kv_io_close(&other);
    must_compact(store);
    kvstore_close(store);
}

/* --- Fork --- */

static void assert_child_is_good(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool refuses_everything(kvstore *store)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_stats stats;
    return try_set(store, "a", "2") == KVSTORE_INVALID &&
           kvstore_last_error()->status == KVSTORE_INVALID &&
           kvstore_get(store, "a", 1, &value, &size) == KVSTORE_INVALID &&
           kvstore_get_into(store, "a", 1, NULL, 0, &size) == KVSTORE_INVALID &&
           kvstore_get_many(store, NULL, 0) == KVSTORE_INVALID &&
           kvstore_remove(store, "a", 1) == KVSTORE_INVALID &&
           kvstore_compact(store) == KVSTORE_INVALID &&
           kvstore_sync(store) == KVSTORE_INVALID &&
           kvstore_get_stats(store, &stats) == KVSTORE_INVALID;
}

static void child_can_do_nothing_with_the_handle(void **state)
{
    const struct store_dir *dir = *state;
    for (int is_exclusive = 0; is_exclusive < 2; is_exclusive++) {
        kvstore_options options = impatient_options();
        options.exclusive = is_exclusive != 0;
        kvstore *store = open_with(dir, &options);
        must_set(store, "a", "1");
        pid_t child = fork();
        if (child == 0) {
            bool is_good = refuses_everything(store);
            kvstore_close(store);
            _exit(is_good ? 0 : 1);
        }
        assert_child_is_good(child);

        assert_value(store, "a", "1");
        must_set(store, "b", "2");
        must_compact(store);
        assert_value(store, "b", "2");
        kvstore_close(store);
    }
}

static void childs_close_does_not_unlock(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = impatient_options();
    kvstore *other = open_with(dir, &options);
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    pid_t child = fork();
    if (child == 0) {
        kvstore_close(owner);
        kvstore_close(other);
        _exit(0);
    }
    assert_child_is_good(child);

    assert_int_equal(try_set(other, "a", "1"), KVSTORE_BUSY);
    must_set(owner, "a", "2");

    kvstore_close(owner);
    kvstore_close(other);
}

static void child_opens_a_handle_of_its_own(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    pid_t child = fork();
    if (child == 0) {
        kvstore_options options = plain_options();
        kvstore *own = NULL;
        bool is_good = kvstore_open(dir->path, &options, &own) == KVSTORE_OK &&
                       holds(own, "a", "1") &&
                       try_set(own, "b", "2") == KVSTORE_OK;
        kvstore_close(own);
        kvstore_close(store);
        _exit(is_good ? 0 : 1);
    }
    assert_child_is_good(child);

    assert_value(store, "b", "2");
    kvstore_close(store);
}

/* Forks a child that lives until the other end of the pipe is closed. */
static pid_t fork_until_closed(int *end_out)
{
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    (void)close(ends[0]);
    *end_out = ends[1];
    return child;
}

static void living_child_does_not_keep_a_closed_handles_lock(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = impatient_options();
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    int end = -1;
    pid_t child = fork_until_closed(&end);
    must_set(owner, "a", "1");
    kvstore_close(owner);

    kvstore *next = open_with(dir, &options);

    must_set(next, "a", "2");
    kvstore_close(next);
    (void)close(end);
    assert_child_is_good(child);
}

/* The middle process opens the store, forks, and dies. */
static void living_child_does_not_keep_a_dead_parents_lock(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.exclusive = true;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        kvstore *owner = NULL;
        char byte = 0;
        (void)close(ends[1]);
        bool is_good =
            kvstore_open(dir->path, &options, &owner) == KVSTORE_OK &&
            try_set(owner, "a", "1") == KVSTORE_OK;
        if (fork() == 0) {
            _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
        }
        _exit(is_good ? 0 : 1);
    }
    (void)close(ends[0]);
    assert_child_is_good(parent);

    kvstore *next = open_with(dir, &options);

    assert_value(next, "a", "1");
    kvstore_close(next);
    (void)close(ends[1]);
}

/* --- A compactor that dies, and an index without a name --- */

static int64_t standing_clock(void)
{
    static int64_t now_ns;
    if (now_ns == 0) {
        now_ns = kv_io_system_table()->clock_coarse_ns();
    }
    return now_ns;
}

/* Names are not checked again meanwhile. */
static int rename_and_die(int fd, const char *from, const char *to)
{
    int result = kv_io_system_table()->renameat(fd, from, to);
    _exit(result == 0 && strcmp(to, KV_LOG_NAME) == 0 ? 0 : 1);
}

static void writer_by_a_lost_index_learns_of_a_dead_compactors_log(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table stopped = *kv_io_system_table();
    stopped.clock_coarse_ns = standing_clock;
    kv_io_swap_table(&stopped);
    kvstore *writer = open_plain(dir);
    must_set(writer, "a", "1");
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        kvstore *compactor = open_plain(dir);
        (void)try_set(compactor, "c", "1"); /* It has just looked. */
        (void)unlinkat(dir->directory.fd, KV_INDEX_NAME, 0);
        stopped.renameat = rename_and_die;
        any_status(kvstore_compact(compactor));
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);

    must_set(writer, "b", "1");

    kv_io_swap_table(kv_io_system_table());
    kvstore *fresh = open_plain(dir);
    assert_value(fresh, "a", "1");
    assert_value(fresh, "b", "1");
    kvstore_close(fresh);
    kvstore_close(writer);
}

/* --- A line that is not acknowledged yet, and an index without a name --- */

static struct {
    struct kv_io_table table;
    const struct store_dir *dir; /* NULL: nothing happens. */
    const kvstore *reader;       /* Uses the index. */
    bool has_newcomer_seen;
    bool has_reader_seen;
} beside_sync;

/* The line is in the log, and not acknowledged yet. */
static int visited_fdatasync(int fd)
{
    const struct store_dir *dir = beside_sync.dir;
    beside_sync.dir = NULL;
    if (dir != NULL) {
        (void)unlinkat(dir->directory.fd, KV_INDEX_NAME, 0);
        kvstore_options options = impatient_options();
        kvstore *newcomer = open_with(dir, &options);
        beside_sync.has_newcomer_seen = holds(newcomer, "a", "2");
        beside_sync.has_reader_seen = holds(beside_sync.reader, "a", "2");
        kvstore_close(newcomer);
    }
    return kv_io_system_table()->fdatasync(fd);
}

/* This holds without waiting for the lock, too. */
static void nobody_reads_an_older_value_than_another_has(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = impatient_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    kvstore *writer = open_with(dir, &options);
    must_set(writer, "a", "1");
    kvstore *reader = open_with(dir, &options);
    assert_value(reader, "a", "1");
    beside_sync.table = *kv_io_system_table();
    beside_sync.table.fdatasync = visited_fdatasync;
    beside_sync.dir = dir;
    beside_sync.reader = reader;
    kv_io_swap_table(&beside_sync.table);

    must_set(writer, "a", "2");

    kv_io_swap_table(kv_io_system_table());
    assert_null(beside_sync.dir);
    assert_true(!beside_sync.has_newcomer_seen || beside_sync.has_reader_seen);
    assert_value(reader, "a", "2");
    kvstore_close(reader);
    kvstore_close(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(writer_by_a_lost_index_learns_of_a_dead_compactors_log),
        STORE_TEST(nobody_reads_an_older_value_than_another_has),
        STORE_TEST(eight_threads_share_a_handle),
        STORE_TEST(eight_threads_use_three_handles),
        STORE_TEST(last_error_is_the_threads_own),
        STORE_TEST(writes_are_seen_by_the_other_handle),
        STORE_TEST(compaction_by_the_other_handle_hides_nothing),
        STORE_TEST(read_only_handle_follows_compactions),
        STORE_TEST(symbolic_link_leads_to_the_same_store),
        STORE_TEST(exclusive_handle_keeps_others_from_writing),
        STORE_TEST(only_a_process_that_holds_the_lock_is_named),
        STORE_TEST(busy_writer_waits_as_long_as_it_may),
        STORE_TEST(lock_is_waited_for_once),
        STORE_TEST(held_compaction_file_is_busy),
        STORE_TEST(child_can_do_nothing_with_the_handle),
        STORE_TEST(childs_close_does_not_unlock),
        STORE_TEST(child_opens_a_handle_of_its_own),
        STORE_TEST(living_child_does_not_keep_a_closed_handles_lock),
        STORE_TEST(living_child_does_not_keep_a_dead_parents_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
