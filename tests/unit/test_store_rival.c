/* SPDX-License-Identifier: MIT */

/* How does a compaction cope with rivals for the store's locks, with a log that
 * rots under it, and with foul play? */

#include "compaction_scene.h"
#include "index/file.h"
#include "kvstore.h"
#include "log/log.h"
#include "store/handle.h"
#include "store/lock.h"
#include "store_calls.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define THRESHOLD 5000

/* --- Rivals for the locks --- */

static int start_beside_exclusive(pthread_t *thread,
                                  void *(*run)(void *),
                                  void *context)
{
    if (scene.other == NULL) {
        kvstore_options options = plain_options();
        options.exclusive = true;
        scene.other = open_with(scene.dir, &options);
    }
    return kv_io_system_table()->start_thread(thread, run, context);
}

static void *close_store(void *argument)
{
    atomic_bool *is_closed = argument;
    kvstore_close(scene.store);
    atomic_store(is_closed, true);
    return NULL;
}

/* The thread finds the store locked by an exclusive handle. */
static void assert_close_takes_less_than(int32_t lock_timeout_ms, int max_ms)
{
    pthread_t thread;
    atomic_bool is_closed = false;
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_BACKGROUND;
    options.compaction_threshold = THRESHOLD;
    options.lock_timeout_ms = lock_timeout_ms;
    scene.store = open_with(scene.dir, &options);
    scene.table.start_thread = start_beside_exclusive;
    while (scene.other == NULL) {
        must_set(scene.store, "key-0", "x");
    }

    int64_t begun_ns = kv_io_clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, close_store, &is_closed), 0);
    while (!atomic_load(&is_closed) &&
           kv_io_clock_ns() - begun_ns < max_ms * NS_PER_MS) {
        kv_io_system_table()->sleep_ns(NS_PER_MS);
    }

    bool was_closed = atomic_load(&is_closed);
    kvstore_close(scene.other); /* Lets the close end. */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(was_closed);
}

static void close_does_not_hang(void **state)
{
    (void)state;
    assert_close_takes_less_than(INT32_MAX, 10000);
}

static void close_is_quick_by_default(void **state)
{
    (void)state;
    assert_close_takes_less_than(0, 2000);
}

static atomic_bool is_leaving;
static atomic_bool may_leave;
static int held_ms_max;

/* Holds the compaction up where it releases the writers' lock. */
static int held_flock(int fd, int operation)
{
    if (operation == LOCK_UN && !is_main_thread() &&
        fd == scene.store->directory.fd && !atomic_load(&is_leaving)) {
        atomic_store(&is_leaving, true);
        for (int i = 0; i < held_ms_max && !atomic_load(&may_leave); i++) {
            kv_io_system_table()->sleep_ns(NS_PER_MS);
        }
    }
    return kv_io_system_table()->flock(fd, operation);
}

static void *compact_store(void *argument)
{
    kvstore_status *status_out = argument;
    *status_out = kvstore_compact(scene.store);
    return NULL;
}

static void try_once_is_not_busy_by_itself(void **state)
{
    (void)state;
    pthread_t thread;
    kvstore_status compacted = KVSTORE_INVALID;
    atomic_store(&is_leaving, false);
    atomic_store(&may_leave, false);
    held_ms_max = 300; /* The set may wait for it. */
    open_half_stale();
    scene.table.flock = held_flock;
    assert_int_equal(pthread_create(&thread, NULL, compact_store, &compacted),
                     0);
    while (!atomic_load(&is_leaving)) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }

    kvstore_status status = try_set(scene.store, "key-0", "mine");

    atomic_store(&may_leave, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(compacted, KVSTORE_OK);
    assert_value(scene.store, "key-0", "mine");
    close_verified();
}

static void *set_key(void *argument)
{
    kvstore_status *status_out = argument;
    *status_out = try_set(scene.store, "key-0", "mine");
    return NULL;
}

/* In a handle that tries once a set waits for a compaction, but not the
 * reverse. */
static void try_once_compaction_is_busy_behind_a_set(void **state)
{
    (void)state;
    pthread_t thread;
    kvstore_status was_set = KVSTORE_INVALID;
    atomic_store(&is_leaving, false);
    atomic_store(&may_leave, false);
    held_ms_max = INT_MAX;
    open_half_stale();
    scene.table.flock = held_flock;
    assert_int_equal(pthread_create(&thread, NULL, set_key, &was_set), 0);
    while (!atomic_load(&is_leaving)) {
        kv_io_system_table()->sleep_ns(NS_PER_MS / 10);
    }

    kvstore_status status = kvstore_compact(scene.store);

    atomic_store(&may_leave, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status, KVSTORE_BUSY);
    assert_int_equal(was_set, KVSTORE_OK);
    close_verified();
}

static uint64_t slow_until(void)
{
    return atomic_load(&scene.store->index.table.header->slow_until);
}

static void lose_against_it(void)
{
    if (scene.syncs > 1) {
        return;
    }
    kv_store_slow_writers(scene.store, 500 * NS_PER_MS);
    uint64_t slow_before = slow_until();
    kvstore *loser = open_eager();
    assert_int_equal(kvstore_compact_if_due(loser), KVSTORE_BUSY);
    kvstore_close(loser);
    assert_true(slow_before != 0);
    assert_int_equal(slow_until(), slow_before);
}

static void loser_does_not_clear_slowness(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = lose_against_it;

    must_compact(scene.store);

    assert_true(scene.syncs > 0);
    close_verified();
}

static void slowness_is_known_to_a_larger_index(void **state)
{
    (void)state;
    open_half_stale();
    uint64_t index_bytes = checked_stats(scene.store).index_bytes;
    kv_store_slow_writers(scene.store, 500 * NS_PER_MS);
    uint64_t slow_before = slow_until();

    set_many_more(scene.store);

    assert_true(checked_stats(scene.store).index_bytes > index_bytes);
    assert_true(slow_before != 0);
    assert_int_equal(slow_until(), slow_before);
    close_verified();
}

/* --- Failures that are known --- */

static void set_all_often(const char *value)
{
    for (int i = 0; i < 20; i++) {
        set_all(value);
    }
}

static void high_threshold_is_no_matter_of_others(void **state)
{
    (void)state;
    open_store(KVSTORE_COMPACT_MANUAL, INT64_MAX);
    set_all("old");
    set_all("new");
    compact_on_full_disk();
    kvstore_close(scene.store);
    open_store(KVSTORE_COMPACT_INLINE, THRESHOLD);

    set_all_often("again");

    assert_true(checked_stats(scene.store).compactions > 0);
    close_verified();
}

static void damaged_note_of_a_failure_is_no_matter(void **state)
{
    (void)state;
    open_store(KVSTORE_COMPACT_INLINE, THRESHOLD);
    atomic_store(&scene.store->index.table.header->failed_at, INT64_MAX);

    set_all_often("again");

    assert_true(checked_stats(scene.store).compactions > 0);
    close_verified();
}

static void failure_is_known_to_a_larger_index(void **state)
{
    (void)state;
    open_half_stale();
    compact_on_full_disk();
    uint64_t index_bytes = checked_stats(scene.store).index_bytes;
    set_many_more(scene.store);
    assert_true(checked_stats(scene.store).index_bytes > index_bytes);
    scene.other = open_eager();

    assert_int_equal(kvstore_compact_if_due(scene.other), KVSTORE_OK);

    assert_int_equal(checked_stats(scene.other).compactions, 0);
    must_set(scene.other, "key-0", "newer");
    assert_int_equal(kvstore_compact_if_due(scene.other), KVSTORE_OK);
    assert_int_equal(checked_stats(scene.other).compactions, 1);
    kvstore_close(scene.other);
    close_verified();
}

/* --- Rot --- */

/* What this handle has indexed rots, and another process takes it for torn and
 * cuts it off. */
static void rot_and_rebuild(void)
{
    static const char nuls[10];
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);
    store_dir_overwrite(
        scene.dir, KV_LOG_NAME, size - sizeof nuls, nuls, sizeof nuls);
    (void)unlink(store_dir_path(scene.dir, KV_INDEX_NAME));
    scene.other = open_plain(scene.dir);
    must_set(scene.other, "l", "x");
}

static void rot_and_stay_shorter(void)
{
    if (scene.syncs > 1) {
        return;
    }
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);
    rot_and_rebuild();
    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) < size);
    kvstore_close(scene.other);
}

static void rot_and_grow_longer(void)
{
    if (scene.syncs > 1) {
        return;
    }
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);
    rot_and_rebuild();
    must_set(scene.other, "after", "xxxxxxx");
    must_set(scene.other, "third", "x");
    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) > size);
    kvstore_close(scene.other);
}

static void log_that_was_cut_and_is_shorter_is_noticed(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = rot_and_stay_shorter;

    assert_int_equal(kvstore_compact(NULL), KVSTORE_INVALID);
    must_compact(scene.store);

    /* What it met on the way was not its own failure. */
    assert_int_equal(kvstore_last_error()->status, KVSTORE_INVALID);
    assert_value(scene.store, "l", "x");
    assert_value(scene.store, "key-0", "new");
    close_verified();
}

static void log_that_was_cut_and_is_longer_is_noticed(void **state)
{
    (void)state;
    open_half_stale();
    scene.beside = rot_and_grow_longer;

    must_compact(scene.store);

    assert_value(scene.store, "l", "x");
    assert_value(scene.store, "after", "xxxxxxx");
    assert_value(scene.store, "third", "x");
    assert_value(scene.store, "key-0", "new");
    close_verified();
}

/* While there is damage, Removes are kept: more than there are keys. */
static void removes_kept_for_rot_fit_the_new_index(void **state)
{
    (void)state;
    char key[16];
    open_store(KVSTORE_COMPACT_MANUAL, 0);
    must_set(scene.store, "rot", "value");
    for (int i = 0; i < 4000; i++) {
        name_key(key, sizeof key, i);
        must_set(scene.store, key, "x");
        must_remove(scene.store, key);
    }
    store_dir_overwrite(scene.dir, KV_LOG_NAME, 24, "W", 1);

    must_compact(scene.store);

    kvstore_stats stats = checked_stats(scene.store);
    assert_int_equal(stats.damaged_records, 1);
    assert_int_equal(stats.damaged_offset, 0);
    assert_int_equal(stats.compactions, 1);
    assert_absent(scene.store, "key-3999");
    kvstore_close(scene.store);
}

/* --- A compaction in a thread --- */

static atomic_int told_elsewhere;

static void tell(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    if (!is_main_thread()) {
        atomic_fetch_add(&told_elsewhere, 1);
    }
}

/* The thread is the first to check whether the index is there, and must build
 * it. */
static int start_without_index(pthread_t *thread,
                               void *(*run)(void *),
                               void *context)
{
    atomic_fetch_add(&scene.threads, 1);
    (void)unlink(store_dir_path(scene.dir, KV_INDEX_NAME));
    kv_io_system_table()->sleep_ns(30 * NS_PER_MS);
    return kv_io_system_table()->start_thread(thread, run, context);
}

static void thread_tells_no_progress(void **state)
{
    (void)state;
    static char large[(1 << 20) + 1];
    memset(large, 'x', sizeof large - 1);
    atomic_store(&told_elsewhere, 0);
    scene.table.start_thread = start_without_index;
    kvstore_options options = plain_options();
    options.compaction = KVSTORE_COMPACT_BACKGROUND;
    options.compaction_threshold = 15 * (sizeof large - 1);
    options.progress = tell;
    scene.store = open_with(scene.dir, &options);
    while (atomic_load(&scene.threads) == 0) {
        must_set(scene.store, "k", large);
    }

    kvstore_close(scene.store);

    assert_int_equal(atomic_load(&told_elsewhere), 0);
    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) < 2 * sizeof large);
}

/* --- Syncs that fail --- */

static bool is_next_sync_failing;

static int failing_fdatasync(int fd)
{
    if (is_next_sync_failing) {
        is_next_sync_failing = false;
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->fdatasync(fd);
}

static int failing_ftruncate(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = EIO;
    return -1;
}

static void open_syncing_other(void)
{
    kvstore_options options = plain_options();
    options.sync = KVSTORE_SYNC_ALWAYS;
    is_next_sync_failing = false;
    scene.table.fdatasync = failing_fdatasync;
    scene.other = open_with(scene.dir, &options);
}

static void fail_to_set(const char *value)
{
    is_next_sync_failing = true;
    assert_int_equal(try_set(scene.other, "key-1", value), KVSTORE_IO);
}

/* The log whose sync failed goes, and a later one gets its inode number. */
static void poison_is_not_taken_for_another_log(void **state)
{
    (void)state;
    open_half_stale();
    open_syncing_other();
    must_set(scene.other, "key-1", "a");
    uint64_t poisoned = scene.other->log.inode;
    fail_to_set("b");

    bool has_come_back = false;
    for (int i = 0; i < 6 && !has_come_back; i++) {
        must_compact(scene.store);
        must_set(scene.other, "key-1", "c");
        has_come_back = scene.other->log.inode == poisoned;
    }

    kvstore_close(scene.other);
    close_verified();
    if (!has_come_back) {
        skip(); /* The file system does not reuse inode numbers. */
    }
}

static void fail_to_set_beside_it(void)
{
    if (scene.syncs > 1) {
        return;
    }
    must_set(scene.other, "key-1", "acknowledged");
    scene.table.ftruncate = failing_ftruncate;
    fail_to_set("failed");
    scene.table.ftruncate = kv_io_system_table()->ftruncate;
}

/* Nor can its line be cut off. */
static void set_that_failed_beside_it_is_not_copied(void **state)
{
    (void)state;
    open_half_stale();
    open_syncing_other();
    scene.beside = fail_to_set_beside_it;

    must_compact(scene.store);

    assert_value(scene.store, "key-1", "acknowledged");
    assert_value(scene.other, "key-1", "acknowledged");
    must_set(scene.other, "key-1", "good");
    assert_value(scene.store, "key-1", "good");
    kvstore_close(scene.other);
    close_verified();
}

/* --- Batches of others --- */

/* The write after it sees what the text is: it looks at the log's end again. */
static void append_beside_it(const struct log_text *text)
{
    store_dir_append(scene.dir, KV_LOG_NAME, text->bytes, text->size);
    rest(20);
    must_set(scene.other, "key-4", "newer");
}

static void batch_text(struct log_text *text)
{
    log_text_batch_set(text, "b1", "1", 3);
    log_text_batch_remove(text, "key-3", 2);
    log_text_batch_set(text, "b3", "3", 1);
}

static void add_batch(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    if (scene.syncs > 1) {
        return;
    }
    batch_text(&text);
    append_beside_it(&text);
    log_text_release(&text);
}

static void add_batch_and_torn_tail(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    if (scene.syncs > 1) {
        return;
    }
    batch_text(&text);
    log_text_add(&text, " \n");
    log_text_fill(&text, '\0', 4);
    log_text_add(&text, "garbage\n");
    log_text_batch_set(&text, "b4", "4", 1);
    append_beside_it(&text);
    log_text_release(&text);
}

static void assert_batch(void)
{
    assert_value(scene.store, "b1", "1");
    assert_absent(scene.store, "key-3");
    assert_value(scene.store, "b3", "3");
    assert_value(scene.store, "key-4", "newer");
    assert_int_equal(checked_stats(scene.store).damaged_records, 0);
}

static void batch_beside_it_is_kept_and_what_is_torn_is_not(void **state)
{
    (void)state;
    open_half_stale();
    scene.other = open_plain(scene.dir);
    scene.beside = add_batch_and_torn_tail;

    must_compact(scene.store);

    assert_batch();
    assert_absent(scene.store, "b4");
    scene.beside = NULL;
    must_compact(scene.store);
    assert_batch();
    kvstore_close(scene.other);
    close_verified();
}

static void batch_beside_it_loses_that_member(void **state)
{
    (void)state;
    size_t size = 0;
    open_half_stale();
    scene.other = open_plain(scene.dir);
    scene.beside = add_batch;

    must_compact(scene.store);

    assert_batch();
    char *bytes = store_dir_read(scene.dir, KV_LOG_NAME, &size);
    assert_null(strstr(bytes, "\"batch\""));
    assert_non_null(strstr(bytes, "{\"Set\":{\"key\":\"b1\",\"val\":\"1\","));
    assert_non_null(strstr(bytes, "{\"Remove\":{\"key\":\"key-3\","));
    assert_non_null(strstr(bytes, "{\"Set\":{\"key\":\"b3\",\"val\":\"3\","));
    free(bytes);
    kvstore_close(scene.other);
    close_verified();
}

static void add_batch_behind_damage(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    if (scene.syncs > 1) {
        return;
    }
    log_text_batch_set(&text, "b1", "1", 2);
    log_text_batch_set(&text, "b2", "2", 1);
    log_text_set(&text, "sound", "1");
    append_beside_it(&text);
    log_text_release(&text);
}

/* The damaged line that is copied last may have been the first of the batch
 * that follows. */
static void batch_behind_damage_is_not_whole_in_a_round(void **state)
{
    (void)state;
    struct log_text damage = LOG_TEXT_EMPTY;
    open_half_stale();
    log_text_damaged_set(&damage, "rot", "1");
    store_dir_append(scene.dir, KV_LOG_NAME, damage.bytes, damage.size);
    log_text_release(&damage);
    scene.other = open_plain(scene.dir);
    scene.beside = add_batch_behind_damage;

    must_compact(scene.store);

    assert_int_equal(checked_stats(scene.store).damaged_records, 3);
    assert_int_equal(try_get(scene.store, "b1"), KVSTORE_CORRUPT);
    assert_int_equal(try_get(scene.store, "b2"), KVSTORE_CORRUPT);
    assert_value(scene.store, "sound", "1");
    assert_value(scene.store, "key-4", "newer");
    kvstore_close(scene.other);
    kvstore_close(scene.store);
}

/* --- Files --- */

static void path_of(char path[512], const char *name)
{
    (void)snprintf(path, 512, "%s", store_dir_path(scene.dir, name));
}

/* A file that has another name, too, is not ours. */
static void linked_leftover_is_not_emptied(void **state)
{
    (void)state;
    char path[512];
    open_half_stale();
    uint64_t size = store_dir_file_size(scene.dir, KV_LOG_NAME);
    store_dir_write(scene.dir, "theirs", "theirs", 6);
    path_of(path, "theirs");
    assert_int_equal(link(path, store_dir_path(scene.dir, KV_LOG_COMPACT_NAME)),
                     0);

    must_compact(scene.store);

    store_dir_assert_file(scene.dir, "theirs", "theirs", 6);
    assert_true(store_dir_file_size(scene.dir, KV_LOG_NAME) < size);
    assert_value(scene.store, "key-0", "new");
    close_verified();
}

static ino_t inode_of(const char *name)
{
    struct stat found;
    assert_int_equal(stat(store_dir_path(scene.dir, name), &found), 0);
    return found.st_ino;
}

static ino_t replacement;

/* Replaces it with one of the same bytes: neither end nor lines show that it is
 * another. A handle checks names every 10 ms. */
static void replace_the_log(void)
{
    char copy_path[512];
    size_t size = 0;
    if (scene.syncs > 1) {
        return;
    }
    char *bytes = store_dir_read(scene.dir, KV_LOG_NAME, &size);
    store_dir_write(scene.dir, "copy.log", bytes, size);
    free(bytes);
    replacement = inode_of("copy.log");
    path_of(copy_path, "copy.log");
    assert_int_equal(rename(copy_path, store_dir_path(scene.dir, KV_LOG_NAME)),
                     0);
    kv_io_system_table()->sleep_ns(30 * NS_PER_MS);
}

static void log_that_replaced_the_old_one_is_left_alone(void **state)
{
    (void)state;
    size_t size = 0;
    open_half_stale();
    char *before = store_dir_read(scene.dir, KV_LOG_NAME, &size);
    scene.beside = replace_the_log;

    assert_int_equal(kvstore_compact(scene.store), KVSTORE_BUSY);

    assert_true(inode_of(KV_LOG_NAME) == replacement);
    store_dir_assert_file(scene.dir, KV_LOG_NAME, before, size);
    free(before);
    must_set(scene.store, "key-0", "after");
    must_compact(scene.store);
    assert_value(scene.store, "key-0", "after");
    close_verified();
}

/* Returns -1 if there is no /proc. */
static int count_descriptors(void)
{
    int count = 0;
    DIR *stream = opendir("/proc/self/fd");
    if (stream == NULL) {
        return -1;
    }
    while (readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count;
}

static void old_pair_is_closed(void **state)
{
    (void)state;
    open_half_stale();
    int before = count_descriptors();

    must_compact(scene.store);

    assert_int_equal(count_descriptors(), before);
    set_all("newer");
    must_compact(scene.store);
    assert_int_equal(count_descriptors(), before);
    close_verified();
    if (before < 0) {
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(close_does_not_hang),
        SCENE_TEST(close_is_quick_by_default),
        SCENE_TEST(try_once_is_not_busy_by_itself),
        SCENE_TEST(try_once_compaction_is_busy_behind_a_set),
        SCENE_TEST(loser_does_not_clear_slowness),
        SCENE_TEST(slowness_is_known_to_a_larger_index),
        SCENE_TEST(high_threshold_is_no_matter_of_others),
        SCENE_TEST(damaged_note_of_a_failure_is_no_matter),
        SCENE_TEST(failure_is_known_to_a_larger_index),
        SCENE_TEST(log_that_was_cut_and_is_shorter_is_noticed),
        SCENE_TEST(log_that_was_cut_and_is_longer_is_noticed),
        SCENE_TEST(removes_kept_for_rot_fit_the_new_index),
        SCENE_TEST(thread_tells_no_progress),
        SCENE_TEST(poison_is_not_taken_for_another_log),
        SCENE_TEST(set_that_failed_beside_it_is_not_copied),
        SCENE_TEST(batch_beside_it_is_kept_and_what_is_torn_is_not),
        SCENE_TEST(batch_beside_it_loses_that_member),
        SCENE_TEST(batch_behind_damage_is_not_whole_in_a_round),
        SCENE_TEST(linked_leftover_is_not_emptied),
        SCENE_TEST(log_that_replaced_the_old_one_is_left_alone),
        SCENE_TEST(old_pair_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
