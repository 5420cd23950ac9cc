/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: watching a store whose
 * log another one takes the place of. The pieces in which changes are read are
 * small. */

#include "compaction_scene.h"
#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/system.h"
#include "replay.h"
#include "store_calls.h"

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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct replay replay;

static void start_replay(void)
{
    replay = (struct replay){.count = 0};
}

/* --- Compaction --- */

static void changes_go_on_after_a_compaction(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    must_set(store, "a", "old");
    must_set(store, "a", "new");
    kvstore_watcher *watcher = watch(other);

    must_set(store, "b", "1");
    must_set(store, "b", "2");
    must_set(store, "c", "\"long enough to be read by itself\"");
    must_remove(store, "a");
    must_compact(store);
    must_set(store, "d", "4");

    expect_set(watcher, "b", "1");
    expect_set(watcher, "b", "2");
    expect_set(watcher, "c", "\"long enough to be read by itself\"");
    expect_remove(watcher, "a");
    expect_set(watcher, "d", "4");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void each_compaction_is_followed(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    kvstore_watcher *watcher = watch(other);
    kvstore_watcher *own = watch(store);
    char value[16];

    for (int i = 0; i < 8; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        if (i % 3 != 0) {
            must_set(store, "a", value);
            expect_set(own, "a", value);
            expect_set(watcher, "a", value);
        }
        must_compact(i % 2 == 0 ? store : other);
        expect_nothing(watcher);
        expect_nothing(own);
    }
    kvstore_watcher_free(own);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void growth_keeps_what_is_known_of_the_old_log(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    kvstore_watcher *watcher = watch(other);
    must_set(store, "a", "1");
    must_compact(store);
    char key[32];
    for (int i = 0; i < MORE_KEYS; i++) {
        (void)snprintf(key, sizeof key, "many-%d", i);
        must_set(store, key, "1");
    }

    expect_set(watcher, "a", "1");
    for (int i = 0; i < MORE_KEYS; i++) {
        (void)snprintf(key, sizeof key, "many-%d", i);
        expect_set(watcher, key, "1");
    }
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void an_emptied_store_is_followed(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    must_set(store, "a", "1");
    must_remove(store, "a");
    must_compact(store);
    assert_int_equal(store_dir_file_size(*state, KV_LOG_NAME), 0);
    must_set(store, "b", "2");

    expect_set(watcher, "a", "1");
    expect_remove(watcher, "a");
    expect_set(watcher, "b", "2");
    expect_nothing(watcher);
    must_compact(store);
    expect_nothing(watcher);
    must_set(store, "c", "3");
    expect_set(watcher, "c", "3");
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void two_compactions_reset_who_missed_both(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "kept", "0");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    must_set(store, "a", "1");
    must_compact(store);
    must_set(store, "b", "2");
    must_remove(store, "a");
    must_compact(store);
    must_set(store, "c", "3");

    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    expect_set(watcher, "kept", "0");
    expect_set(watcher, "b", "2");
    expect_set(watcher, "c", "3");
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    must_set(store, "d", "4");
    expect_set(watcher, "d", "4");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_compaction_amid_a_reset_is_followed(void **state)
{
    kvstore *store = open_plain(*state);
    char key[16];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        must_set(store, key, "0");
        must_set(store, key, "1");
    }
    kvstore_watcher *watcher = watch_from_start(store);
    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    expect_set(watcher, "key-0", "1");
    must_set(store, "key-7", "2");
    must_compact(store);
    must_set(store, "key-8", "3");

    for (int i = 1; i < 20; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        expect_set(watcher, key, "1");
    }
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    expect_set(watcher, "key-7", "2");
    expect_set(watcher, "key-8", "3");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- Beside a compaction --- */

static kvstore_watcher *beside_watcher;

static int changes_beside;

static void expect_beside(const char *value)
{
    expect_set(beside_watcher, "beside", value);
    expect_set(beside_watcher, "key-1", value);
    expect_remove(beside_watcher, "key-2");
    expect_set(beside_watcher, "key-2", value);
}

/* The last round is made under the lock. */
static void change_beside(void)
{
    char value[16];
    (void)snprintf(value, sizeof value, "%d", changes_beside);
    if (try_set(scene.other, "beside", value) == KVSTORE_BUSY) {
        return;
    }
    must_set(scene.other, "key-1", value);
    must_remove(scene.other, "key-2");
    must_set(scene.other, "key-2", value);
    if (changes_beside++ % 2 == 0) {
        expect_beside(value);
    }
}

static void changes_beside_a_compaction_come_once(void **state)
{
    (void)state;
    open_half_stale();
    must_set(scene.store, "key-2", "there");
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    scene.other = open_with(scene.dir, &options);
    beside_watcher = watch(scene.other);
    changes_beside = 0;
    scene.beside = change_beside;

    must_compact(scene.store);
    expect_nothing(beside_watcher);
    must_compact(scene.store);

    assert_true(changes_beside >= 2);
    expect_beside("1");
    expect_nothing(beside_watcher);
    must_set(scene.other, "after", "1");
    expect_set(beside_watcher, "after", "1");
    kvstore_watcher_free(beside_watcher);
    beside_watcher = NULL;
    kvstore_close(scene.other);
    close_verified();
}

/* At each call of the switch, another handle's watcher looks. */
static int looks;

static void look_at_step(const char *name)
{
    static bool is_within;
    (void)name;
    if (is_within || beside_watcher == NULL) {
        return;
    }
    is_within = true;
    looks++;
    const kvstore_change *change = NULL;
    while (kvstore_watcher_next(beside_watcher, 0, &change) == KVSTORE_OK) {
        replay_change(&replay, change);
    }
    is_within = false;
}

static int looking_fsync(int fd)
{
    look_at_step("fsync");
    int result = kv_io_system_table()->fsync(fd);
    look_at_step("fsync");
    return result;
}

static int looking_rename(int dir_fd, const char *from, const char *to)
{
    look_at_step("rename");
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    look_at_step("rename");
    return result;
}

/* One that cannot wait for a switch, as it is in the same thread, may be reset,
 * but knows what the store holds. */
static void a_look_at_each_step_of_a_switch_tells_the_truth(void **state)
{
    (void)state;
    open_half_stale();
    kvstore_options options = plain_options();
    options.read_only = true;
    kvstore *reader = open_with(scene.dir, &options);
    start_replay();
    beside_watcher = watch_from_start(reader);
    replay_all(&replay, beside_watcher);
    must_set(scene.store, "key-3", "newer");
    scene.table.step = look_at_step;
    scene.table.fsync = looking_fsync;
    scene.table.renameat = looking_rename;

    must_compact(scene.store);
    must_set(scene.store, "key-4", "newest");
    scene.table.step = kv_io_system_table()->step;

    assert_true(looks > 5);
    replay_all(&replay, beside_watcher);
    assert_replayed(&replay, scene.store);
    kvstore_watcher_free(beside_watcher);
    beside_watcher = NULL;
    kvstore_close(reader);
    close_verified();
}

/* --- A compactor that dies --- */

static int steps_left;

static void die_at_step(const char *name)
{
    (void)name;
    if (steps_left-- == 0) {
        _exit(1);
    }
}

static int dying_fsync(int fd)
{
    die_at_step("fsync");
    return kv_io_system_table()->fsync(fd);
}

static int dying_rename(int dir_fd, const char *from, const char *to)
{
    die_at_step("rename");
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    die_at_step("renamed");
    return result;
}

/* True if it got to the end. */
static bool compact_in_child(const struct store_dir *dir, int steps)
{
    pid_t child = fork();
    if (child == 0) {
        struct kv_io_table table = *kv_io_system_table();
        table.step = die_at_step;
        table.fsync = dying_fsync;
        table.renameat = dying_rename;
        kvstore_options options = plain_options();
        kvstore *store = NULL;
        bool is_good = kvstore_open(dir->path, &options, &store) == KVSTORE_OK;
        steps_left = steps;
        kv_io_swap_table(&table);
        is_good = is_good && kvstore_compact(store) == KVSTORE_OK;
        _exit(is_good ? 0 : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 0;
}

static void a_death_at_each_step_of_a_switch_loses_no_change(void **state)
{
    enum { STEPS_MAX = 100 };
    kvstore *store = open_plain(*state);
    bool is_over = false;
    int resets = 0;
    for (int steps = 0; !is_over; steps++) {
        assert_true(steps < STEPS_MAX);
        start_replay();
        kvstore_watcher *watcher = watch_from_start(store);
        replay_all(&replay, watcher);
        size_t changes = replay.changes;
        must_set(store, "a", "1");
        must_set(store, "b", "2");

        is_over = compact_in_child(*state, steps);

        must_set(store, "c", "3");
        must_remove(store, "a");
        replay_all(&replay, watcher);
        assert_replayed(&replay, store);
        resets += replay.resets > 1 ? 1 : 0;
        if (replay.resets == 1) {
            assert_int_equal(replay.changes, changes + 4);
        }
        kvstore_watcher_free(watcher);
    }
    print_message("%d resets\n", resets);
    assert_true(resets <= 3);
    kvstore_close(store);
}

/* --- Threads --- */

#define ROUNDS 12
#define CHANGES_A_ROUND 300

struct chase {
    const struct store_dir *dir;
    atomic_int written; /* Changes. */
    atomic_int seen;
    atomic_bool is_over;
};

static void *write_all_the_time(void *argument)
{
    struct chase *chase = argument;
    kvstore *store = open_plain(chase->dir);
    char key[16];
    char value[16];
    for (int i = 0; i < ROUNDS * CHANGES_A_ROUND; i++) {
        (void)snprintf(key, sizeof key, "%d", i % 50);
        (void)snprintf(value, sizeof value, "%d", i);
        must_set(store, key, value);
        atomic_fetch_add(&chase->written, 1);
    }
    kvstore_close(store);
    atomic_store(&chase->is_over, true);
    return NULL;
}

/* The next compaction comes when the watcher has gone on past the last one: it
 * has seen a change that began after that. */
static void *compact_all_the_time(void *argument)
{
    struct chase *chase = argument;
    kvstore *store = open_plain(chase->dir);
    while (!atomic_load(&chase->is_over)) {
        must_compact(store);
        int written = atomic_load(&chase->written);
        while (atomic_load(&chase->seen) <= written + 1 &&
               !atomic_load(&chase->is_over)) {
            rest(1);
        }
    }
    kvstore_close(store);
    return NULL;
}

static void a_watcher_keeps_up_with_compactions_and_writers(void **state)
{
    struct chase chase = {.dir = *state};
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    pthread_t writer;
    pthread_t compactor;
    assert_int_equal(pthread_create(&writer, NULL, write_all_the_time, &chase),
                     0);
    assert_int_equal(
        pthread_create(&compactor, NULL, compact_all_the_time, &chase), 0);

    for (int i = 0; i < ROUNDS * CHANGES_A_ROUND; i++) {
        const kvstore_change *change = NULL;
        assert_int_equal(kvstore_watcher_next(watcher, 20000, &change),
                         KVSTORE_OK);
        assert_int_equal(change->kind, KVSTORE_CHANGE_SET);
        assert_int_equal(strtol(change->entry->value, NULL, 10), i);
        atomic_store(&chase.seen, i + 1);
    }

    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(pthread_join(compactor, NULL), 0);
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- What else happens to a log --- */

static void a_repair_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "2");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    rest(20);
    must_set(store, "b", "3");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    assert_replayed(&replay, store);

    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);

    replay_all(&replay, watcher);
    assert_int_equal(replay.resets, 2);
    assert_value(store, "a", "1");
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* Another file with the same lines, and one more, takes the name. */
static void exchange_log(const struct store_dir *dir, const char *key)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add_bytes(&text, bytes, size);
    log_text_set(&text, key, "by hand");
    store_dir_write(dir, "other.log", text.bytes, text.size);
    char from[512];
    (void)snprintf(from, sizeof from, "%s", store_dir_path(dir, "other.log"));
    assert_int_equal(rename(from, store_dir_path(dir, KV_LOG_NAME)), 0);
    log_text_release(&text);
    free(bytes);
}

static void an_exchanged_log_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);

    exchange_log(*state, "b");

    rest(20);
    replay_all(&replay, watcher);
    assert_int_equal(replay.resets, 2);
    assert_value(store, "b", "by hand");
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_log_that_was_cut_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    uint64_t size = store_dir_file_size(*state, KV_LOG_NAME);
    must_set(store, "b", "2");
    must_set(store, "c", "3");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);

    store_dir_truncate(*state, KV_LOG_NAME, size);
    rest(20);
    must_set(store, "d", "4");

    replay_all(&replay, watcher);
    assert_int_equal(replay.resets, 2);
    assert_absent(store, "b");
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_changed_last_line_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    uint64_t size = store_dir_file_size(*state, KV_LOG_NAME);
    must_set(store, "b", "2");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);

    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "b", "9");
    store_dir_overwrite(*state, KV_LOG_NAME, size, text.bytes, text.size);
    log_text_release(&text);
    must_set(store, "c", "3");

    replay_all(&replay, watcher);
    assert_int_equal(replay.resets, 2);
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_log_without_its_index_resets_when_compacted_unseen(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    must_set(store, "a", "2");
    must_compact(store);
    remove_index(*state);
    rest(20);
    must_set(store, "b", "3");

    replay_all(&replay, watcher);
    assert_int_equal(replay.resets, 2);
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* Stores another value in a word of what the index knows of the old log. */
static void falsify(const struct store_dir *dir, size_t word, uint64_t more)
{
    size_t at = HEADER_AT(succession) + 8 * word;
    store_header_word(dir, at, load_header_word(dir, at) + more);
}

static void an_old_log_that_does_not_fit_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    for (size_t i = 0; i < 2 * KV_TABLE_SUCCESSION_WORDS; i++) {
        start_replay();
        kvstore_watcher *watcher = watch_from_start(store);
        replay_all(&replay, watcher);
        must_set(store, "a", i % 2 == 0 ? "2" : "3");
        must_compact(store);
        falsify(*state, i / 2, i % 2 == 0 ? 1 : UINT64_MAX);

        replay_all(&replay, watcher);
        assert_int_equal(replay.resets, 2);
        must_set(store, "b", "1");
        replay_all(&replay, watcher);
        assert_int_equal(replay.resets, 2);
        assert_replayed(&replay, store);
        kvstore_watcher_free(watcher);
    }
    kvstore_close(store);
}

/* A compaction after which the log ends in damage. */
static void damage_at_the_end_of_a_compacted_log_resets(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "2");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    rest(20);
    must_compact(store);

    replay_all(&replay, watcher);
    assert_replayed(&replay, store);
    must_set(store, "b", "2");
    replay_all(&replay, watcher);
    assert_replayed(&replay, store);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- Calls that fail --- */

static struct {
    struct kv_io_table table;
    int allocations; /* Until one fails; less than 0: none does. */
    int reads;
    int duplicates;
} failing;

static void *failing_malloc(size_t size)
{
    return failing.allocations-- == 0 ? NULL
                                      : kv_io_system_table()->malloc(size);
}

static ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (failing.reads-- == 0) {
        errno = EIO;
        return -1;
    }
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static int failing_dup(int fd)
{
    if (failing.duplicates-- == 0) {
        errno = EMFILE;
        return -1;
    }
    return kv_io_system_table()->dup_high(fd);
}

/* Replays what is there, past all failures. Returns how many there were. */
static int replay_past_failures(kvstore_watcher *watcher)
{
    int failures = 0;
    const kvstore_change *change = NULL;
    kvstore_status status = KVSTORE_OK;
    while (status != KVSTORE_NOT_FOUND) {
        status = kvstore_watcher_next(watcher, 30, &change);
        if (status == KVSTORE_OK) {
            replay_change(&replay, change);
        } else if (status != KVSTORE_NOT_FOUND) {
            assert_null(change);
            failures++;
        }
    }
    return failures;
}

/* Watches through a compaction while one call fails. Returns whether it has. */
static bool watch_with_failure(const struct store_dir *dir,
                               int allocation,
                               int read,
                               int duplicate)
{
    kvstore *store = open_plain(dir);
    start_replay();
    kvstore_watcher *watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    size_t changes = replay.changes;
    must_set(store, "a", "1");
    must_set(store, "\"b", "a value that is too long for a piece");
    must_compact(store);
    must_set(store, "c", "3");
    failing.allocations = allocation;
    failing.reads = read;
    failing.duplicates = duplicate;
    int failures = replay_past_failures(watcher);
    bool has_failed =
        failing.allocations < 0 && failing.reads < 0 && failing.duplicates < 0;
    failing.allocations = -1;
    failing.reads = -1;
    failing.duplicates = -1;

    assert_true(failures <= 1);
    assert_replayed(&replay, store);
    if (replay.resets == 1) {
        assert_int_equal(replay.changes, changes + 3);
    }
    kvstore_watcher_free(watcher);
    kvstore_close(store);
    return has_failed;
}

static void a_failure_loses_no_change(void **state)
{
    enum { CALLS_MAX = 1000 };
    failing.table = *kv_io_system_table();
    failing.table.malloc = failing_malloc;
    failing.table.pread = failing_pread;
    failing.table.dup_high = failing_dup;
    failing.allocations = -1;
    failing.reads = -1;
    failing.duplicates = -1;
    kv_io_swap_table(&failing.table);
    int calls = 0;
    for (int i = 0; watch_with_failure(*state, i, -1, -1); i++, calls++) {
        assert_true(i < CALLS_MAX);
    }
    for (int i = 0; watch_with_failure(*state, -1, i, -1); i++, calls++) {
        assert_true(i < CALLS_MAX);
    }
    for (int i = 0; watch_with_failure(*state, -1, -1, i); i++, calls++) {
        assert_true(i < CALLS_MAX);
    }
    kv_io_swap_table(kv_io_system_table());
    print_message("%d calls\n", calls);
    assert_true(calls > 6);
}

/* --- Batches larger than a piece --- */

static void a_batch_in_pieces_is_counted(void **state)
{
    enum { SIZE = 23 };
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    kvstore_watcher *part = watch_prefix(store, "even");
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    for (unsigned i = 0; i < 2 * SIZE; i++) {
        (void)snprintf(key, sizeof key, i % 2 == 0 ? "even%u" : "odd%u", i);
        log_text_batch_set(&text, key, "v", SIZE - i % SIZE);
    }
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    rest(20);
    must_set(store, "last", "line");
    must_compact(store);

    for (unsigned i = 0; i < 2 * SIZE; i++) {
        unsigned left = SIZE - i % SIZE - 1;
        (void)snprintf(key, sizeof key, i % 2 == 0 ? "even%u" : "odd%u", i);
        expect_set_of_batch(watcher, key, "v", left);
        if (i % 2 == 0) {
            /* The first batch ends in an even one, and the second does not. */
            expect_set_of_batch(
                part, key, "v", i < SIZE ? (left + 1) / 2 : left / 2);
        }
    }
    expect_set(watcher, "last", "line");
    expect_nothing(watcher);
    expect_nothing(part);
    kvstore_watcher_free(part);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(changes_go_on_after_a_compaction),
        STORE_TEST(each_compaction_is_followed),
        STORE_TEST(growth_keeps_what_is_known_of_the_old_log),
        STORE_TEST(an_emptied_store_is_followed),
        STORE_TEST(two_compactions_reset_who_missed_both),
        STORE_TEST(a_compaction_amid_a_reset_is_followed),
        SCENE_TEST(changes_beside_a_compaction_come_once),
        SCENE_TEST(a_look_at_each_step_of_a_switch_tells_the_truth),
        STORE_TEST(a_death_at_each_step_of_a_switch_loses_no_change),
        STORE_TEST(a_watcher_keeps_up_with_compactions_and_writers),
        STORE_TEST(a_repair_resets),
        STORE_TEST(an_exchanged_log_resets),
        STORE_TEST(a_log_that_was_cut_resets),
        STORE_TEST(a_changed_last_line_resets),
        STORE_TEST(a_log_without_its_index_resets_when_compacted_unseen),
        STORE_TEST(an_old_log_that_does_not_fit_resets),
        STORE_TEST(damage_at_the_end_of_a_compacted_log_resets),
        STORE_TEST(a_failure_loses_no_change),
        STORE_TEST(a_batch_in_pieces_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
