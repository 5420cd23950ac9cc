/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: which caller waits for
 * which, and that every caller's turn comes. Bounds of time are generous: they
 * distinguish a wait that ends from one that does not. */

#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "os/file.h"
#include "store/store.h"

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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)
#define READERS 8

static uint64_t index_inode(const struct store_dir *dir)
{
    struct stat status;
    assert_int_equal(stat(store_dir_path(dir, KV_INDEX_NAME), &status), 0);
    return (uint64_t)status.st_ino;
}

static int64_t ms_since(int64_t start_ns)
{
    return (kv_io_clock_ns() - start_ns) / NS_PER_MS;
}

/* --- A table of system calls that tests change --- */

static struct kv_io_table table;

static int set_up(void **state)
{
    table = *kv_io_system_table();
    kv_io_swap_table(&table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

/* --- Readers of a private index --- */

/* In a thread that sets this, a handle finds no index that it could map. */
static _Thread_local bool maps_nothing;

static void *refusing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    if (maps_nothing) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

struct reader {
    const kvstore *store;
    atomic_bool *must_stop;
    bool is_private;
    bool is_good;
};

static void *read_all_the_time(void *argument)
{
    struct reader *reader = argument;
    reader->is_good = true;
    maps_nothing = reader->is_private;
    while (!atomic_load(reader->must_stop)) {
        reader->is_good &= try_get(reader->store, "key") == KVSTORE_OK;
    }
    return NULL;
}

/* Half of them read through one handle, half through the other, which is
 * private. */
static void start_readers(const kvstore *const stores[2],
                          atomic_bool *must_stop,
                          struct reader *readers,
                          pthread_t *threads)
{
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.store = stores[i % 2],
                                     .is_private = i % 2 == 1,
                                     .must_stop = must_stop};
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_all_the_time, &readers[i]),
            0);
    }
}

static void readers_do_not_starve_a_private_view(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    table.mmap = refusing_mmap;
    kvstore *writer = open_with(dir, &options);
    must_set(writer, "key", "start");
    options.read_only = true;
    maps_nothing = true;
    kvstore *follower = open_with(dir, &options);
    assert_value(follower, "key", "start");
    const kvstore *const stores[2] = {writer, follower};
    atomic_bool must_stop = false;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    char value[32];
    start_readers(stores, &must_stop, readers, threads);
    int64_t start_ns = kv_io_clock_ns();

    for (int i = 0; i < 50; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        maps_nothing = false;
        must_set(writer, "key", value);
        maps_nothing = true;
        assert_value(follower, "key", value);
    }

    maps_nothing = false;
    int64_t taken_ms = ms_since(start_ns);
    atomic_store(&must_stop, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readers[i].is_good);
    }
    assert_true(taken_ms < 60000);
    assert_false(follower->index.is_shared);
    kvstore_close(follower);
    kvstore_close(writer);
}

/* --- Opening beside a busy writer --- */

static struct {
    kvstore *writer; /* Sets a key after each check of a size; or NULL. */
    int sets;
} meanwhile;

/* What it returns is old by then. */
static off_t end_of_growing_file(int fd)
{
    off_t end = kv_io_system_table()->file_end(fd);
    kvstore *writer = meanwhile.writer;
    if (writer != NULL) {
        meanwhile.writer = NULL;
        assert_int_equal(try_set(writer, "busy", "a value"), KVSTORE_OK);
        meanwhile.sets++;
        meanwhile.writer = writer;
    }
    return end;
}

static void writes_between_an_openers_looks_are_no_damage(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.exclusive = true;
    make_known(dir);
    kvstore *writer = open_with(dir, &options);
    options = plain_options();
    options.lock_timeout_ms = 30000;
    uint64_t inode = index_inode(dir);
    table.file_end = end_of_growing_file;
    meanwhile.writer = writer;
    meanwhile.sets = 0;
    int64_t start_ns = kv_io_clock_ns();

    for (int i = 0; i < 20; i++) {
        kvstore_close(open_with(dir, &options));
        /* A handle that distrusts the index waits for the lock, in vain. */
        assert_true(ms_since(start_ns) < 15000);
    }

    meanwhile.writer = NULL;
    assert_true(meanwhile.sets >= 20);
    assert_int_equal(index_inode(dir), inode);
    kvstore_close(writer);
    kvstore *store = open_plain(dir);
    assert_known(store);
    assert_value(store, "busy", "a value");
    kvstore_close(store);
}

/* Writes unsynced and without a pause until it is killed. Few keys, so that the
 * index does not grow. Reports through the pipe that it has begun. */
static void write_until_killed(const struct store_dir *dir, int end)
{
    kvstore_options options = plain_options();
    kvstore *store = NULL;
    bool is_good = kvstore_open(dir->path, &options, &store) == KVSTORE_OK;
    for (int i = 0; is_good; i++) {
        is_good =
            try_set(store, i % 2 == 0 ? "key-1" : "key-2", "x") == KVSTORE_OK;
        if (i == 1000) {
            is_good &= write(end, "x", 1) == 1;
        }
    }
    _exit(1);
}

static pid_t fork_busy_writer(const struct store_dir *dir)
{
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        write_until_killed(dir, ends[1]);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    return child;
}

static void opening_beside_a_busy_writer_is_quick_and_trusts(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    pid_t child = fork_busy_writer(dir);
    uint64_t inode = index_inode(dir);
    int64_t longest_ms = 0;
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;

    for (int i = 0; i < 50; i++) {
        int64_t start_ns = kv_io_clock_ns();
        kvstore *store = open_with(dir, &options);
        int64_t taken_ms = ms_since(start_ns);
        longest_ms = taken_ms > longest_ms ? taken_ms : longest_ms;
        assert_int_equal(try_get(store, "key-20"), KVSTORE_OK);
        kvstore_close(store);
    }

    assert_int_equal(index_inode(dir), inode);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(longest_ms < 30000);
}

/* --- Reading during a switch --- */

static struct {
    kvstore *reader;
    atomic_bool has_named;
    atomic_bool may_go_on;
    bool was_readable; /* Between SWITCHING and the new name. */
} grown;

/* The new index has the name, and is not LIVE before others have had their
 * chance. */
static int slow_renameat(int dir_fd, const char *from, const char *to)
{
    bool is_index = strcmp(to, KV_INDEX_NAME) == 0;
    if (is_index) {
        grown.was_readable = try_get(grown.reader, "key-1") == KVSTORE_OK;
    }
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    if (is_index) {
        atomic_store(&grown.has_named, true);
        for (int i = 0; i < 10000 && !atomic_load(&grown.may_go_on); i++) {
            rest(1);
        }
    }
    return result;
}

/* Sets new keys until the index has grown. */
static void *grow(void *argument)
{
    kvstore *store = argument;
    char key[32];
    for (int i = 0; i < MANY_KEYS && !atomic_load(&grown.has_named); i++) {
        name_key(key, sizeof key, i);
        if (try_set(store, key, "value") != KVSTORE_OK) {
            return NULL;
        }
    }
    return store;
}

struct timed_get {
    const kvstore *store;
    kvstore_status status;
    int64_t end_ns;
};

static void *get_timed(void *argument)
{
    struct timed_get *get = argument;
    get->status = try_get(get->store, "key-1");
    get->end_ns = kv_io_clock_ns();
    return NULL;
}

static void reader_waits_for_a_switch_and_not_for_the_lock(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    kvstore *reader = open_with(dir, &options);
    options.exclusive = true;
    kvstore *owner = open_with(dir, &options);
    struct timed_get get = {.store = reader};
    pthread_t growing;
    pthread_t reading;
    void *is_good = NULL;
    grown.reader = reader;
    atomic_store(&grown.has_named, false);
    atomic_store(&grown.may_go_on, false);
    table.renameat = slow_renameat;

    assert_int_equal(pthread_create(&growing, NULL, grow, owner), 0);
    while (!atomic_load(&grown.has_named)) {
        rest(1);
    }
    assert_int_equal(pthread_create(&reading, NULL, get_timed, &get), 0);
    rest(50);
    int64_t start_ns = kv_io_clock_ns();
    atomic_store(&grown.may_go_on, true);
    assert_int_equal(pthread_join(reading, NULL), 0);
    assert_int_equal(pthread_join(growing, &is_good), 0);

    assert_non_null(is_good);
    assert_true(grown.was_readable);
    assert_int_equal(get.status, KVSTORE_OK);
    assert_true((get.end_ns - start_ns) / NS_PER_MS < 10000);
    must_set(owner, "key-1", "later");
    assert_value(reader, "key-1", "later");
    kvstore_close(reader);
    kvstore_close(owner);
}

/* --- Writers take turns --- */

/* As slow as many disks, and the same on all: a writer that releases the lock
 * only for a moment, every so often, is then hardly ever met without it. */
static int slow_fdatasync(int fd)
{
    (void)fd;
    rest(10);
    return 0;
}

struct turn {
    long sets;
    long failures;
};

/* Sets one key without a pause for a while, and reports through a pipe how
 * often. */
static pid_t fork_writer(const struct store_dir *dir,
                         int sync,
                         int64_t duration_ms,
                         int *end_out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        kvstore_options options = plain_options();
        options.sync = sync;
        kvstore *store = NULL;
        struct turn turn = {0};
        int64_t start_ns = kv_io_clock_ns();
        turn.failures +=
            kvstore_open(dir->path, &options, &store) != KVSTORE_OK;
        while (turn.failures == 0 && ms_since(start_ns) < duration_ms) {
            bool is_good = try_set(store, "key-1", value_of(1)) == KVSTORE_OK;
            turn.sets += is_good ? 1 : 0;
            turn.failures += is_good ? 0 : 1;
        }
        kvstore_close(store);
        _exit(write(ends[1], &turn, sizeof turn) == sizeof turn ? 0 : 1);
    }
    (void)close(ends[1]);
    *end_out = ends[0];
    return child;
}

static struct turn turn_of(pid_t child, int end)
{
    struct turn turn;
    assert_int_equal(read(end, &turn, sizeof turn), sizeof turn);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(end);
    return turn;
}

static void compete(const struct store_dir *dir,
                    int sync,
                    int other_sync,
                    struct turn turns_out[2])
{
    int ends[2];
    make_known(dir);
    table.fdatasync = slow_fdatasync;
    pid_t one = fork_writer(dir, sync, 2000, &ends[0]);
    pid_t other = fork_writer(dir, other_sync, 2000, &ends[1]);
    turns_out[0] = turn_of(one, ends[0]);
    turns_out[1] = turn_of(other, ends[1]);
    print_message("%ld sets of one, %ld of the other\n",
                  turns_out[0].sets,
                  turns_out[1].sets);
    assert_int_equal(turns_out[0].failures, 0);
    assert_int_equal(turns_out[1].failures, 0);
    assert_heals(dir);
}

static void durable_writers_take_turns(void **state)
{
    struct turn turns[2];

    compete(*state, KVSTORE_SYNC_ALWAYS, KVSTORE_SYNC_ALWAYS, turns);

    long all = turns[0].sets + turns[1].sets;
    assert_true(turns[0].sets >= all / 5);
    assert_true(turns[1].sets >= all / 5);
}

/* A writer that never waits for the disk has the lock nearly all the time. */
static void unsynced_writer_lets_a_durable_one_in(void **state)
{
    struct turn turns[2];

    compete(*state, KVSTORE_SYNC_NONE, KVSTORE_SYNC_ALWAYS, turns);

    assert_true(turns[0].sets >= 20);
    assert_true(turns[1].sets >= 20);
}

#define TABLE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(readers_do_not_starve_a_private_view),
        TABLE_TEST(writes_between_an_openers_looks_are_no_damage),
        STORE_TEST(opening_beside_a_busy_writer_is_quick_and_trusts),
        TABLE_TEST(reader_waits_for_a_switch_and_not_for_the_lock),
        TABLE_TEST(durable_writers_take_turns),
        TABLE_TEST(unsynced_writer_lets_a_durable_one_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
