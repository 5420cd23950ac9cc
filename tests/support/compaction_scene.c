/* SPDX-License-Identifier: MIT */

/* The scene of a compaction: its system calls, and its store. */

#include "compaction_scene.h"

#include "index/file.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct compaction_scene scene;

/* --- Stepping in --- */

/* True if this is the log that a compaction writes, before it has its name. */
static bool is_new_log(int fd)
{
    struct stat own;
    struct stat named;
    return fstat(fd, &own) == 0 &&
           stat(store_dir_path(scene.dir, KV_LOG_COMPACT_NAME), &named) == 0 &&
           own.st_ino == named.st_ino;
}

static int stepping_fsync(int fd)
{
    if (scene.beside != NULL && is_new_log(fd)) {
        scene.syncs++;
        scene.beside();
    }
    return kv_io_system_table()->fsync(fd);
}

static void counting_sleep(int64_t ns)
{
    if (ns == NS_PER_MS) {
        atomic_fetch_add(&scene.pauses, 1);
    }
    kv_io_system_table()->sleep_ns(ns);
}

static int counting_start(pthread_t *thread,
                          void *(*run)(void *),
                          void *context)
{
    atomic_fetch_add(&scene.threads, 1);
    return kv_io_system_table()->start_thread(thread, run, context);
}

bool is_main_thread(void)
{
    return pthread_equal(pthread_self(), scene.main_thread) != 0;
}

ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (is_new_log(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->pwrite(fd, bytes, size, offset);
}

int compaction_scene_set_up(void **state)
{
    int result = store_dir_set_up(state);
    scene.dir = *state;
    scene.store = NULL;
    scene.other = NULL;
    scene.main_thread = pthread_self();
    scene.beside = NULL;
    scene.syncs = 0;
    atomic_store(&scene.threads, 0);
    atomic_store(&scene.pauses, 0);
    scene.table = *kv_io_system_table();
    scene.table.fsync = stepping_fsync;
    scene.table.sleep_ns = counting_sleep;
    scene.table.start_thread = counting_start;
    kv_io_swap_table(&scene.table);
    return result;
}

int compaction_scene_tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

/* --- A store with something stale --- */

void set_all(const char *value)
{
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        name_key(key, sizeof key, i);
        must_set(scene.store, key, value);
    }
}

void set_many_more(kvstore *store)
{
    char key[32];
    for (int i = 0; i < MORE_KEYS; i++) {
        (void)snprintf(key, sizeof key, "many-%d", i);
        must_set(store, key, "1");
    }
}

void open_store(int mode, uint64_t threshold)
{
    kvstore_options options = plain_options();
    options.compaction = mode;
    options.compaction_threshold = threshold;
    options.lock_timeout_ms = -1;
    scene.store = open_with(scene.dir, &options);
}

void open_half_stale(void)
{
    open_store(KVSTORE_COMPACT_MANUAL, 0);
    set_all("old");
    set_all("new");
}

kvstore *open_eager(void)
{
    kvstore_options options = plain_options();
    options.compaction_threshold = 1;
    options.compaction_percent = 1;
    return open_with(scene.dir, &options);
}

void compact_on_full_disk(void)
{
    scene.table.pwrite = full_pwrite;
    assert_int_equal(kvstore_compact(scene.store), KVSTORE_COMPACTION_FAILED);
    scene.table.pwrite = kv_io_system_table()->pwrite;
}

static bool ignore_damage(void *context, const kvstore_damage *damage)
{
    (void)context;
    (void)damage;
    return true;
}

void close_verified(void)
{
    kvstore_stats before = checked_stats(scene.store);
    assert_int_equal(kvstore_verify(scene.store, ignore_damage, NULL),
                     KVSTORE_OK);
    kvstore_close(scene.store);
    for (int i = 0; i < 2; i++) {
        open_store(KVSTORE_COMPACT_MANUAL, 0);
        kvstore_stats after = checked_stats(scene.store);
        assert_int_equal(after.keys, before.keys);
        assert_int_equal(after.live_bytes, before.live_bytes);
        assert_int_equal(after.log_bytes, before.log_bytes);
        assert_int_equal(kvstore_verify(scene.store, ignore_damage, NULL),
                         KVSTORE_OK);
        kvstore_close(scene.store);
        (void)unlink(store_dir_path(scene.dir, KV_INDEX_NAME));
    }
    assert_false(store_dir_has(scene.dir, KV_LOG_COMPACT_NAME));
}
