/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: forks by one thread
 * while others are in the middle of calls. Parent and child both go on. */

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"
#include "store/store.h"
#include "store_calls.h"

#include <dirent.h>
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
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)
#define FORKS 200
#define SLOW_FORKS 40 /* Where each child must wait. */
#define THREADS 4
#define CALLS_PER_FORK 10
#define FOREIGN_VALUE_SIZE 100000

static struct kv_io_table table;

static struct {
    const struct store_dir *dir;
    kvstore *store;
    kvstore_batch *batch; /* For kvstore_write() in a child. */
    atomic_bool must_stop;
    atomic_int calls;
    atomic_int faults;
    atomic_bool is_held;
} shared;

static int set_up(void **state)
{
    table = *kv_io_system_table();
    kv_io_swap_table(&table);
    atomic_store(&shared.must_stop, false);
    atomic_store(&shared.calls, 0);
    atomic_store(&shared.faults, 0);
    atomic_store(&shared.is_held, false);
    int result = store_dir_set_up(state);
    shared.dir = *state;
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define FORK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- Children --- */

/* True if this process holds no file of the store, except the test's own
 * descriptor of the directory. */
static bool holds_no_file(void)
{
    char link[64];
    char target[512];
    size_t path_size = strlen(shared.dir->path);
    DIR *stream = opendir("/proc/self/fd");
    bool holds_none = true;
    if (stream == NULL) {
        return true; /* No /proc here. */
    }
    for (struct dirent *entry = readdir(stream); entry != NULL;
         entry = readdir(stream)) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%.20s", entry->d_name);
        ssize_t size = readlink(link, target, sizeof target - 1);
        if (size > 0 && (size_t)size >= path_size &&
            memcmp(target, shared.dir->path, path_size) == 0 &&
            strtol(entry->d_name, NULL, 10) != shared.dir->directory.fd) {
            target[size] = '\0';
            (void)fprintf(stderr, "held by a child: %s\n", target);
            holds_none = false;
        }
    }
    (void)closedir(stream);
    return holds_none;
}

static kvstore_options patient_options(void)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    return options;
}

/* True if a new handle sees what there is, and what it sets. */
static bool works_in_child(const char *known_key, const char *own_key)
{
    kvstore_options options = patient_options();
    kvstore *own = NULL;
    bool is_good =
        kvstore_open(shared.dir->path, &options, &own) == KVSTORE_OK &&
        try_get(own, known_key) == KVSTORE_OK &&
        try_set(own, own_key, own_key) == KVSTORE_OK &&
        try_get(own, own_key) == KVSTORE_OK;
    if (!is_good) {
        (void)fprintf(
            stderr, "in a child: %s\n", kvstore_last_error()->message);
    }
    kvstore_close(own);
    return is_good;
}

static kvstore_status refused_calls_of_a_child(void)
{
    kvstore *store = shared.store;
    kvstore_iterator *iterator = NULL;
    kvstore_watcher *watcher = NULL;
    kvstore_stats stats;
    void *value = NULL;
    size_t size = 0;
    int64_t sum = 0;
    kvstore_item item = {.key = "a", .key_size = 1};
    const kvstore_status statuses[] = {
        try_set(store, "a", "1"),
        try_get(store, "a"),
        kvstore_exists(store, "a", 1),
        kvstore_get_many(store, &item, 1),
        kvstore_remove(store, "a", 1),
        kvstore_take(store, "a", 1, &value, &size),
        kvstore_increment(store, "a", 1, 1, 0, &sum),
        kvstore_write(store, shared.batch),
        kvstore_iterator_create(store, NULL, &iterator),
        kvstore_watcher_create(store, NULL, &watcher),
        kvstore_get_stats(store, &stats),
        kvstore_sync(store),
        kvstore_compact(store),
        kvstore_verify(store, NULL, NULL),
        kvstore_repair(store, NULL, NULL),
        kvstore_backup(store, "backup"),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] != KVSTORE_INVALID) {
            return statuses[i];
        }
    }
    return KVSTORE_INVALID;
}

static void name_child_key(char key[32], int number)
{
    (void)snprintf(key, 32, "child-%d", number);
}

/* A child that hangs is killed by its alarm. */
static bool is_child_good(const char *known_key, int number)
{
    char key[32];
    int status = 0;
    name_child_key(key, number);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60);
        bool is_good = holds_no_file() &&
                       refused_calls_of_a_child() == KVSTORE_INVALID &&
                       works_in_child(known_key, key);
        kvstore_close(shared.store);
        _exit(is_good ? 0 : 1);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

/* --- Threads of the parent --- */

static void *set_all_the_time(void *argument)
{
    int number = *(int *)argument;
    char key[32];
    for (int i = 0; !atomic_load(&shared.must_stop); i++) {
        (void)snprintf(key, sizeof key, "key-%d-%d", number, i % 20);
        bool is_good = try_set(shared.store, key, key) == KVSTORE_OK &&
                       try_get(shared.store, key) == KVSTORE_OK;
        atomic_fetch_add(&shared.faults, is_good ? 0 : 1);
        atomic_fetch_add(&shared.calls, 1);
    }
    return NULL;
}

static void *get_all_the_time(void *argument)
{
    (void)argument;
    while (!atomic_load(&shared.must_stop)) {
        bool is_good = try_get(shared.store, "foreign") == KVSTORE_OK;
        atomic_fetch_add(&shared.faults, is_good ? 0 : 1);
        atomic_fetch_add(&shared.calls, 1);
    }
    return NULL;
}

static void *iterate_all_the_time(void *argument)
{
    const kvstore_entry *entry = NULL;
    (void)argument;
    while (!atomic_load(&shared.must_stop)) {
        kvstore_iterator *iterator = NULL;
        kvstore_status status =
            kvstore_iterator_create(shared.store, NULL, &iterator);
        while (status == KVSTORE_OK && !atomic_load(&shared.must_stop)) {
            status = kvstore_iterator_next(iterator, &entry);
            atomic_fetch_add(&shared.calls, 1);
        }
        kvstore_iterator_free(iterator);
        bool is_good = status == KVSTORE_OK || status == KVSTORE_NOT_FOUND;
        atomic_fetch_add(&shared.faults, is_good ? 0 : 1);
    }
    return NULL;
}

/* Waits for so many calls of the threads between two forks, however slow they
 * are. */
static void await_calls(int forks)
{
    while (atomic_load(&shared.calls) < forks * CALLS_PER_FORK) {
        kv_io_sleep_ns(NS_PER_MS / 10);
    }
}

/* Forks so many times while threads of the handle do their duty. */
static void fork_beside(void *(*duty)(void *), const char *known_key, int forks)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, duty, &numbers[i]),
                         0);
    }
    bool are_children_good = true;
    /* Not in the children: a sanitizer's allocator may be locked there. */
    assert_int_equal(kvstore_batch_create(&shared.batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(shared.batch, "a", 1, "1", 1, 0),
                     KVSTORE_OK);
    for (int i = 0; i < forks && are_children_good; i++) {
        await_calls(i);
        are_children_good = is_child_good(known_key, i);
    }
    atomic_store(&shared.must_stop, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    kvstore_batch_free(shared.batch);
    assert_true(are_children_good);
    assert_int_equal(atomic_load(&shared.faults), 0);
}

static void assert_childrens_keys(int forks)
{
    char key[32];
    for (int i = 0; i < forks; i++) {
        name_child_key(key, i);
        assert_value(shared.store, key, key);
    }
    (void)checked_stats(shared.store);
    kvstore_close(shared.store);
}

/* --- Tests --- */

static void forks_beside_sets_and_compactions(void **state)
{
    (void)state;
    kvstore_options options = patient_options();
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 10000;
    shared.store = open_with(shared.dir, &options);
    must_set(shared.store, "known", "1");

    fork_beside(set_all_the_time, "known", FORKS);

    assert_true(checked_stats(shared.store).compactions > 0);
    assert_childrens_keys(FORKS);
}

static void forks_beside_iterators(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* Its allocator may be locked in a forked child. */
#endif
    kvstore_options options = patient_options();
    shared.store = open_with(shared.dir, &options);
    must_set(shared.store, "known", "1");
    for (int i = 0; i < 1000; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%d", i);
        must_set(shared.store, key, "1");
    }

    fork_beside(iterate_all_the_time, "known", FORKS);

    assert_childrens_keys(FORKS);
}

/* Finds no index that it could map; its children do. */
static pid_t private_process;

static void *refusing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    if (getpid() == private_process) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return kv_io_system_table()->mmap(size, is_writable, fd, offset);
}

/* Its memory is the parent's own, and changes with each child's set. */
static void forks_beside_gets_with_a_private_index(void **state)
{
    (void)state;
    kvstore_options options = patient_options();
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "foreign", "1");
    store_dir_write_log(shared.dir, &text);
    log_text_release(&text);
    options.read_only = true;
    private_process = getpid();
    table.mmap = refusing_mmap;
    shared.store = open_with(shared.dir, &options);

    fork_beside(get_all_the_time, "foreign", SLOW_FORKS);

    assert_false(shared.store->index.is_shared);
    assert_childrens_keys(SLOW_FORKS);
}

static void forks_beside_parsing_of_foreign_lines(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* Its allocator may be locked in a forked child. */
#endif
    kvstore_options options = patient_options();
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{ \"Set\" : {\"key\":\"foreign\", \"val\":\"");
    log_text_fill(&text, 'x', FOREIGN_VALUE_SIZE);
    log_text_add(&text, "\"}}\n");
    store_dir_write_log(shared.dir, &text);
    log_text_release(&text);
    shared.store = open_with(shared.dir, &options);

    fork_beside(get_all_the_time, "foreign", FORKS);

    assert_childrens_keys(FORKS);
}

static int held_fsync(int fd)
{
    if (!atomic_exchange(&shared.is_held, true)) {
        while (!atomic_load(&shared.must_stop)) {
            kv_io_sleep_ns(NS_PER_MS / 10);
        }
    }
    return kv_io_system_table()->fsync(fd);
}

static void *compact(void *argument)
{
    (void)argument;
    bool is_good = kvstore_compact(shared.store) == KVSTORE_OK;
    atomic_fetch_add(&shared.faults, is_good ? 0 : 1);
    return NULL;
}

/* The new log and the temporary index are the parent's to lock. */
static void child_holds_no_file_of_a_compaction(void **state)
{
    (void)state;
    pthread_t thread;
    int status = 0;
    shared.store = open_plain(shared.dir);
    must_set(shared.store, "a", "1");
    table.fsync = held_fsync;
    assert_int_equal(pthread_create(&thread, NULL, compact, NULL), 0);
    while (!atomic_load(&shared.is_held)) {
        kv_io_sleep_ns(NS_PER_MS / 10);
    }
    assert_true(store_dir_has(shared.dir, KV_LOG_COMPACT_NAME));

    pid_t child = fork();

    if (child == 0) {
        bool is_good = holds_no_file();
        kvstore_close(shared.store);
        _exit(is_good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    atomic_store(&shared.must_stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&shared.faults), 0);
    assert_value(shared.store, "a", "1");
    kvstore_close(shared.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORK_TEST(forks_beside_sets_and_compactions),
        FORK_TEST(forks_beside_iterators),
        FORK_TEST(forks_beside_gets_with_a_private_index),
        FORK_TEST(forks_beside_parsing_of_foreign_lines),
        FORK_TEST(child_holds_no_file_of_a_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
