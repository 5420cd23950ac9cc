/* SPDX-License-Identifier: MIT */

/* Does a handle keep the word of kvstore.h when another program changes the index
 * under it? Each answer is true, or an error that says why there is none. */

#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/lock.h"
#include "replay.h"
#include "store/doubt.h"
#include "store_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include <cmocka.h>

#define TOTAL_AT(member) \
    (HEADER_AT(totals) + offsetof(struct kv_table_totals, member))

static struct {
    struct kv_io_table table;
    bool has_no_locks;  /* As on a file system without them. */
    bool has_no_memory; /* For anything large. */
    uint64_t boot;
    bool is_full;    /* There is no room for an index. */
    int refusals;    /* Of that. */
    kvstore *writer; /* Sets a key before each read of a file; or NULL. */
} world;

static int refusing_flock(int fd, int operation)
{
    if (world.has_no_locks && operation != LOCK_UN) {
        errno = ENOLCK;
        return -1;
    }
    return kv_io_system_table()->flock(fd, operation);
}

static void *short_malloc(size_t size)
{
    if (world.has_no_memory && size >= 4096) {
        errno = ENOMEM;
        return NULL;
    }
    return kv_io_system_table()->malloc(size);
}

static ssize_t beside_pread(int fd, void *bytes, size_t size, off_t offset)
{
    kvstore *writer = world.writer;
    world.writer = NULL;
    if (writer != NULL) {
        must_set(writer, "beside", "1");
        world.writer = writer;
    }
    return kv_io_system_table()->pread(fd, bytes, size, offset);
}

static int refusing_allocate_blocks(int fd, off_t size)
{
    if (world.is_full) {
        world.refusals++;
        errno = ENOSPC;
        return -1;
    }
    return kv_io_system_table()->allocate_blocks(fd, size);
}

static int told_boot_id(uint64_t *id_out)
{
    *id_out = world.boot;
    return 0;
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.boot = 1;
    world.table = *kv_io_system_table();
    world.table.flock = refusing_flock;
    world.table.malloc = short_malloc;
    world.table.boot_id = told_boot_id;
    world.table.pread = beside_pread;
    world.table.allocate_blocks = refusing_allocate_blocks;
    kv_io_swap_table(&world.table);
    return store_dir_set_up(state);
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    return store_dir_tear_down(state);
}

#define LIE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void add_to_word(const struct store_dir *dir, size_t at, uint64_t amount)
{
    store_header_word(dir, at, load_header_word(dir, at) + amount);
}

/* Tries once for the writers' lock, which the test may hold. */
static kvstore *open_hasty(const struct store_dir *dir)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = -1;
    return open_with(dir, &options);
}

/* Each call looks at the index as it is now. */
static void take_lock(const struct store_dir *dir)
{
    assert_int_equal(kv_io_lock(&dir->directory, 0, NULL), KVSTORE_OK);
}

/* --- Counts --- */

static bool note_counts(void *context, const kvstore_damage *damage)
{
    *(int *)context += damage->kind == KVSTORE_DAMAGE_COUNTS ? 1 : 0;
    return true;
}

static int count_wrong_counts(const kvstore *store)
{
    int count = 0;
    assert_int_equal(kvstore_verify(store, note_counts, &count),
                     KVSTORE_CORRUPT);
    return count;
}

static void each_wrong_count_is_told(void **state)
{
    static const size_t words[] = {
        TOTAL_AT(counts.keys),
        TOTAL_AT(counts.live_bytes),
        TOTAL_AT(counts.stale_bytes),
        TOTAL_AT(counts.tombstone_bytes),
        TOTAL_AT(counts.expiring_keys),
        TOTAL_AT(counts.expiring_bytes),
        TOTAL_AT(counts.blank_bytes),
        TOTAL_AT(counts.damaged_bytes),
        TOTAL_AT(counts.damaged_records),
        TOTAL_AT(counts.unknown_records),
    };
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    log_text_remove(&text, "b");
    log_text_add(&text, "  \n");
    log_text_damaged_set(&text, "c", "1");
    log_text_unknown(&text, "d");
    log_text_expiring_set(&text, "e", "1", INT64_C(4102444800000));
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    kvstore *store = open_plain(dir);
    assert_int_equal(count_wrong_counts(store), 0);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        add_to_word(dir, words[i], 1);

        assert_int_equal(count_wrong_counts(store), 1);

        add_to_word(dir, words[i], (uint64_t)-1);
    }
    assert_int_equal(count_wrong_counts(store), 0);
    kvstore_close(store);
}

/* In another boot the index is checked before it is believed. */
static void wrong_count_of_damaged_keys_is_noticed(void **state)
{
    const struct store_dir *dir = *state;
    const size_t at = TOTAL_AT(damage_slots);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    log_text_damaged_set(&text, "b\\\"", "1");
    log_text_set(&text, "c", "1");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    kvstore_close(open_plain(dir));
    uint64_t slots = load_header_word(dir, at);
    assert_int_equal(slots, 2);
    for (int i = 0; i < 2; i++) {
        store_header_word(dir, at, i == 0 ? 1 : 3);
        world.boot++;

        kvstore *store = open_plain(dir);

        assert_corrupt(store, "a", 0);
        assert_value(store, "c", "1");
        kvstore_close(store);
        assert_int_equal(load_header_word(dir, at), slots);
    }
}

/* --- An end that the counts have not come to --- */

/* As a writer leaves it that dies over its line. */
static void move_end(const struct store_dir *dir)
{
    add_to_word(dir, HEADER_AT(end), 1);
}

static void counters_are_settled_with_the_lock(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *store = open_hasty(dir);
    kvstore_stats before = checked_stats(store);
    move_end(dir);

    kvstore_stats after = checked_stats(store);

    assert_int_equal(after.keys, before.keys);
    assert_int_equal(after.log_bytes, before.log_bytes);
    assert_known(store);
    kvstore_close(store);
}

/* Who cannot have the lock tells what is known without it. */
static void counters_do_not_wait_for_the_lock(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_stats stats;
    make_known(dir);
    kvstore *store = open_hasty(dir);
    kvstore_stats before = checked_stats(store);
    move_end(dir);
    take_lock(dir);

    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);

    assert_int_equal(stats.keys, before.keys);
    kv_io_unlock(&dir->directory);
    world.has_no_locks = true;
    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOLCK);
    assert_int_equal(stats.keys, 0);
    world.has_no_locks = false;
    assert_int_equal(checked_stats(store).keys, before.keys);
    kvstore_close(store);
}

static void exclusive_handle_has_nothing_to_settle(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    kvstore_stats stats;
    options.exclusive = true;
    make_known(dir);
    kvstore *store = open_with(dir, &options);
    move_end(dir);

    assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);

    assert_int_equal(stats.keys, KNOWN_KEYS);
    kvstore_close(store);
}

static kvstore_status watch_news(const kvstore *store,
                                 kvstore_watcher **watcher)
{
    const kvstore_watch_options options = {.from_start = false};
    return kvstore_watcher_create(store, &options, watcher);
}

/* A watcher that begins meanwhile tells what is set next, with the lock or
 * without. */
static void watcher_begins_where_the_log_ends(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    for (int i = 0; i < 2; i++) {
        kvstore *store = open_hasty(dir);
        kvstore_watcher *watcher = NULL;
        move_end(dir);
        if (i == 1) {
            take_lock(dir);
        }

        assert_int_equal(watch_news(store, &watcher), KVSTORE_OK);

        kv_io_unlock(&dir->directory);
        must_set(store, "next", "1");
        expect_set(watcher, "next", "1");
        kvstore_watcher_free(watcher);
        must_remove(store, "next");
        kvstore_close(store);
    }
}

static void watcher_that_cannot_settle_says_why(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_watcher *watcher = NULL;
    make_known(dir);
    kvstore *store = open_hasty(dir);
    move_end(dir);
    world.has_no_locks = true;

    assert_int_equal(watch_news(store, &watcher), KVSTORE_IO);

    assert_null(watcher);
    assert_int_equal(kvstore_last_error()->system_errno, ENOLCK);
    world.has_no_locks = false;
    assert_known(store);
    kvstore_close(store);
}

/* --- Slots that lead astray --- */

static void lead_astray(const struct store_dir *dir, const char *key)
{
    struct stored_slot slot = find_slot(dir, key);
    slot.entry.pointer.offset += 3;
    store_slot(dir, &slot);
}

/* It folds the log by itself then. */
static void read_finds_the_value_though_the_lock_is_taken(void **state)
{
    const struct store_dir *dir = *state;
    for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
        kvstore_options options = plain_options();
        options.lock_timeout_ms = -1;
        options.read_only = is_read_only == 1;
        make_known(dir);
        kvstore *store = open_with(dir, &options);
        lead_astray(dir, "key-1");
        take_lock(dir);
        world.has_no_memory = true;
        assert_int_equal(try_get(store, "key-1"), KVSTORE_NO_MEMORY);
        world.has_no_memory = false;

        assert_value(store, "key-1", value_of(1));

        kv_io_unlock(&dir->directory);
        assert_known(store);
        kvstore_close(store);
        remove_index(dir);
        store_dir_write(dir, KV_LOG_NAME, "", 0);
    }
}

/* A reader that may build no index for all goes by its own one until another has
 * that name, however busy the writers are. */
static void reader_leaves_an_index_that_lies(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *writer = open_hasty(dir);
    kvstore_options options = plain_options();
    options.read_only = true;
    kvstore *reader = open_with(dir, &options);
    lead_astray(dir, "key-1");

    world.writer = writer;
    assert_value(reader, "key-1", value_of(1));
    world.writer = NULL;
    for (int i = 0; i < 3; i++) {
        must_set(writer, "beside", "2");
        assert_value(reader, "key-1", value_of(1));
        assert_value(reader, "beside", "2");
        assert_int_equal(checked_stats(reader).slow_open,
                         KVSTORE_OPEN_PRIVATELY);
    }

    assert_value(writer, "key-1", value_of(1)); /* It builds the index anew. */
    must_set(writer, "beside", "3");
    assert_value(reader, "beside", "3");
    assert_int_equal(checked_stats(reader).slow_open, KVSTORE_OPEN_FAST);
    kvstore_close(reader);
    kvstore_close(writer);
}

/* Where there is no room to build it anew, that is not tried at each read, and sets
 * and removes go on. */
static void full_disk_does_not_bring_it_back(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *other = open_hasty(dir);
    kvstore *store = open_plain(dir);
    lead_astray(dir, "key-1");
    world.is_full = true;

    assert_value(store, "key-1", value_of(1));
    int refusals = world.refusals;
    assert_true(refusals > 0);
    for (int i = 0; i < 3; i++) {
        must_set(other, "key-2", "other");
        assert_value(store, "key-1", value_of(1));
        assert_value(store, "key-2", "other");
    }
    assert_int_equal(world.refusals, refusals);
    must_set(store, "key-2", "own");
    must_remove(store, "key-3");
    assert_value(other, "key-2", "own");

    world.is_full = false;
    assert_value(store, "key-1", value_of(1));
    assert_int_equal(checked_stats(store).slow_open, KVSTORE_OPEN_FAST);
    kvstore_close(store);
    kvstore_close(other);
}

/* Of two threads that find it wrong, one has it built. */
static void another_index_by_now_is_not_built_again(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore_options options = plain_options();
    options.read_only = true;
    kvstore *reader = open_with(dir, &options);
    uint64_t secret = reader->index.table.secret.words[0];

    assert_int_equal(kv_store_rebuild(reader, secret + 1), KVSTORE_OK);
    assert_true(reader->index.is_shared);
    assert_int_equal(kv_store_rebuild(reader, secret), KVSTORE_OK);
    assert_false(reader->index.is_shared);

    assert_known(reader);
    kvstore_close(reader);
}

static void read_that_cannot_lock_says_why(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *store = open_hasty(dir);
    lead_astray(dir, "key-1");
    world.has_no_locks = true;

    assert_int_equal(try_get(store, "key-1"), KVSTORE_IO);

    assert_int_equal(kvstore_last_error()->system_errno, ENOLCK);
    world.has_no_locks = false;
    assert_known(store);
    kvstore_close(store);
}

static kvstore_status set_if(kvstore *store,
                             const char *key,
                             const char *value,
                             const char *expected)
{
    const kvstore_set_options options = {
        .condition = expected == NULL ? KVSTORE_IF_ABSENT : KVSTORE_IF_VALUE,
        .expected = expected,
        .expected_size = expected == NULL ? 0 : strlen(expected)};
    return kvstore_set_with(
        store, key, strlen(key), value, strlen(value), &options);
}

/* A condition is judged by what the log holds. */
static void condition_is_judged_in_spite_of_a_lie(void **state)
{
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *store = open_plain(dir);
    lead_astray(dir, "key-1");
    assert_int_equal(set_if(store, "key-1", "never", "wrong"),
                     KVSTORE_CONFLICT);
    lead_astray(dir, "key-2");
    assert_int_equal(set_if(store, "key-2", "new", value_of(2)), KVSTORE_OK);
    lead_astray(dir, "key-3");
    assert_int_equal(set_if(store, "key-3", "never", NULL), KVSTORE_CONFLICT);

    assert_value(store, "key-1", value_of(1));
    assert_value(store, "key-2", "new");
    assert_value(store, "key-3", value_of(3));
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
    kvstore_close(store);
}

/* As is what a batch removes. */
static void batch_is_written_in_spite_of_a_lie(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_batch *batch = NULL;
    make_known(dir);
    kvstore *store = open_plain(dir);
    lead_astray(dir, "key-1");
    lead_astray(dir, "key-2");
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_remove(batch, "key-1", 5), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "key-2", 5, "new", 3, 0),
                     KVSTORE_OK);

    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);

    kvstore_batch_free(batch);
    assert_absent(store, "key-1");
    assert_value(store, "key-2", "new");
    assert_value(store, "key-3", value_of(3));
    kvstore_close(store);
    remove_index(dir);
    store = open_plain(dir);
    assert_absent(store, "key-1");
    assert_value(store, "key-2", "new");
    assert_int_equal(checked_stats(store).keys, KNOWN_KEYS - 1);
    kvstore_close(store);
}

/* --- Slots that crowd --- */

/* All slots but the last few have the same home, and so many are said to be in
 * use that the table must grow. */
static void crowd_slots(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table;
    assert_true(kv_table_attach(bytes, size, &table));
    uint64_t count = kv_table_slot_count(&table);
    for (uint64_t i = 0; i < count; i++) {
        bool is_taken = i < count - (uint64_t)2 * KV_TABLE_BUCKET_SLOTS;
        atomic_store(&table.words[i * 2], is_taken ? 1 : 0);
        atomic_store(&table.words[i * 2 + 1], 0);
    }
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);
    store_header_word(dir, TOTAL_AT(slots_used), kv_table_room(&table));
    free(bytes);
}

/* The index cannot grow, and is built anew. */
static void batch_is_written_though_slots_crowd(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_batch *batch = NULL;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    append_many_by_hand(dir);
    kvstore_close(open_plain(dir));
    crowd_slots(dir);
    kvstore *store = open_plain(dir);
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "new-1", 5, "1", 1, 0),
                     KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "new-2", 5, "2", 1, 0),
                     KVSTORE_OK);

    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);

    kvstore_batch_free(batch);
    assert_many(store);
    assert_value(store, "new-1", "1");
    assert_value(store, "new-2", "2");
    assert_int_equal(checked_stats(store).keys, MANY_KEYS + 2);
    kvstore_close(store);
}

/* --- Places that are all taken --- */

/* By a plain set, on a condition, and in a batch. */
static void set_without_an_empty_place_is_stored(void **state)
{
    static const kvstore_set_options if_absent = {
        .size = sizeof if_absent, .condition = KVSTORE_IF_ABSENT};
    const struct store_dir *dir = *state;
    make_known(dir);
    kvstore *store = open_plain(dir);
    take_all_places(dir);
    must_set(store, "new", "1");
    take_all_places(dir);
    assert_int_equal(kvstore_set_with(store, "newer", 5, "2", 1, &if_absent),
                     KVSTORE_OK);
    take_all_places(dir);
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(
        kvstore_batch_set(batch, "newest", 6, "3", 1, KVSTORE_EXPIRES_NEVER),
        KVSTORE_OK);
    assert_int_equal(kvstore_write(store, batch), KVSTORE_OK);
    kvstore_batch_free(batch);

    assert_value(store, "new", "1");
    assert_value(store, "newer", "2");
    assert_value(store, "newest", "3");
    assert_known(store);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIE_TEST(each_wrong_count_is_told),
        LIE_TEST(wrong_count_of_damaged_keys_is_noticed),
        LIE_TEST(counters_are_settled_with_the_lock),
        LIE_TEST(counters_do_not_wait_for_the_lock),
        LIE_TEST(exclusive_handle_has_nothing_to_settle),
        LIE_TEST(watcher_begins_where_the_log_ends),
        LIE_TEST(watcher_that_cannot_settle_says_why),
        LIE_TEST(read_finds_the_value_though_the_lock_is_taken),
        LIE_TEST(reader_leaves_an_index_that_lies),
        LIE_TEST(full_disk_does_not_bring_it_back),
        LIE_TEST(another_index_by_now_is_not_built_again),
        LIE_TEST(read_that_cannot_lock_says_why),
        LIE_TEST(condition_is_judged_in_spite_of_a_lie),
        LIE_TEST(batch_is_written_in_spite_of_a_lie),
        LIE_TEST(batch_is_written_though_slots_crowd),
        LIE_TEST(set_without_an_empty_place_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
