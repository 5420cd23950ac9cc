/* SPDX-License-Identifier: MIT */

/* Do handles share memory correctly? All calls at once, by many threads and
 * handles, for a few seconds; meant for ThreadSanitizer. It does not know that
 * two mappings of one file are the same memory. So here mmap gives all handles
 * of the process one mapping of a file. */

#include "index/file.h"
#include "kvstore.h"
#include "os/file.h"
#include "store_calls.h"

#include <errno.h>
#include <fcntl.h>
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)
#define SECONDS INT64_C(2)
#define HANDLES 3
#define WRITERS 6
#define KEYS 400 /* Per writer; together the index grows twice. */

/* --- One mapping for all --- */

#define MAPPINGS_MAX 256

struct mapping {
    dev_t device;
    ino_t inode;
    off_t offset;
    size_t size;
    bool is_writable;
    int users; /* 0: free. */
    void *memory;
};

static struct {
    pthread_mutex_t mutex;
    struct mapping all[MAPPINGS_MAX];
} mappings = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct mapping *find_mapping(const struct mapping *wanted)
{
    struct mapping *free_one = NULL;
    for (int i = 0; i < MAPPINGS_MAX; i++) {
        struct mapping *mapping = &mappings.all[i];
        if (mapping->users == 0) {
            free_one = mapping;
        } else if (mapping->device == wanted->device &&
                   mapping->inode == wanted->inode &&
                   mapping->offset == wanted->offset &&
                   mapping->size == wanted->size &&
                   (mapping->is_writable || !wanted->is_writable)) {
            return mapping;
        }
    }
    return free_one;
}

static void *shared_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return MAP_FAILED;
    }
    struct mapping wanted = {.device = stat.st_dev,
                             .inode = stat.st_ino,
                             .offset = offset,
                             .size = size,
                             .is_writable = is_writable};
    (void)pthread_mutex_lock(&mappings.mutex);
    struct mapping *mapping = find_mapping(&wanted);
    if (mapping == NULL) {
        abort();
    }
    if (mapping->users == 0) {
        wanted.memory =
            kv_io_system_table()->mmap(size, is_writable, fd, offset);
        *mapping = wanted;
    }
    void *memory = mapping->memory;
    mapping->users += memory == MAP_FAILED ? 0 : 1;
    (void)pthread_mutex_unlock(&mappings.mutex);
    return memory;
}

static int shared_munmap(void *memory, size_t size)
{
    int result = 0;
    (void)pthread_mutex_lock(&mappings.mutex);
    struct mapping *mapping = mappings.all;
    while (mapping->users == 0 || mapping->memory != memory) {
        mapping++;
        if (mapping == mappings.all + MAPPINGS_MAX) {
            abort();
        }
    }
    if (mapping->size != size) {
        abort();
    }
    if (--mapping->users == 0) {
        result = kv_io_system_table()->munmap(memory, size);
    }
    (void)pthread_mutex_unlock(&mappings.mutex);
    return result;
}

/* A caller that opens a file by its name sees what was stored before the file
 * got that name. The system keeps that order, but the sanitizer does not
 * know. */
static void keep_order(void)
{
    (void)pthread_mutex_lock(&mappings.mutex);
    (void)pthread_mutex_unlock(&mappings.mutex);
}

static int ordered_renameat(int dir_fd, const char *from, const char *to)
{
    keep_order();
    return kv_io_system_table()->renameat(dir_fd, from, to);
}

static int ordered_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd = kv_io_system_table()->openat(dir_fd, name, flags, mode);
    keep_order();
    return fd;
}

static struct kv_io_table table;

static int set_up(void **state)
{
    table = *kv_io_system_table();
    table.mmap = shared_mmap;
    table.munmap = shared_munmap;
    table.renameat = ordered_renameat;
    table.openat = ordered_openat;
    kv_io_swap_table(&table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

/* --- The workers --- */

static struct {
    const struct store_dir *dir;
    kvstore *stores[HANDLES];
    int64_t end_ns;
    atomic_int faults;
} shared;

struct worker {
    int number;
    pthread_t thread;
    int values[KEYS]; /* Of a writer's keys, the newest; 0: none. */
};

static bool goes_on(void)
{
    return kv_io_clock_ns() < shared.end_ns;
}

static void expect(bool is_good, const char *what)
{
    if (!is_good) {
        atomic_fetch_add(&shared.faults, 1);
        (void)fprintf(stderr, "%s: %s\n", what, kvstore_last_error()->message);
    }
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245U + 12345U;
    return *seed >> 16;
}

static void name_key(char key[32], int writer, int number)
{
    (void)snprintf(key, 32, "key-%d-%d", writer, number);
}

/* True if a key's value is its own: value n of a key is the key and n. */
static bool holds_own_value(const kvstore *store, const char *key, int *n_out)
{
    char buffer[64] = "";
    size_t size = 0;
    kvstore_status status = kvstore_get_into(
        store, key, strlen(key), buffer, sizeof buffer - 1, &size);
    size_t key_size = strlen(key);
    *n_out = 0;
    if (status == KVSTORE_OK) {
        *n_out = (int)strtol(buffer + key_size + 1, NULL, 10);
    }
    return status == KVSTORE_NOT_FOUND ||
           (status == KVSTORE_OK && memcmp(buffer, key, key_size) == 0 &&
            buffer[key_size] == '=');
}

static void *write_keys(void *argument)
{
    struct worker *worker = argument;
    kvstore *store = shared.stores[worker->number % HANDLES];
    unsigned seed = (unsigned)worker->number;
    char key[32];
    char value[64];
    for (int n = 1; goes_on(); n++) {
        unsigned i = n <= KEYS ? (unsigned)n - 1 : next_random(&seed) % KEYS;
        name_key(key, worker->number, (int)i);
        int found = 0;
        if (n > KEYS && n % 4 == 0) {
            kvstore_status status = kvstore_remove(store, key, strlen(key));
            expect(status == (worker->values[i] == 0 ? KVSTORE_NOT_FOUND
                                                     : KVSTORE_OK),
                   "rm");
            worker->values[i] = 0;
        } else {
            (void)snprintf(value, sizeof value, "%s=%d", key, n);
            expect(try_set(store, key, value) == KVSTORE_OK, "set");
            worker->values[i] = n;
        }
        expect(holds_own_value(store, key, &found) &&
                   found == worker->values[i],
               "own get");
    }
    return NULL;
}

static void *read_keys(void *argument)
{
    const struct worker *worker = argument;
    unsigned seed = (unsigned)worker->number;
    char key[32];
    while (goes_on()) {
        int found = 0;
        name_key(key,
                 (int)(next_random(&seed) % WRITERS),
                 (int)(next_random(&seed) % KEYS));
        const kvstore *store = shared.stores[next_random(&seed) % HANDLES];
        expect(holds_own_value(store, key, &found), "get");
    }
    return NULL;
}

/* Reads neighbouring keys of one writer, with one call. */
static void *read_many_keys(void *argument)
{
    enum { MANY = 40 };
    const struct worker *worker = argument;
    unsigned seed = (unsigned)worker->number;
    char keys[MANY][32];
    kvstore_item items[MANY];
    while (goes_on()) {
        int writer = (int)(next_random(&seed) % WRITERS);
        int first = (int)(next_random(&seed) % KEYS);
        for (int i = 0; i < MANY; i++) {
            name_key(keys[i], writer, (first + i) % KEYS);
            items[i].key = keys[i];
            items[i].key_size = strlen(keys[i]);
        }
        const kvstore *store = shared.stores[next_random(&seed) % HANDLES];
        expect(kvstore_get_many(store, items, MANY) == KVSTORE_OK, "get many");
        for (int i = 0; i < MANY; i++) {
            expect(
                items[i].status == KVSTORE_NOT_FOUND ||
                    (items[i].status == KVSTORE_OK &&
                     items[i].value_size > items[i].key_size &&
                     memcmp(items[i].value, keys[i], items[i].key_size) == 0),
                "one of many");
            kvstore_free(items[i].value);
        }
    }
    return NULL;
}

static void *sync_and_count(void *argument)
{
    const struct worker *worker = argument;
    unsigned seed = (unsigned)worker->number;
    while (goes_on()) {
        kvstore_stats stats;
        kvstore *store = shared.stores[next_random(&seed) % HANDLES];
        expect(kvstore_sync(store) == KVSTORE_OK, "sync");
        expect(kvstore_get_stats(store, &stats) == KVSTORE_OK &&
                   stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                           stats.damaged_bytes ==
                       stats.log_bytes,
               "stats");
        kvstore_set_compaction_threshold(store,
                                         20000 + next_random(&seed) % 100000);
    }
    return NULL;
}

static void *compact(void *argument)
{
    (void)argument;
    while (goes_on()) {
        kv_io_sleep_ns(30 * NS_PER_MS);
        expect(kvstore_compact(shared.stores[1]) == KVSTORE_OK, "compact");
    }
    return NULL;
}

static void *delete_index(void *argument)
{
    (void)argument;
    while (goes_on()) {
        kv_io_sleep_ns(150 * NS_PER_MS);
        (void)unlinkat(shared.dir->directory.fd, KV_INDEX_NAME, 0);
    }
    return NULL;
}

static kvstore_options patient_options(void)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    options.compaction_threshold = 50000;
    return options;
}

static void *open_and_close(void *argument)
{
    const struct worker *worker = argument;
    char key[32];
    for (int i = 0; goes_on(); i++) {
        kvstore *store = NULL;
        kvstore_options options = patient_options();
        int found = 0;
        options.read_only = i % 3 == 0;
        options.sync = i % 3 == 1 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
        expect(kvstore_open(shared.dir->path, &options, &store) == KVSTORE_OK,
               "open");
        name_key(key, i % WRITERS, i % KEYS);
        if (store != NULL) {
            expect(holds_own_value(store, key, &found), "get of a new handle");
            name_key(key, worker->number, i % KEYS);
            kvstore_status status = try_set(store, key, key);
            expect(status ==
                       (options.read_only ? KVSTORE_READ_ONLY : KVSTORE_OK),
                   "set of a new handle");
        }
        kvstore_close(store);
    }
    return NULL;
}

static void assert_newest_values(const struct worker *workers)
{
    kvstore *store = open_plain(shared.dir);
    char key[32];
    for (int i = 0; i < WRITERS * KEYS; i++) {
        int found = 0;
        name_key(key, i / KEYS, i % KEYS);
        assert_true(holds_own_value(store, key, &found));
        assert_int_equal(found, workers[i / KEYS].values[i % KEYS]);
    }
    (void)checked_stats(store);
    kvstore_close(store);
}

static void assert_all_calls_at_once_lose_nothing(const struct store_dir *dir)
{
    static void *(*const duties[])(void *) = {write_keys,
                                              write_keys,
                                              write_keys,
                                              write_keys,
                                              write_keys,
                                              write_keys,
                                              read_keys,
                                              read_keys,
                                              compact,
                                              sync_and_count,
                                              compact,
                                              open_and_close,
                                              read_many_keys,
                                              delete_index,
                                              open_and_close};
    enum { COUNT = sizeof duties / sizeof *duties };
    static struct worker workers[COUNT];
    memset(workers, 0, sizeof workers);
    shared.dir = dir;
    for (int i = 0; i < HANDLES; i++) {
        kvstore_options options = patient_options();
        options.compaction =
            i == 0 ? KVSTORE_COMPACT_INLINE : KVSTORE_COMPACT_MANUAL;
        options.sync = i == 2 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
        shared.stores[i] = open_with(shared.dir, &options);
    }
    shared.end_ns = kv_io_clock_ns() + SECONDS * 1000 * NS_PER_MS;

    for (int i = 0; i < COUNT; i++) {
        workers[i].number = i;
        assert_int_equal(
            pthread_create(&workers[i].thread, NULL, duties[i], &workers[i]),
            0);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }

    assert_int_equal(atomic_load(&shared.faults), 0);
    for (int i = 0; i < HANDLES; i++) {
        kvstore_close(shared.stores[i]);
    }
    assert_newest_values(workers);
    for (int i = 0; i < MAPPINGS_MAX; i++) {
        assert_int_equal(mappings.all[i].users, 0);
    }
}

static void all_calls_at_once_lose_nothing(void **state)
{
    assert_all_calls_at_once_lose_nothing(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            all_calls_at_once_lose_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
