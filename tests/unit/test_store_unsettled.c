/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: a process dies between
 * the naming of a new index and its coming to life, and others did something
 * meanwhile. */

#include "index/file.h"
#include "index/header.h"
#include "kvstore.h"
#include "os/system.h"
#include "store_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
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

static struct {
    struct kv_io_table table;
    const struct store_dir *dir;
    int states;            /* How often an index was seen to come to life. */
    atomic_int poisons;    /* Indexes that were told of a failed sync. */
    atomic_bool is_faulty; /* The disk. */
    int to_child[2];
    int to_parent[2];
} world;

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.table = *kv_io_system_table();
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

/* --- Lines that the new index lacks --- */

static void set_state(const struct store_dir *dir, enum kv_table_state value)
{
    int fd = open(store_dir_path(dir, KV_INDEX_NAME), O_RDWR | O_CLOEXEC);
    void *memory = mmap(
        NULL, KV_TABLE_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(memory != MAP_FAILED);
    struct kv_table_header *header = memory;
    atomic_store(&header->state, (uint64_t)value);
    assert_int_equal(munmap(memory, KV_TABLE_HEADER_SIZE), 0);
    assert_int_equal(close(fd), 0);
}

/* Somebody opens the store at that moment, who does not get the lock. */
static void get_at_state(const char *name)
{
    if (strcmp(name, "state") != 0) {
        return;
    }
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    kv_io_swap_table(kv_io_system_table());
    kvstore *reader = open_with(world.dir, &options);
    assert_value(reader, "k", "new");
    kvstore_close(reader);
    kv_io_swap_table(&world.table);
    world.states++;
}

/* The index that had lost its name took one more line, before its owners knew:
 * nobody who saw that may see the older value again. */
static void index_comes_to_life_with_all_lines(void **state)
{
    struct store_dir *dir = *state;
    size_t size = 0;
    kvstore *store = open_plain(dir);
    must_set(store, "k", "old");
    kvstore_close(store);
    char *index = store_dir_read(dir, KV_INDEX_NAME, &size);
    store = open_plain(dir);
    must_set(store, "k", "new");
    kvstore_close(store);
    store_dir_write(dir, KV_INDEX_NAME, index, size);
    free(index);
    set_state(dir, KV_TABLE_SWITCHING);

    world.dir = dir;
    world.table.step = get_at_state;
    kv_io_swap_table(&world.table);
    store = open_plain(dir);
    must_set(store, "other", "1");
    kv_io_swap_table(kv_io_system_table());

    assert_true(world.states > 0);
    assert_value(store, "k", "new");
    kvstore_close(store);
}

/* --- A sync that fails during a switch --- */

static void send(const int pipe_fds[2])
{
    assert_int_equal(write(pipe_fds[1], "!", 1), 1);
}

static void await(const int pipe_fds[2])
{
    char byte = 0;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
}

/* The new index has taken along what the old one knew; now it gets the name, and
 * this process dies. */
static int die_at_renameat(int dir_fd, const char *from, const char *to)
{
    if (strcmp(to, KV_INDEX_NAME) != 0) {
        return kv_io_system_table()->renameat(dir_fd, from, to);
    }
    send(world.to_parent);
    await(world.to_child);
    _exit(kv_io_system_table()->renameat(dir_fd, from, to));
}

static _Noreturn void grow_and_die(const struct store_dir *dir)
{
    char key[32];
    await(world.to_child);
    world.table.renameat = die_at_renameat;
    kv_io_swap_table(&world.table);
    kvstore *store = open_plain(dir);
    for (unsigned i = 0;; i++) {
        (void)snprintf(key, sizeof key, "key-%u", i);
        must_set(store, key, "");
    }
}

static int faulty_fdatasync(int fd)
{
    return atomic_exchange(&world.is_faulty, false)
               ? (errno = EIO, -1)
               : kv_io_system_table()->fdatasync(fd);
}

static void count_poisons(const char *name)
{
    world.poisons += strcmp(name, "poison") == 0;
}

static void *sync_store(void *store)
{
    return kvstore_sync(store) == KVSTORE_IO ? store : NULL;
}

static void failed_sync_is_known_to_the_index_that_gets_the_name(void **state)
{
    struct store_dir *dir = *state;
    pthread_t thread;
    void *result = NULL;
    int status = 0;
    assert_int_equal(pipe(world.to_child), 0);
    assert_int_equal(pipe(world.to_parent), 0);
    pid_t pid = fork();
    if (pid == 0) {
        grow_and_die(dir);
    }
    world.table.fdatasync = faulty_fdatasync;
    world.table.step = count_poisons;
    kv_io_swap_table(&world.table);
    kvstore *store = open_plain(dir);
    must_set(store, "k", "not on the disk");
    send(world.to_child);
    await(world.to_parent);
    world.is_faulty = true;
    assert_int_equal(pthread_create(&thread, NULL, sync_store, store), 0);
    while (world.poisons < 2) { /* The old index is told, and by name again. */
        (void)sched_yield();
    }
    send(world.to_child);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, store);
    kvstore_close(store);

    store = open_plain(dir);
    assert_int_equal(try_set(store, "k", "2"), KVSTORE_IO);
    assert_value(store, "k", "not on the disk");
    kvstore_close(store);
    for (int i = 0; i < 2; i++) {
        (void)close(world.to_child[i]);
        (void)close(world.to_parent[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            index_comes_to_life_with_all_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            failed_sync_is_known_to_the_index_that_gets_the_name,
            set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
