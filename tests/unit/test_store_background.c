/* SPDX-License-Identifier: MIT */

/* Does a compaction let others go on, and end correctly beside them? */

#include "compaction_scene.h"
#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "store/handle.h"
#include "store_calls.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void await_compactions(uint64_t count)
{
    for (int i = 0; i < 20000; i++) {
        if (checked_stats(scene.store).compactions >= count) {
            return;
        }
        kv_io_system_table()->sleep_ns(NS_PER_MS);
    }
    fail_msg("%s", "no compaction in 20 s");
}

/* --- Writes beside it --- */

static void write_of_all_kinds(void)
{
    if (scene.syncs > 1) {
        return;
    }
    must_set(scene.store, "key-0", "newer"); /* Copied already. */
    must_remove(scene.store, "key-1");       /* Copied, too, and removed. */
    must_set(scene.store, "brand new", "1"); /* Not in the copy. */
    must_set(scene.store, "short-lived", "1");
    must_remove(scene.store, "short-lived");
    must_remove(scene.store, "key-2");
    must_set(scene.store, "key-2", "back");
    assert_value(scene.store, "key-0", "newer");
    assert_value(scene.store, "key-3", "new");
    assert_absent(scene.store, "key-1");
}

static void assert_of_all_kinds(void)
{
    assert_value(scene.store, "key-0", "newer");
    assert_absent(scene.store, "key-1");
    assert_value(scene.store, "key-2", "back");
    assert_value(scene.store, "key-3", "new");
    assert_value(scene.store, "brand new", "1");
    assert_absent(scene.store, "short-lived");
}

static void writes_beside_it_are_kept(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = write_of_all_kinds;

    must_compact(scene.store);

    assert_true(scene.syncs >= 2);
    assert_of_all_kinds();
    kvstore_stats stats = checked_stats(scene.store);
    assert_int_equal(stats.compactions, 1);
    assert_int_equal(stats.keys, KEYS);
    assert_true(stats.stale_bytes > 0);
    must_compact(scene.store);
    assert_of_all_kinds();
    assert_int_equal(checked_stats(scene.store).stale_bytes, 0);
    close_verified();
}

static void write_by_another_handle(void)
{
    kvstore *own = scene.store;
    scene.store = scene.other;
    write_of_all_kinds();
    scene.store = own;
}

static void writes_of_others_are_kept(void **state)
{
    (void)state;
    open_half_stale();
    scene.other = open_plain(scene.dir);
    scene.beside = write_by_another_handle;

    must_compact(scene.store);

    assert_of_all_kinds();
    assert_value(scene.other, "key-0", "newer");
    assert_int_equal(checked_stats(scene.other).compactions, 1);
    must_set(scene.other, "key-5", "after");
    assert_value(scene.store, "key-5", "after");
    kvstore_close(scene.other);
    close_verified();
}

static void grow_the_index(void)
{
    if (scene.syncs > 1) {
        return;
    }
    set_many_more(scene.other);
    must_remove(scene.other, "key-1");
}

static void index_that_grows_meanwhile_is_no_matter(void **state)
{
    (void)state;
    open_half_stale();
    scene.other = open_plain(scene.dir);
    uint64_t index_bytes = checked_stats(scene.other).index_bytes;
    scene.beside = grow_the_index;

    must_compact(scene.store);

    assert_true(checked_stats(scene.store).index_bytes > index_bytes);
    assert_int_equal(checked_stats(scene.store).keys, KEYS - 1 + MORE_KEYS);
    assert_value(scene.store, "many-4999", "1");
    assert_absent(scene.store, "key-1");
    kvstore_close(scene.other);
    close_verified();
}

static void lose_the_index(void)
{
    if (scene.syncs > 1) {
        return;
    }
    assert_int_equal(unlink(store_dir_path(scene.dir, KV_INDEX_NAME)), 0);
    kvstore *fresh = open_plain(scene.dir);
    must_set(fresh, "key-0", "newer");
    must_remove(fresh, "key-1");
    kvstore_close(fresh);
}

static void index_that_is_built_anew_meanwhile_is_no_matter(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = lose_the_index;

    must_compact(scene.store);

    assert_value(scene.store, "key-0", "newer");
    assert_absent(scene.store, "key-1");
    assert_int_equal(checked_stats(scene.store).keys, KEYS - 1);
    close_verified();
}

static void read_the_old_pair(void)
{
    assert_value(scene.other, "key-7", "new");
    assert_value(scene.store, "key-7", "new");
}

static void readers_go_on_and_see_the_new_pair(void **state)
{
    (void)state;
    open_half_stale();
    kvstore_options options = plain_options();
    options.read_only = true;
    scene.other = open_with(scene.dir, &options);
    read_the_old_pair();
    scene.beside = read_the_old_pair;

    must_compact(scene.store);

    assert_true(scene.syncs > 0);
    must_set(scene.store, "key-7", "newest");
    assert_value(scene.other, "key-7", "newest");
    kvstore_close(scene.other);
    close_verified();
}

/* --- Rounds --- */

#define LARGE ((size_t)700 << 10)

static char large[LARGE + 1];

/* More than fits in a last round, each time. */
static void write_much(void)
{
    if (atomic_load(&scene.store->compactor.is_behind_gate)) {
        return; /* The last round keeps all others out. */
    }
    memset(large, 'x', LARGE);
    for (int i = 0; i < 3; i++) {
        must_set(scene.store, "large", large);
    }
}

static void write_much_for_some_rounds(void)
{
    if (scene.syncs <= 5) {
        write_much();
    }
}

static void writers_are_slowed_until_it_is_ahead(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = write_much_for_some_rounds;

    must_compact(scene.store);

    assert_true(scene.syncs > 5);
    int pauses = atomic_load(&scene.pauses);
    assert_true(pauses > 3);
    must_set(scene.store, "large", "small");
    assert_int_equal(atomic_load(&scene.pauses), pauses);
    assert_int_equal(checked_stats(scene.store).compactions, 1);
    close_verified();
}

/* The clock of a machine with a slow disk. */
static _Atomic int64_t passed_ns;

static int64_t late_clock_ns(void)
{
    return kv_io_system_table()->clock_ns() + atomic_load(&passed_ns);
}

static int64_t late_clock_coarse_ns(void)
{
    return kv_io_system_table()->clock_coarse_ns() + atomic_load(&passed_ns);
}

static void write_much_beside_a_slow_disk(void)
{
    if (scene.syncs == 1) {
        write_much();
        atomic_fetch_add(&passed_ns, 5000 * NS_PER_MS);
    } else if (scene.syncs == 2) {
        atomic_fetch_add(&passed_ns, 5000 * NS_PER_MS);
        write_much();
    }
}

/* A first round as long as the copy: a writer at its end is still slowed. */
static void slowness_lasts_as_long_as_a_round(void **state)
{
    (void)state;
    atomic_store(&passed_ns, 0);
    scene.table.clock_ns = late_clock_ns;
    scene.table.clock_coarse_ns = late_clock_coarse_ns;
    open_half_stale();
    scene.beside = write_much_beside_a_slow_disk;

    must_compact(scene.store);

    assert_true(scene.syncs > 2);
    assert_true(atomic_load(&scene.pauses) >= 3);
    scene.beside = NULL;
    close_verified();
}

/* Without the pauses this writer would look like one just as fast. */
static void rounds_end_beside_a_writer_as_fast_as_they(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = write_much;

    must_compact(scene.store);

    assert_int_equal(checked_stats(scene.store).compactions, 1);
    assert_value(scene.store, "large", large);
    scene.beside = NULL;
    close_verified();
}

static void *overwrite_all_the_time(void *argument)
{
    const atomic_bool *must_stop = argument;
    char key[16];
    for (int i = 0; !atomic_load(must_stop); i++) {
        name_key(key, sizeof key, i % KEYS);
        assert_int_equal(try_set(scene.store, key, key), KVSTORE_OK);
    }
    return NULL;
}

static void exclusive_writer_does_not_outrun_it(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_bool must_stop = false;
    kvstore_options options = plain_options();
    options.exclusive = true;
    scene.store = open_with(scene.dir, &options);
    assert_int_equal(
        pthread_create(&thread, NULL, overwrite_all_the_time, &must_stop), 0);

    for (int i = 0; i < 20; i++) {
        must_compact(scene.store);
    }

    atomic_store(&must_stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(checked_stats(scene.store).compactions, 20);
    close_verified();
}

/* --- The thread --- */

static void background_sees_to_it(void **state)
{
    (void)state;
    open_store(KVSTORE_COMPACT_BACKGROUND, 5000);
    set_all("old");
    set_all("new");

    await_compactions(1);

    assert_value(scene.store, "key-9", "new");
    assert_true(atomic_load(&scene.threads) > 0);
    close_verified();
}

static atomic_bool may_go_on;

static void hold(void)
{
    while (!atomic_load(&may_go_on)) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }
}

static void await_sync(void)
{
    while (!store_dir_has(scene.dir, KV_LOG_COMPACT_NAME)) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    atomic_store(&may_go_on, false);
    scene.beside = hold;
    open_store(KVSTORE_COMPACT_BACKGROUND, 1);
    set_all("old");
    set_all("new");
    await_sync();

    set_all("newer");

    assert_int_equal(atomic_load(&scene.threads), 1);
    assert_int_equal(kvstore_compact(scene.store), KVSTORE_BUSY);
    assert_int_equal(checked_stats(scene.store).compactions, 0);
    atomic_store(&may_go_on, true);
    await_compactions(1);
    assert_value(scene.store, "key-9", "newer");
    close_verified();
}

/* While another handle compacts, none starts a thread at each set. */
static void second_handle_leaves_it_to_the_first(void **state)
{
    (void)state;
    atomic_store(&may_go_on, false);
    scene.beside = hold;
    open_store(KVSTORE_COMPACT_BACKGROUND, 1);
    set_all("old");
    set_all("new");
    await_sync();
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_BACKGROUND;
    options.compaction_threshold = 1;
    scene.other = open_with(scene.dir, &options);

    int64_t begun_ns = kv_io_clock_ns();
    for (int i = 0; i < 1000; i++) {
        must_set(scene.other, "key-2", "new");
    }

    int64_t took_ns = kv_io_clock_ns() - begun_ns;
    assert_true(atomic_load(&scene.threads) <=
                3 + (int)(took_ns / (90 * NS_PER_MS)));
    atomic_store(&may_go_on, true);
    await_compactions(1);
    assert_value(scene.store, "key-2", "new");
    kvstore_close(scene.other);
    close_verified();
}

static void call_waits_for_another_compaction(void **state)
{
    (void)state;
    atomic_store(&may_go_on, false);
    scene.beside = hold;
    open_store(KVSTORE_COMPACT_BACKGROUND, 1);
    set_all("old");
    set_all("new");
    await_sync();
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    scene.other = open_with(scene.dir, &options);

    atomic_store(&may_go_on, true);
    must_compact(scene.other);

    assert_true(checked_stats(scene.other).compactions >= 2);
    kvstore_close(scene.other);
    close_verified();
}

static int refuse_threads(pthread_t *thread,
                          void *(*run)(void *),
                          void *context)
{
    (void)thread;
    (void)run;
    (void)context;
    atomic_fetch_add(&scene.threads, 1);
    return EAGAIN;
}

static void without_threads_it_is_put_off(void **state)
{
    (void)state;
    scene.table.start_thread = refuse_threads;
    open_store(KVSTORE_COMPACT_BACKGROUND, 1000);

    set_all("old");
    set_all("new");
    set_all("new");
    set_all("new");

    int tries = atomic_load(&scene.threads);
    kvstore_stats stats = checked_stats(scene.store);
    assert_true(tries >= 2);
    assert_true((uint64_t)tries <= stats.stale_bytes / 1000);
    assert_value(scene.store, "key-0", "new");
    close_verified();
}

/* --- Closing --- */

/* Makes a log of which more is left to copy than a close waits for. */
static void set_much(void)
{
    char key[16];
    memset(large, 'x', LARGE);
    for (int i = 0; i < 200; i++) {
        name_key(key, sizeof key, i % 100);
        must_set(scene.store, key, large);
    }
}

static atomic_int preads;

static ssize_t held_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (is_main_thread() || size < ((size_t)1 << 20)) {
        return kv_io_system_table()->pread(fd, buffer, size, offset);
    }
    atomic_fetch_add(&preads, 1);
    hold();
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

/* The handle is there as long as its compaction is held up. */
static void *let_go_of_a_closing_one(void *argument)
{
    (void)argument;
    while (!atomic_load(&scene.store->compactor.is_closing)) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }
    atomic_store(&may_go_on, true);
    return NULL;
}

/* Closes the store while a compaction is held up, which then goes on. */
static void close_beside_a_held_one(void)
{
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, let_go_of_a_closing_one, NULL), 0);
    kvstore_close(scene.store);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void close_gives_a_long_copy_up(void **state)
{
    (void)state;
    atomic_store(&may_go_on, false);
    atomic_store(&preads, 0);
    open_store(KVSTORE_COMPACT_MANUAL, 0);
    set_much();
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);
    kvstore_close(scene.store);
    open_store(KVSTORE_COMPACT_BACKGROUND, 0);
    scene.table.pread = held_pread;
    must_set(scene.store, "key-0", "new");
    while (atomic_load(&preads) == 0) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }

    close_beside_a_held_one();

    assert_true(atomic_load(&preads) < 10);
    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) > size);
    assert_false(store_dir_has(scene.dir, KV_LOG_COMPACT_NAME));
    open_store(KVSTORE_COMPACT_MANUAL, 0);
    assert_int_equal(checked_stats(scene.store).compactions, 0);
    assert_value(scene.store, "key-0", "new");
    must_compact(scene.store);
    close_verified();
}

static void *(*held_run)(void *);

static void *run_when_let_go(void *context)
{
    hold();
    return held_run(context);
}

static int start_held(pthread_t *thread, void *(*run)(void *), void *context)
{
    held_run = run;
    return kv_io_system_table()->start_thread(thread, run_when_let_go, context);
}

static void close_awaits_a_short_rest(void **state)
{
    (void)state;
    atomic_store(&may_go_on, false);
    scene.table.start_thread = start_held;
    open_store(KVSTORE_COMPACT_BACKGROUND, 1);
    set_all("old");
    set_all("new");
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);

    close_beside_a_held_one();

    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) < size);
    open_store(KVSTORE_COMPACT_MANUAL, 0);
    assert_true(checked_stats(scene.store).compactions > 0);
    close_verified();
}

/* --- Failures and foul play --- */

static void delete_the_new_log(void)
{
    (void)unlink(store_dir_path(scene.dir, KV_LOG_COMPACT_NAME));
}

static void recreate_the_new_log(void)
{
    delete_the_new_log();
    store_dir_write(scene.dir, KV_LOG_COMPACT_NAME, "theirs", 6);
}

static void assert_gives_up(void (*beside)(void))
{
    open_half_stale();
    size_t size = 0;
    char *before = store_dir_read(scene.dir, KV_LOG_NAME, &size);
    scene.beside = beside;

    assert_int_equal(kvstore_compact(scene.store), KVSTORE_BUSY);

    store_dir_assert_file(scene.dir, KV_LOG_NAME, before, size);
    free(before);
    scene.beside = NULL;
    must_set(scene.store, "key-0", "after");
    must_compact(scene.store);
    assert_value(scene.store, "key-0", "after");
    close_verified();
}

static void close_the_log_to_the_group(void)
{
    assert_int_equal(chmod(store_dir_path(scene.dir, KV_LOG_NAME), 0640), 0);
}

static mode_t mode_of(const char *name)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat_name(&scene.dir->directory, name, &stat),
                     KVSTORE_OK);
    return stat.mode;
}

static void mode_that_is_set_beside_it_is_kept(void **state)
{
    (void)state;
    open_half_stale();
    assert_int_equal(chmod(store_dir_path(scene.dir, KV_LOG_NAME), 0660), 0);
    scene.beside = close_the_log_to_the_group;

    must_compact(scene.store);

    assert_int_equal(mode_of(KV_LOG_NAME), 0640);
    assert_int_equal(mode_of("store.index"), 0640);
    close_verified();
}

static uint64_t foreign_inode;

static uint64_t inode_of(const char *name)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat_name(&scene.dir->directory, name, &stat),
                     KVSTORE_OK);
    return stat.inode;
}

static int refused_fchown(int fd, uid_t owner, gid_t group)
{
    (void)fd;
    (void)owner;
    (void)group;
    errno = EPERM;
    return -1;
}

static int foreign_fstat(int fd, struct stat *stat_out)
{
    int result = kv_io_system_table()->fstat(fd, stat_out);
    stat_out->st_uid += (uint64_t)stat_out->st_ino == foreign_inode ? 1 : 0;
    return result;
}

/* The owner could not open the new log. */
static void log_of_another_owner_is_left_to_him(void **state)
{
    (void)state;
    open_half_stale();
    scene.table.fchown = refused_fchown;
    scene.table.fstat = foreign_fstat;
    foreign_inode = inode_of(KV_LOG_NAME);

    assert_int_equal(kvstore_compact(scene.store), KVSTORE_COMPACTION_FAILED);

    assert_int_equal(kvstore_last_error()->system_errno, EPERM);
    assert_int_equal(inode_of(KV_LOG_NAME), foreign_inode);
    assert_false(store_dir_has(scene.dir, KV_LOG_COMPACT_NAME));
    scene.table.fchown = kv_io_system_table()->fchown;
    scene.table.fstat = kv_io_system_table()->fstat;
    must_compact(scene.store);
    close_verified();
}

static void deleted_new_log_is_given_up(void **state)
{
    (void)state;
    assert_gives_up(delete_the_new_log);
}

static void replaced_new_log_is_given_up(void **state)
{
    (void)state;
    assert_gives_up(recreate_the_new_log);
}

static void full_disk_is_no_failure_of_a_set(void **state)
{
    (void)state;
    open_store(KVSTORE_COMPACT_INLINE, 1000);
    scene.table.pwrite = full_pwrite;
    set_all("old");
    set_all("new");

    assert_int_equal(kvstore_compact(scene.store), KVSTORE_COMPACTION_FAILED);

    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_int_equal(checked_stats(scene.store).compactions, 0);
    assert_false(store_dir_has(scene.dir, KV_LOG_COMPACT_NAME));
    assert_value(scene.store, "key-0", "new");
    scene.table.pwrite = kv_io_system_table()->pwrite;
    assert_int_equal(kvstore_compact_if_due(scene.store), KVSTORE_OK);
    assert_int_equal(checked_stats(scene.store).compactions, 0);
    set_all("newer");
    assert_true(checked_stats(scene.store).compactions > 0);
    close_verified();
}

/* What failed in one process, the next one does not try at once. */
static void failure_is_known_to_others(void **state)
{
    (void)state;
    open_half_stale();
    compact_on_full_disk();
    scene.other = open_eager();

    assert_int_equal(kvstore_compact_if_due(scene.other), KVSTORE_OK);

    assert_int_equal(checked_stats(scene.other).compactions, 0);
    must_compact(scene.other);
    set_all("newer");
    assert_int_equal(kvstore_compact_if_due(scene.other), KVSTORE_OK);
    assert_int_equal(checked_stats(scene.other).compactions, 2);
    kvstore_close(scene.other);
    close_verified();
}

static void due_or_not_is_asked_for(void **state)
{
    (void)state;
    open_store(KVSTORE_COMPACT_MANUAL, 5000);
    assert_int_equal(kvstore_compact_if_due(NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_compact_if_due(scene.store), KVSTORE_OK);
    assert_int_equal(checked_stats(scene.store).compactions, 0);
    set_all("old");
    set_all("new");
    assert_int_equal(checked_stats(scene.store).compactions, 0);

    assert_int_equal(kvstore_compact_if_due(scene.store), KVSTORE_OK);

    assert_int_equal(checked_stats(scene.store).compactions, 1);
    close_verified();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(writes_beside_it_are_kept),
        SCENE_TEST(writes_of_others_are_kept),
        SCENE_TEST(index_that_grows_meanwhile_is_no_matter),
        SCENE_TEST(index_that_is_built_anew_meanwhile_is_no_matter),
        SCENE_TEST(readers_go_on_and_see_the_new_pair),
        SCENE_TEST(writers_are_slowed_until_it_is_ahead),
        SCENE_TEST(slowness_lasts_as_long_as_a_round),
        SCENE_TEST(rounds_end_beside_a_writer_as_fast_as_they),
        SCENE_TEST(exclusive_writer_does_not_outrun_it),
        SCENE_TEST(background_sees_to_it),
        SCENE_TEST(one_thread_at_a_time),
        SCENE_TEST(second_handle_leaves_it_to_the_first),
        SCENE_TEST(call_waits_for_another_compaction),
        SCENE_TEST(without_threads_it_is_put_off),
        SCENE_TEST(close_gives_a_long_copy_up),
        SCENE_TEST(close_awaits_a_short_rest),
        SCENE_TEST(mode_that_is_set_beside_it_is_kept),
        SCENE_TEST(log_of_another_owner_is_left_to_him),
        SCENE_TEST(deleted_new_log_is_given_up),
        SCENE_TEST(replaced_new_log_is_given_up),
        SCENE_TEST(full_disk_is_no_failure_of_a_set),
        SCENE_TEST(failure_is_known_to_others),
        SCENE_TEST(due_or_not_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
