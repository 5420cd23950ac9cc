/* SPDX-License-Identifier: MIT */

/* Writers and readers are killed one by one, in the middle of everything, while
 * the index is deleted under them: the processes that are left, and a handle
 * that was open all along, see every acknowledged write at once. */

#include "kvstore.h"
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITERS 4
#define READERS 2
#define WORKERS (WRITERS + READERS)
#define KEYS 64
#define REMOVE_EVERY 7 /* Multiples are removes, others values. */

/* Seen by all processes: what each key of each writer was last set to. */
struct board {
    _Atomic uint64_t started[WRITERS][KEYS];
    _Atomic uint64_t acknowledged[WRITERS][KEYS];
    _Atomic uint64_t reads;
    _Atomic uint64_t violations;
};

static struct board *board;
static uint64_t random_state = 2463534242u;

/* Xorshift (Marsaglia, 2003). Returns a number below a bound. */
static int random_below(int bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)bound);
}

static void complain(const char *what, int writer, int key, uint64_t number)
{
    (void)fprintf(stderr,
                  "%s: key %d-%d, %llu, acknowledged %llu: %s\n",
                  what,
                  writer,
                  key,
                  (unsigned long long)number,
                  (unsigned long long)board->acknowledged[writer][key],
                  kvstore_last_error()->message);
    board->violations++;
}

static kvstore *open_store(const char *path, int sync)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = sync;
    options.compaction_threshold = 20000;
    options.lock_timeout_ms = 30000;
    if (kvstore_open(path, &options, &store) != KVSTORE_OK) {
        complain("cannot open", 0, 0, 0);
        _exit(EXIT_FAILURE);
    }
    return store;
}

static void write_one(kvstore *store, int writer, int key)
{
    char name[32];
    char value[64];
    uint64_t number = board->started[writer][key] + 1;
    int name_size = snprintf(name, sizeof name, "%d-%d", writer, key);
    int value_size = snprintf(
        value, sizeof value, "%llu and some more", (unsigned long long)number);
    board->started[writer][key] = number;
    kvstore_status status =
        number % REMOVE_EVERY == 0
            ? kvstore_remove(store, name, (size_t)name_size)
            : kvstore_set(
                  store, name, (size_t)name_size, value, (size_t)value_size);
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        complain("cannot write", writer, key, number);
        _exit(EXIT_FAILURE);
    }
    board->acknowledged[writer][key] = number;
}

static void write_on(const char *path, int writer)
{
    int sync = writer % 2 == 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    kvstore *store = open_store(path, sync);
    for (;;) {
        write_one(store, writer, random_below(KEYS));
        if (random_below(50) == 0) {
            kvstore_close(store);
            store = open_store(path, sync);
        }
    }
}

/* True if some number between first and last removed the key. */
static bool may_be_absent(uint64_t first, uint64_t last)
{
    return first == 0 || last / REMOVE_EVERY > (first - 1) / REMOVE_EVERY;
}

static void read_one(const kvstore *store, int writer, int key)
{
    char name[32];
    void *value = NULL;
    size_t size = 0;
    int name_size = snprintf(name, sizeof name, "%d-%d", writer, key);
    uint64_t first = board->acknowledged[writer][key];
    kvstore_status status =
        kvstore_get(store, name, (size_t)name_size, &value, &size);
    uint64_t last = board->started[writer][key];
    uint64_t number = status == KVSTORE_OK ? strtoull(value, NULL, 10) : 0;
    bool is_right = status == KVSTORE_OK ? number >= first && number <= last
                                         : status == KVSTORE_NOT_FOUND &&
                                               may_be_absent(first, last);
    if (!is_right) {
        complain("wrong", writer, key, number);
    }
    kvstore_free(value);
    board->reads++;
}

static void read_on(const char *path)
{
    kvstore *store = open_store(path, KVSTORE_SYNC_ALWAYS);
    for (uint64_t i = 1;; i++) {
        read_one(store, random_below(WRITERS), random_below(KEYS));
        if (i % 500 == 0) {
            kvstore_close(store);
            store = open_store(path, KVSTORE_SYNC_ALWAYS);
        }
    }
}

static void read_all(const kvstore *store)
{
    for (int i = 0; i < WRITERS * KEYS; i++) {
        read_one(store, i / KEYS, i % KEYS);
    }
}

static pid_t start(const char *path, int worker)
{
    pid_t pid = fork();
    if (pid == 0) {
        random_state ^= (uint64_t)getpid() << 20;
        if (worker < WRITERS) {
            write_on(path, worker);
        } else {
            read_on(path);
        }
    }
    return pid;
}

static void stop(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void delete_index(const char *path)
{
    char name[SCRATCH_PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s/store.index", path);
    (void)unlink(name);
}

static void pause_a_little(void)
{
    struct timespec duration = {.tv_nsec = random_below(8000000)};
    (void)nanosleep(&duration, NULL);
}

/* Keeps all workers running and kills one after the other. */
static void torment(const char *path, const kvstore *witness, bool deletes)
{
    pid_t pids[WORKERS];
    unsigned long kills = scratch_number("KVSTORE_KILL_CYCLES", 300);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = start(path, i);
    }
    for (unsigned long i = 0; i < kills && board->violations == 0; i++) {
        int victim = random_below(WORKERS);
        pause_a_little();
        stop(pids[victim]);
        if (deletes && random_below(4) == 0) {
            delete_index(path);
        }
        if (i % 10 == 0) {
            read_all(witness);
        }
        pids[victim] = start(path, victim);
    }
    for (int i = 0; i < WORKERS; i++) {
        stop(pids[i]);
    }
}

static void check_torment(const char *path, bool deletes)
{
    memset(board, 0, sizeof *board);
    kvstore *witness = open_store(path, KVSTORE_SYNC_ALWAYS);

    torment(path, witness, deletes);

    read_all(witness);
    kvstore_close(witness);
    witness = open_store(path, KVSTORE_SYNC_ALWAYS);
    read_all(witness);
    kvstore_stats stats;
    assert_int_equal(kvstore_get_stats(witness, &stats), KVSTORE_OK);
    kvstore_close(witness);
    (void)printf("%llu reads\n", (unsigned long long)board->reads);
    assert_int_equal(board->violations, 0);
    assert_true(board->reads > UINT64_C(1000));
    assert_int_equal(stats.damaged_records, 0);
    assert_int_equal(stats.live_bytes + stats.stale_bytes + stats.blank_bytes,
                     stats.log_bytes);
}

static void kills_hide_nothing(void **state)
{
    check_torment(*state, false);
}

static void kills_and_deleted_indexes_hide_nothing(void **state)
{
    check_torment(*state, true);
}

static int set_up(void **state)
{
    char *path = malloc(SCRATCH_PATH_SIZE);
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    void *memory =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (path == NULL || memory == MAP_FAILED) {
        free(path);
        return -1;
    }
    board = memory;
    scratch_make(path);
    *state = path;
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return munmap(board, sizeof *board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kills_hide_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            kills_and_deleted_indexes_hide_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
