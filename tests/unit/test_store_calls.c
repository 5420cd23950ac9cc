/* SPDX-License-Identifier: MIT */

/* Do the public calls leave the host program's threads alone? Each call is made
 * by a thread that is to be cancelled, by one with a small stack, and beside a
 * sync that takes long. */

#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/system.h"
#include "store_calls.h"
#include "store_dir.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

/* --- Every call, made by some thread --- */

struct scene {
    const struct store_dir *dir;
    kvstore *store;
    const char *key;
    kvstore_status status;
    uint64_t synced_inode;
    atomic_bool has_returned;
};

static bool see_key(void *context, const void *key, size_t key_size)
{
    (void)context;
    (void)key;
    (void)key_size;
    return true;
}

static bool see_damage(void *context, const kvstore_damage *damage)
{
    (void)context;
    (void)damage;
    return true;
}

static kvstore_status call_open(struct scene *scene)
{
    kvstore_options options = plain_options();
    kvstore *store = NULL;
    kvstore_status status = kvstore_open(scene->dir->path, &options, &store);
    kvstore_close(store);
    return status;
}

static kvstore_status call_get(struct scene *scene)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(
        scene->store, scene->key, strlen(scene->key), &value, &size);
    kvstore_free(value);
    return status;
}

static kvstore_status call_get_into(struct scene *scene)
{
    char value[64];
    size_t size = 0;
    return kvstore_get_into(scene->store,
                            scene->key,
                            strlen(scene->key),
                            value,
                            sizeof value,
                            &size);
}

static kvstore_status call_get_many(struct scene *scene)
{
    kvstore_item items[] = {{.key = scene->key, .key_size = strlen(scene->key)},
                            {.key = "key-2", .key_size = 5}};
    kvstore_status status = kvstore_get_many(scene->store, items, 2);
    kvstore_free(items[0].value);
    kvstore_free(items[1].value);
    return status;
}

static kvstore_status call_set(struct scene *scene)
{
    return try_set(scene->store, "key-1", value_of(1));
}

static kvstore_status call_remove(struct scene *scene)
{
    must_set(scene->store, "gone", "1");
    return kvstore_remove(scene->store, "gone", 4);
}

static kvstore_status call_sync(struct scene *scene)
{
    return kvstore_sync(scene->store);
}

static kvstore_status call_compact(struct scene *scene)
{
    return kvstore_compact(scene->store);
}

static kvstore_status call_compact_if_due(struct scene *scene)
{
    return kvstore_compact_if_due(scene->store);
}

static kvstore_status call_get_stats(struct scene *scene)
{
    kvstore_stats stats;
    return kvstore_get_stats(scene->store, &stats);
}

static kvstore_status call_list(struct scene *scene)
{
    return kvstore_list(scene->store, "", 0, see_key, NULL);
}

static kvstore_status call_verify(struct scene *scene)
{
    return kvstore_verify(scene->store, see_damage, NULL);
}

static kvstore_status call_repair(struct scene *scene)
{
    return kvstore_repair(scene->store, see_damage, NULL);
}

/* --- Those that ask before they change --- */

static kvstore_status call_exists(struct scene *scene)
{
    return kvstore_exists(scene->store, scene->key, strlen(scene->key));
}

static kvstore_status call_set_with(struct scene *scene)
{
    const kvstore_set_options wanted = {.size = sizeof wanted,
                                        .condition = KVSTORE_IF_PRESENT};
    return kvstore_set_with(
        scene->store, "key-2", 5, value_of(2), strlen(value_of(2)), &wanted);
}

static kvstore_status call_remove_if(struct scene *scene)
{
    must_set(scene->store, "gone", "1");
    return kvstore_remove_if(scene->store, "gone", 4, "1", 1);
}

static kvstore_status call_take(struct scene *scene)
{
    void *value = NULL;
    size_t size = 0;
    must_set(scene->store, "gone", "1");
    kvstore_status status =
        kvstore_take(scene->store, "gone", 4, &value, &size);
    kvstore_free(value);
    return status;
}

static kvstore_status call_expire(struct scene *scene)
{
    return kvstore_expire(scene->store, "key-2", 5, KVSTORE_EXPIRES_NEVER);
}

static kvstore_status call_increment(struct scene *scene)
{
    int64_t sum = 0;
    return kvstore_increment(
        scene->store, "count", 5, 1, KVSTORE_EXPIRES_NEVER, &sum);
}

static bool set_again(void *context,
                      const kvstore_entry *current,
                      kvstore_batch *batch)
{
    (void)context;
    return kvstore_batch_set(batch,
                             current->key,
                             current->key_size,
                             "1",
                             1,
                             KVSTORE_EXPIRES_NEVER) == KVSTORE_OK;
}

static kvstore_status call_update(struct scene *scene)
{
    return kvstore_update(scene->store, "updated", 7, set_again, NULL);
}

static kvstore_status call_write(struct scene *scene)
{
    kvstore_batch *batch = NULL;
    kvstore_status status = kvstore_batch_create(&batch);
    for (int i = 0; i < 2 && status == KVSTORE_OK; i++) {
        status = kvstore_batch_set(
            batch, i == 0 ? "one" : "two", 3, "1", 1, KVSTORE_EXPIRES_NEVER);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(scene->store, batch);
    }
    kvstore_batch_free(batch);
    return status;
}

/* --- Those that read everything --- */

static kvstore_status call_iterate(struct scene *scene)
{
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;
    kvstore_status status =
        kvstore_iterator_create(scene->store, NULL, &iterator);
    if (status == KVSTORE_OK) {
        status = kvstore_iterator_next(iterator, &entry);
    }
    kvstore_iterator_free(iterator);
    return status;
}

static kvstore_status call_watch(struct scene *scene)
{
    const kvstore_watch_options options = {.size = sizeof options,
                                           .from_start = true};
    kvstore_watcher *watcher = NULL;
    const kvstore_change *change = NULL;
    kvstore_status status =
        kvstore_watcher_create(scene->store, &options, &watcher);
    if (status == KVSTORE_OK) {
        status = kvstore_watcher_next(watcher, 0, &change);
    }
    kvstore_watcher_free(watcher);
    return status;
}

static kvstore_status call_backup(struct scene *scene)
{
    char path[512];
    static atomic_int count;
    (void)snprintf(path,
                   sizeof path,
                   "%s/backup-%d",
                   scene->dir->path,
                   atomic_fetch_add(&count, 1));
    return kvstore_backup(scene->store, path);
}

static const struct call {
    const char *name;
    kvstore_status (*make)(struct scene *scene);
} calls[] = {
    {"open", call_open},
    {"get", call_get},
    {"get_into", call_get_into},
    {"get_many", call_get_many},
    {"set", call_set},
    {"remove", call_remove},
    {"sync", call_sync},
    {"compact", call_compact},
    {"compact_if_due", call_compact_if_due},
    {"get_stats", call_get_stats},
    {"list", call_list},
    {"verify", call_verify},
    {"repair", call_repair},
    {"exists", call_exists},
    {"set_with", call_set_with},
    {"remove_if", call_remove_if},
    {"take", call_take},
    {"expire", call_expire},
    {"increment", call_increment},
    {"update", call_update},
    {"write", call_write},
    {"iterate", call_iterate},
    {"watch", call_watch},
    {"backup", call_backup},
};
#define CALLS (sizeof calls / sizeof calls[0])

/* --- Cancellation --- */

struct run {
    struct scene scene;
    const struct call *call;
};

/* The first point of cancellation within the call would end the thread. */
static void *call_when_cancelled(void *context)
{
    struct run *run = context;
    (void)pthread_cancel(pthread_self());
    run->scene.status = run->call->make(&run->scene);
    atomic_store(&run->scene.has_returned, true);
    pthread_testcancel();
    return NULL;
}

static void assert_call_ends(const struct store_dir *dir,
                             const struct call *call,
                             kvstore *store,
                             const char *key)
{
    struct run run = {.scene = {.dir = dir, .store = store, .key = key},
                      .call = call};
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, call_when_cancelled, &run),
                     0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(atomic_load(&run.scene.has_returned));
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(run.scene.status, KVSTORE_OK);
}

/* round: whether the names are due, and whether there is an index. */
static void assert_calls_end(const struct store_dir *dir,
                             const kvstore_options *options,
                             int round)
{
    kvstore *store = open_with(dir, options);
    for (size_t c = 0; c < CALLS; c++) {
        print_message("%s\n", calls[c].name);
        rest(round % 2 == 0 ? 0 : 12);
        if (round >= 2) {
            remove_index(dir);
        }
        assert_call_ends(dir, &calls[c], store, "key-1");
        kvstore *other = open_with(dir, options);
        must_set(other, "key-1", value_of(1));
        must_set(store, "key-2", value_of(2));
        kvstore_close(other);
    }
    kvstore_close(store);
}

/* Neither gate nor lock is held by a thread that is gone. */
static void cancelled_thread_ends_its_call_first(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    options.lock_timeout_ms = -1;
    make_known(dir);
    for (int round = 0; round < 4; round++) {
        assert_calls_end(dir, &options, round);
    }
}

/* --- A small stack --- */

#define STACK_SIZE ((size_t)128 << 10)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define HAS_SANITIZER true
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER false
#endif

static void *call_all(void *context)
{
    struct scene *scene = context;
    for (size_t c = 0; c < CALLS; c++) {
        scene->status = calls[c].make(scene);
        if (scene->status != KVSTORE_OK) {
            return (void *)(uintptr_t)calls[c].name;
        }
    }
    return NULL;
}

/* As deep as a line may nest its members. */
static void append_deep_line(const struct store_dir *dir)
{
    enum { DEPTH = 990 };
    static char line[4 * DEPTH + 128];
    size_t size = (size_t)snprintf(
        line, sizeof line, "{ \"Set\": {\"key\":\"deep\",\"val\":\"1\",\"x\":");
    memset(line + size, '[', DEPTH);
    size += DEPTH;
    memset(line + size, ']', DEPTH);
    size += DEPTH;
    memcpy(line + size, "}}\n", 3);
    store_dir_append(dir, KV_LOG_NAME, line, size + 3);
}

static void small_stack_is_enough(void **state)
{
    const struct store_dir *dir = *state;
    pthread_attr_t attributes;
    if (HAS_SANITIZER) {
        skip(); /* Its frames are larger. */
    }
    make_known(dir);
    append_deep_line(dir);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_SIZE), 0);
    struct scene scene = {.dir = dir, .store = open_plain(dir), .key = "deep"};
    void *failed = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attributes, call_all, &scene), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    kvstore_close(scene.store);
    (void)pthread_attr_destroy(&attributes);
}

/* --- A sync that takes long --- */

#define PATIENCE_S 60

static struct {
    struct kv_io_table table;
    sem_t begun;
    sem_t may_end;
    bool has_waited_in_vain;
} disk;

static _Thread_local bool is_slow;
static _Thread_local uint64_t synced_inode; /* By this thread, last. */

static int slow_fdatasync(int fd)
{
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    synced_inode = stat.st_ino;
    if (is_slow) {
        struct timespec until;
        (void)sem_post(&disk.begun);
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_S;
        disk.has_waited_in_vain = sem_timedwait(&disk.may_end, &until) != 0;
        is_slow = false;
    }
    return kv_io_system_table()->fdatasync(fd);
}

static void *sync_slowly(void *context)
{
    struct scene *scene = context;
    is_slow = true;
    scene->status = kvstore_sync(scene->store);
    scene->synced_inode = synced_inode;
    return NULL;
}

/* Gets, sets, growth and compaction, of this process and of another. */
static void sync_holds_up_nobody(void **state)
{
    const struct store_dir *dir = *state;
    char key[32];
    pthread_t thread;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    struct scene scene = {.store = store};
    must_set(store, "key", "1");
    assert_int_equal(sem_init(&disk.begun, 0, 0), 0);
    assert_int_equal(sem_init(&disk.may_end, 0, 0), 0);
    disk.table = *kv_io_system_table();
    disk.table.fdatasync = slow_fdatasync;
    kv_io_swap_table(&disk.table);
    assert_int_equal(pthread_create(&thread, NULL, sync_slowly, &scene), 0);
    assert_int_equal(sem_wait(&disk.begun), 0);

    uint64_t index_bytes = checked_stats(store).index_bytes;
    for (int i = 0; i < 1000; i++) {
        name_key(key, sizeof key, i);
        must_set(i % 2 == 0 ? store : other, key, "1");
        assert_value(store, key, "1");
    }
    assert_true(checked_stats(store).index_bytes > index_bytes);
    must_compact(store);
    must_set(store, "key", "2");
    must_compact(other);
    assert_value(store, "key", "2");
    must_set(other, "key", "3");
    assert_value(store, "key", "3");

    (void)sem_post(&disk.may_end);
    assert_int_equal(pthread_join(thread, NULL), 0);
    kv_io_swap_table(kv_io_system_table());
    assert_false(disk.has_waited_in_vain);
    assert_int_equal(scene.status, KVSTORE_OK);
    /* The newest records are in another log than when it began. */
    struct stat named;
    assert_int_equal(stat(store_dir_path(dir, KV_LOG_NAME), &named), 0);
    assert_int_equal(scene.synced_inode, named.st_ino);
    kvstore_close(store);
    kvstore_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(cancelled_thread_ends_its_call_first),
        STORE_TEST(small_stack_is_enough),
        STORE_TEST(sync_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
