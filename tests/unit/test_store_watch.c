/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: watching a store, whose
 * log stays the same file. */

#include "compaction_scene.h"
#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/system.h"
#include "replay.h"
#include "store_calls.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- What is told --- */

static void each_change_comes_once_in_order(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    must_set(store, "before", "0");
    kvstore_watcher *watcher = watch(store);

    must_set(store, "a", "1");
    must_set(other, "b", "2");
    must_set(store, "a", "3");
    must_remove(other, "b");

    expect_set(watcher, "a", "1");
    expect_set(watcher, "b", "2");
    expect_set(watcher, "a", "3");
    expect_remove(watcher, "b");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void from_start_all_keys_come_first(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "old");
    must_set(store, "b", "1");
    must_set(store, "gone", "1");
    must_remove(store, "gone");
    must_set(store, "a", "new");
    kvstore_watcher *watcher = watch_from_start(store);

    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    must_set(store, "b", "2");
    must_set(store, "c", "3");

    expect_set(watcher, "b", "1");
    expect_set(watcher, "a", "new");
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    expect_set(watcher, "b", "2");
    expect_set(watcher, "c", "3");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void an_empty_store_is_current_at_once(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch_from_start(store);

    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    must_set(store, "a", "1");
    expect_set(watcher, "a", "1");
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void keys_with_a_prefix_are_told_alone(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "b/0", "0");
    must_set(store, "a/0", "0");
    kvstore_watcher *watcher = watch_prefix(store, "a/");

    must_set(store, "b/1", "1");
    must_set(store, "a/1", "1");
    must_set(store, "a", "2");
    must_set(store, "a/\n", "escaped");
    must_remove(store, "b/0");
    must_remove(store, "a/0");

    expect_set(watcher, "a/1", "1");
    expect_set(watcher, "a/\n", "escaped");
    expect_remove(watcher, "a/0");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void keys_only_come_without_values(void **state)
{
    kvstore *store = open_plain(*state);
    const kvstore_watch_options options = {.keys_only = true};
    kvstore_watcher *watcher = NULL;
    assert_int_equal(kvstore_watcher_create(store, &options, &watcher),
                     KVSTORE_OK);
    must_set(store, "a", "1");

    const kvstore_change *change = next_change(watcher);

    assert_string_equal(change->entry->key, "a");
    assert_null(change->entry->value);
    assert_int_equal(change->entry->value_size, 0);
    assert_int_equal(change->entry->status, KVSTORE_OK);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void large_and_binary_values_are_whole(void **state)
{
    enum { SIZE = 3 << 20 };
    kvstore *store = open_plain(*state);
    char *value = malloc(SIZE);
    assert_non_null(value);
    for (size_t i = 0; i < SIZE; i++) {
        value[i] = (char)(i * 7 + i / 251);
    }
    kvstore_watcher *watcher = watch(store);
    assert_int_equal(kvstore_set(store, "k\0\xff", 3, value, SIZE), KVSTORE_OK);
    must_set(store, "empty", "");

    const kvstore_change *change = next_change(watcher);

    assert_int_equal(change->entry->key_size, 3);
    assert_memory_equal(change->entry->key, "k\0\xff", 3);
    assert_int_equal(change->entry->value_size, SIZE);
    assert_memory_equal(change->entry->value, value, SIZE);
    assert_int_equal(((const char *)change->entry->value)[SIZE], 0);
    expect_set(watcher, "empty", "");
    free(value);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- Lines of others --- */

/* Appends lines, which the next write makes visible. */
static void append_lines(void **state, kvstore *store, struct log_text *text)
{
    store_dir_append(*state, KV_LOG_NAME, text->bytes, text->size);
    log_text_release(text);
    rest(20);
    must_set(store, "last", "line");
}

static void a_batch_says_how_much_of_it_follows(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    kvstore_watcher *part = watch_prefix(store, "b");
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "b1", "1", 3);
    log_text_batch_set(&text, "a", "2", 2);
    log_text_batch_set(&text, "b2", "3", 1);
    log_text_batch_set(&text, "a", "4", 2);
    log_text_batch_set(&text, "b3", "5", 1);
    append_lines(state, store, &text);

    expect_set_of_batch(watcher, "b1", "1", 2);
    expect_set_of_batch(watcher, "a", "2", 1);
    expect_set_of_batch(watcher, "b2", "3", 0);
    expect_set_of_batch(watcher, "a", "4", 1);
    expect_set_of_batch(watcher, "b3", "5", 0);
    expect_set(watcher, "last", "line");
    expect_set_of_batch(part, "b1", "1", 1);
    expect_set_of_batch(part, "b2", "3", 0);
    expect_set_of_batch(part, "b3", "5", 0);
    expect_nothing(part);
    kvstore_watcher_free(part);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

#define MANY_CHANGES 200000

static uint64_t bytes_read;

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t part = kv_io_system_table()->pread(fd, buffer, size, offset);
    bytes_read += part > 0 ? (uint64_t)part : 0;
    return part;
}

/* Many pieces. How far it goes is measured once, and once more told. */
static void a_large_batch_is_read_a_few_times_only(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = NULL;
    kvstore_batch *batch = NULL;
    const kvstore_change *change = NULL;
    struct kv_io_table table = *kv_io_system_table();
    assert_int_equal(kvstore_watcher_create(store, NULL, &watcher), KVSTORE_OK);
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    for (int i = 0; i < MANY_CHANGES; i++) {
        char key[16];
        size_t size = (size_t)snprintf(key, sizeof key, "%d", i);
        assert_int_equal(kvstore_batch_set(batch, key, size, "1", 1, 0),
                         KVSTORE_OK);
    }
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_free(batch);
    table.pread = counting_pread;
    bytes_read = 0;

    kv_io_swap_table(&table);
    for (int i = MANY_CHANGES; i > 0; i--) {
        assert_int_equal(kvstore_watcher_next(watcher, 0, &change), KVSTORE_OK);
        assert_int_equal(change->batch_left, i - 1);
    }
    kv_io_swap_table(kv_io_system_table());

    assert_true(bytes_read < 5 * checked_stats(store).log_bytes);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_torn_batch_is_never_seen(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_set(&text, "b", "2", 2);
    append_lines(state, store, &text);

    expect_set(watcher, "last", "line");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void damage_that_tells_its_key_is_a_change(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    kvstore_watcher *watcher = watch(store);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "2");
    log_text_add(&text, "\n{ no key }\n \t\n{\"set\":{}}\n");
    log_text_add(&text,
                 "{ \"Set\" : {\"value\":\"v\",\"key\":\"foreign\"} }\n");
    log_text_batch_set(&text, "broken", "1", 3);
    log_text_set(&text, "b", "3");
    append_lines(state, store, &text);

    expect_broken(watcher, "a", KVSTORE_CORRUPT);
    expect_set(watcher, "foreign", "v");
    expect_broken(watcher, "broken", KVSTORE_CORRUPT);
    expect_set(watcher, "b", "3");
    expect_set(watcher, "last", "line");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);

    struct replay replay = {.count = 0};
    watcher = watch_from_start(store);
    replay_all(&replay, watcher);
    assert_replayed(&replay, store);
    assert_int_equal(replay.changes, 7);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void a_newer_record_is_a_change_that_cannot_be_read(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_unknown(&text, "a");
    store_dir_write_log(*state, &text);
    log_text_release(&text);
    kvstore *store = open_plain(*state);

    kvstore_watcher *watcher = watch_from_start(store);

    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    expect_broken(watcher, "a", KVSTORE_UNSUPPORTED);
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    assert_int_equal(try_get(store, "a"), KVSTORE_UNSUPPORTED);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void what_expires_says_when(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_expiring_set(&text, "later", "1", 9000000000000);
    log_text_expiring_set(&text, "past", "2", 1);
    append_lines(state, store, &text);

    const kvstore_change *change = next_change(watcher);
    assert_string_equal(change->entry->key, "later");
    assert_true(change->entry->expires_ms == 9000000000000);
    change = next_change(watcher);
    assert_string_equal(change->entry->key, "past");
    assert_string_equal(change->entry->value, "2");
    assert_true(change->entry->expires_ms == 1);
    expect_set(watcher, "last", "line");
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static void what_has_expired_is_none_of_all_keys(void **state)
{
    kvstore *store = open_plain(*state);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "past", "1");
    log_text_expiring_set(&text, "past", "2", 1);
    log_text_expiring_set(&text, "later", "1", 9000000000000);
    append_lines(state, store, &text);
    kvstore_watcher *watcher = watch_from_start(store);

    expect_kind(watcher, KVSTORE_CHANGE_RESET);
    expect_set(watcher, "later", "1");
    expect_set(watcher, "last", "line");
    expect_kind(watcher, KVSTORE_CHANGE_CURRENT);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- The index --- */

static void growth_is_followed(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore *other = open_plain(*state);
    kvstore_watcher *watcher = watch(other);
    char key[32];

    for (int i = 0; i < MANY_KEYS; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        must_set(store, key, "1");
    }

    for (int i = 0; i < MANY_KEYS; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        expect_set(watcher, key, "1");
    }
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void an_index_that_is_built_anew_is_followed(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    must_set(store, "a", "1");
    remove_index(*state);
    kvstore *other = open_plain(*state);
    must_set(other, "b", "2");

    expect_set(watcher, "a", "1");
    expect_set(watcher, "b", "2");
    remove_index(*state);
    rest(20);
    must_set(store, "c", "3");
    expect_set(watcher, "c", "3");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(other);
    kvstore_close(store);
}

static void a_private_index_is_enough(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    kvstore_options options = plain_options();
    options.read_only = true;
    kvstore *reader = open_with(dir, &options);
    assert_false(store_dir_has(dir, KV_INDEX_NAME));
    kvstore_watcher *watcher = watch(reader);

    log_text_set(&text, "b", "2");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    expect_set(watcher, "b", "2");

    kvstore *store = open_plain(dir);
    must_set(store, "c", "3");
    expect_set(watcher, "c", "3");
    expect_nothing(watcher);
    kvstore_watcher_free(watcher);
    kvstore_close(store);
    kvstore_close(reader);
}

static void watch_exclusive(void **state, int sync, const char *name)
{
    kvstore_options options = plain_options();
    options.exclusive = true;
    options.sync = sync;
    kvstore *store = open_with(*state, &options);
    options = plain_options();
    options.read_only = true;
    kvstore *reader = open_with(*state, &options);
    kvstore_watcher *watcher = watch(reader);
    kvstore_watcher *own = watch(store);
    char key[32];

    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "%s-%d", name, i);
        must_set(store, key, "1");
        expect_set(own, key, "1");
        expect_set(watcher, key, "1");
    }
    expect_nothing(watcher);
    kvstore_watcher_free(own);
    kvstore_watcher_free(watcher);
    kvstore_close(reader);
    kvstore_close(store);
}

static void an_exclusive_writer_is_watched(void **state)
{
    watch_exclusive(state, KVSTORE_SYNC_NONE, "put");
    watch_exclusive(state, KVSTORE_SYNC_ALWAYS, "written");
}

/* --- Waiting --- */

/* Of a program that was built with a later kvstore.h. */
static void later_options_are_taken_if_they_are_zero(void **state)
{
    struct {
        kvstore_watch_options options;
        uint64_t later;
    } longer = {.options = {.size = sizeof longer}};
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = NULL;

    assert_int_equal(kvstore_watcher_create(store, &longer.options, &watcher),
                     KVSTORE_OK);
    kvstore_watcher_free(watcher);
    longer.later = 1;
    assert_int_equal(kvstore_watcher_create(store, &longer.options, &watcher),
                     KVSTORE_INVALID);
    assert_null(watcher);
    kvstore_close(store);
}

static void arguments_are_checked(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = NULL;
    const kvstore_change *change = NULL;
    kvstore_watch_options options = {.size = 1};
    assert_int_equal(kvstore_watcher_create(store, &options, &watcher),
                     KVSTORE_INVALID);
    options = (kvstore_watch_options){.prefix_size = 1};
    assert_int_equal(kvstore_watcher_create(store, &options, &watcher),
                     KVSTORE_INVALID);
    options = (kvstore_watch_options){.reserved = {0, 1}};
    assert_int_equal(kvstore_watcher_create(store, &options, &watcher),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_create(store, NULL, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_create(NULL, NULL, &watcher),
                     KVSTORE_INVALID);
    assert_null(watcher);
    watcher = watch(store);
    assert_int_equal(kvstore_watcher_next(watcher, -1, &change),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_next(watcher, 0, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_next(NULL, 0, &change), KVSTORE_INVALID);

    assert_int_equal(kvstore_watcher_next(watcher, 0, &change),
                     KVSTORE_NOT_FOUND);
    must_set(store, "a", "1");
    assert_int_equal(kvstore_watcher_next(watcher, 0, &change), KVSTORE_OK);
    assert_int_equal(kvstore_watcher_next(watcher, 0, &change),
                     KVSTORE_NOT_FOUND);
    kvstore_watcher_free(watcher);
    kvstore_watcher_free(NULL);
    kvstore_close(store);
}

static void after_close_it_can_only_be_freed(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    kvstore_watcher *noted = watch(store);
    kvstore_watcher *unstarted = watch_from_start(store);
    must_set(store, "a", "1");
    must_set(store, "b", "2");
    expect_set(noted, "a", "1");
    kvstore_close(store);

    const kvstore_change *change = NULL;
    assert_int_equal(kvstore_watcher_next(watcher, 100, &change),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_next(noted, 0, &change), KVSTORE_INVALID);
    assert_int_equal(kvstore_watcher_next(unstarted, 0, &change),
                     KVSTORE_INVALID);
    assert_null(change);
    kvstore_watcher_free(unstarted);
    kvstore_watcher_free(noted);
    kvstore_watcher_free(watcher);
}

static void *wait_for_ever(void *argument)
{
    kvstore_watcher *watcher = argument;
    const kvstore_change *change = NULL;
    static kvstore_status status;
    status = kvstore_watcher_next(watcher, INT32_MAX, &change);
    return &status;
}

static void a_waiting_thread_learns_of_a_close(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    pthread_t thread;
    void *status = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, watcher), 0);
    rest(30);

    kvstore_close(store);

    assert_int_equal(pthread_join(thread, &status), 0);
    assert_int_equal(*(kvstore_status *)status, KVSTORE_INVALID);
    kvstore_watcher_free(watcher);
}

static void a_waiting_thread_can_be_cancelled(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, watcher), 0);
    rest(30);

    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);

    assert_ptr_equal(result, PTHREAD_CANCELED);
    must_set(store, "a", "1");
    expect_set(watcher, "a", "1");
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

static int use_in_child(kvstore *store, kvstore_watcher *watcher)
{
    const kvstore_change *change = NULL;
    kvstore_watcher *other = NULL;
    bool is_good =
        kvstore_watcher_next(watcher, 0, &change) == KVSTORE_INVALID &&
        kvstore_watcher_create(store, NULL, &other) == KVSTORE_INVALID;
    kvstore_close(store);
    kvstore_watcher_free(watcher);
    return is_good ? 0 : 1;
}

static void in_a_child_of_fork_it_is_invalid(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    must_set(store, "a", "1");
    must_set(store, "b", "2");
    expect_set(watcher, "a", "1");
    pid_t child = fork();
    if (child == 0) {
        _exit(use_in_child(store, watcher));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect_set(watcher, "b", "2");
    must_set(store, "c", "3");
    expect_set(watcher, "c", "3");
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

/* --- Many writers --- */

#define WRITERS 6
#define CHANGES_EACH 400

static void write_numbers(const struct store_dir *dir, int writer)
{
    kvstore_options options = plain_options();
    kvstore *store = NULL;
    char key[16];
    char value[16];
    if (kvstore_open(dir->path, &options, &store) != KVSTORE_OK) {
        return;
    }
    (void)snprintf(key, sizeof key, "w%d", writer);
    for (int i = 0; i < CHANGES_EACH; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        if (try_set(store, key, value) != KVSTORE_OK) {
            break;
        }
    }
    kvstore_close(store);
}

struct writer {
    const struct store_dir *dir;
    int number;
};

static void *run_writer(void *argument)
{
    const struct writer *writer = argument;
    write_numbers(writer->dir, writer->number);
    return NULL;
}

static void expect_numbers(kvstore_watcher *watcher)
{
    int next[WRITERS] = {0};
    for (int i = 0; i < WRITERS * CHANGES_EACH; i++) {
        const kvstore_change *change = NULL;
        assert_int_equal(kvstore_watcher_next(watcher, 20000, &change),
                         KVSTORE_OK);
        const char *key = change->entry->key;
        assert_int_equal(strtol(change->entry->value, NULL, 10),
                         next[key[1] - '0']++);
    }
    expect_nothing(watcher);
}

static void writers_of_many_processes_are_watched(void **state)
{
    kvstore *store = open_plain(*state);
    kvstore_watcher *watcher = watch(store);
    pid_t children[WRITERS / 2];
    pthread_t threads[WRITERS / 2];
    struct writer writers[WRITERS / 2];
    for (int i = 0; i < WRITERS / 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            write_numbers(*state, i);
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS / 2; i++) {
        writers[i] = (struct writer){.dir = *state, .number = i + WRITERS / 2};
        assert_int_equal(
            pthread_create(&threads[i], NULL, run_writer, &writers[i]), 0);
    }

    expect_numbers(watcher);

    for (int i = 0; i < WRITERS / 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
    }
    kvstore_watcher_free(watcher);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(each_change_comes_once_in_order),
        STORE_TEST(from_start_all_keys_come_first),
        STORE_TEST(an_empty_store_is_current_at_once),
        STORE_TEST(keys_with_a_prefix_are_told_alone),
        STORE_TEST(keys_only_come_without_values),
        STORE_TEST(large_and_binary_values_are_whole),
        STORE_TEST(a_batch_says_how_much_of_it_follows),
        STORE_TEST(a_large_batch_is_read_a_few_times_only),
        STORE_TEST(a_torn_batch_is_never_seen),
        STORE_TEST(damage_that_tells_its_key_is_a_change),
        STORE_TEST(a_newer_record_is_a_change_that_cannot_be_read),
        STORE_TEST(what_expires_says_when),
        STORE_TEST(what_has_expired_is_none_of_all_keys),
        STORE_TEST(growth_is_followed),
        STORE_TEST(an_index_that_is_built_anew_is_followed),
        STORE_TEST(a_private_index_is_enough),
        STORE_TEST(an_exclusive_writer_is_watched),
        STORE_TEST(later_options_are_taken_if_they_are_zero),
        STORE_TEST(arguments_are_checked),
        STORE_TEST(after_close_it_can_only_be_freed),
        STORE_TEST(a_waiting_thread_learns_of_a_close),
        STORE_TEST(a_waiting_thread_can_be_cancelled),
        STORE_TEST(in_a_child_of_fork_it_is_invalid),
        STORE_TEST(writers_of_many_processes_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
