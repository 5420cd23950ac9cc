/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: those that go through a
 * whole store: list, verify, repair. */

#include "index/file.h"
#include "index/table.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEN_SIZE ((size_t)1 << 12)

/* What a call has reported, one item a line. */
struct seen {
    char text[SEEN_SIZE];
    size_t size;
    int limit; /* How many are wanted; 0: all. */
    int count;
};

static bool note(struct seen *seen, const char *line, size_t size)
{
    assert_true(seen->size + size + 2 < sizeof seen->text);
    memcpy(seen->text + seen->size, line, size);
    seen->size += size;
    seen->text[seen->size++] = '\n';
    seen->text[seen->size] = '\0';
    seen->count++;
    return seen->count != seen->limit;
}

static bool see_key(void *context, const void *key, size_t key_size)
{
    return note(context, key, key_size);
}

static bool see_damage(void *context, const kvstore_damage *damage)
{
    char line[256];
    (void)snprintf(line,
                   sizeof line,
                   "%d %lld %llu %.*s",
                   damage->kind,
                   (long long)damage->offset,
                   (unsigned long long)damage->length,
                   (int)damage->key_size,
                   damage->key == NULL ? "" : (const char *)damage->key);
    if (damage->file != NULL) {
        (void)snprintf(line + strlen(line),
                       sizeof line - strlen(line),
                       "%s",
                       damage->file);
    }
    return note(context, line, strlen(line));
}

static void assert_listed(const kvstore *store,
                          const char *prefix,
                          const char *expected)
{
    struct seen seen = {.size = 0};
    assert_int_equal(
        kvstore_list(store, prefix, strlen(prefix), see_key, &seen),
        KVSTORE_OK);
    assert_string_equal(seen.text, expected);
}

static kvstore *open_text(const struct store_dir *dir,
                          const struct log_text *text)
{
    store_dir_write_log(dir, text);
    return open_plain(dir);
}

static kvstore *open_read_only(const struct store_dir *dir)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    return open_with(dir, &options);
}

/* --- List --- */

static void keys_come_in_byte_order(void **state)
{
    kvstore *store = open_plain(*state);
    assert_listed(store, "", "");
    must_set(store, "b", "1");
    must_set(store, "ab", "1");
    must_set(store, "a", "1");
    must_set(store, "\xff", "1");
    must_set(store, "gone", "1");
    must_set(store, "B", "1");
    must_set(store, "a", "2");
    must_remove(store, "gone");
    must_set(store, "longer than eight", "1");
    must_set(store, "longer than e", "1");
    must_set(store, "longer than", "1");

    assert_listed(store,
                  "",
                  "B\na\nab\nb\nlonger than\nlonger than e\n"
                  "longer than eight\n\xff\n");
    must_compact(store);
    assert_listed(store, "a", "a\nab\n");
    assert_listed(store, "longer than e", "longer than e\nlonger than eight\n");
    assert_listed(store, "never", "");
    kvstore_close(store);
}

static void prefix_may_stand_escaped_in_the_log(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"\\u0061b\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key64\":\"YWM=\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key64\":\"YmM=\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"\",\"val\":\"unreachable\"}}\n");
    kvstore *store = open_text(dir, &text);

    assert_listed(store, "a", "ab\nac\n");
    assert_listed(store, "", "ab\nac\nbc\n");
    kvstore_close(store);
    log_text_release(&text);
}

static void visit_may_end_the_list(void **state)
{
    kvstore *store = open_plain(*state);
    struct seen seen = {.limit = 2};
    must_set(store, "c", "1");
    must_set(store, "b", "1");
    must_set(store, "a", "1");

    assert_int_equal(kvstore_list(store, NULL, 0, see_key, &seen), KVSTORE_OK);

    assert_string_equal(seen.text, "a\nb\n");
    kvstore_close(store);
}

/* Keys that a get does not report as absent. */
static void corrupt_keys_are_listed(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "alone", "1");
    log_text_damaged_set(&text, "healed", "1");
    log_text_set(&text, "healed", "2");
    log_text_set(&text, "older", "1");
    log_text_damaged_set(&text, "older", "2");
    log_text_damaged_set(&text, "removed", "1");
    log_text_remove(&text, "removed");
    kvstore *store = open_text(dir, &text);

    assert_listed(store, "", "alone\nhealed\nolder\n");
    assert_int_equal(try_get(store, "alone"), KVSTORE_CORRUPT);
    assert_int_equal(try_get(store, "older"), KVSTORE_CORRUPT);
    assert_absent(store, "removed");
    kvstore_close(store);
    log_text_release(&text);
}

static bool remove_seen(void *context, const void *key, size_t key_size)
{
    kvstore *store = context;
    assert_int_equal(kvstore_remove(store, key, key_size), KVSTORE_OK);
    must_compact(store);
    return true;
}

static void visit_may_call_the_store(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    must_set(store, "b", "1");

    assert_int_equal(kvstore_list(store, NULL, 0, remove_seen, store),
                     KVSTORE_OK);

    assert_listed(store, "", "");
    kvstore_close(store);
}

static void list_and_verify_work_read_only(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    kvstore *shared = open_read_only(dir);
    assert_listed(shared, "", "a\n");
    assert_int_equal(kvstore_verify(shared, NULL, NULL), KVSTORE_OK);
    kvstore_close(shared);
    kvstore_close(store);
    assert_int_equal(remove(store_dir_path(dir, KV_INDEX_NAME)), 0);

    kvstore *private = open_read_only(dir);

    assert_listed(private, "", "a\n");
    assert_int_equal(kvstore_verify(private, NULL, NULL), KVSTORE_OK);
    assert_int_equal(kvstore_repair(private, NULL, NULL), KVSTORE_READ_ONLY);
    kvstore_close(private);
}

/* --- Beside a writer --- */

#define STEADY 200

static atomic_bool is_over;

static void remove_passing(kvstore *store, int first, int last)
{
    char key[32];
    for (int i = first; i <= last; i++) {
        (void)snprintf(key, sizeof key, "passing %d", i);
        must_remove(store, key);
    }
}

/* Adds keys, removes them, overwrites the steady ones, compacts, and so makes
 * the index grow and shrink. */
static void *write_on(void *context)
{
    kvstore_options options = plain_options();
    options.lock_timeout_ms = 60000;
    kvstore *store = open_with(context, &options);
    char key[32];
    for (int i = 0; !atomic_load(&is_over); i++) {
        (void)snprintf(key, sizeof key, "steady %d", i % STEADY);
        must_set(store, key, "again");
        (void)snprintf(key, sizeof key, "passing %d", i);
        must_set(store, key, "1");
        if (i % 3000 == 2999) {
            remove_passing(store, i - 2999, i);
            must_compact(store);
        }
    }
    kvstore_close(store);
    return NULL;
}

struct steady {
    char earlier[32];
    int count;
};

static bool count_steady(void *context, const void *key, size_t key_size)
{
    struct steady *steady = context;
    char text[sizeof steady->earlier] = {0};
    assert_true(key_size < sizeof text);
    memcpy(text, key, key_size);
    assert_true(strcmp(steady->earlier, text) < 0);
    memcpy(steady->earlier, text, sizeof text);
    steady->count += strncmp(text, "steady ", 7) == 0;
    return true;
}

static void list_and_verify_hold_beside_a_writer(void **state)
{
    kvstore *store = open_plain(*state);
    char key[32];
    for (int i = 0; i < STEADY; i++) {
        (void)snprintf(key, sizeof key, "steady %d", i);
        must_set(store, key, "1");
    }
    pthread_t writer;
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&writer, NULL, write_on, *state), 0);

    for (int i = 0; i < 150; i++) {
        struct steady steady = {.count = 0};
        assert_int_equal(kvstore_list(store, NULL, 0, count_steady, &steady),
                         KVSTORE_OK);
        assert_int_equal(steady.count, STEADY);
        struct seen seen = {.size = 0};
        kvstore_status status = kvstore_verify(store, see_damage, &seen);
        assert_string_equal(seen.text, "");
        assert_int_equal(status, KVSTORE_OK);
    }

    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    kvstore_close(store);
}

static kvstore *beside;
static int steps;

/* A writer has moved the end, but not stored the slot yet. */
static void verify_at_the_end(const char *name)
{
    struct seen seen = {.size = 0};
    if (strcmp(name, "end") == 0) {
        assert_int_equal(kvstore_verify(beside, see_damage, &seen), KVSTORE_OK);
        assert_string_equal(seen.text, "");
        steps++;
    }
}

static void record_that_is_being_published_is_no_damage(void **state)
{
    struct kv_io_table table = *kv_io_system_table();
    kvstore *store = open_plain(*state);
    beside = open_plain(*state);
    must_set(store, "a", "1");
    table.step = verify_at_the_end;
    steps = 0;
    kv_io_swap_table(&table);

    must_set(store, "b", "1");

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(steps, 1);
    kvstore_close(beside);
    kvstore_close(store);
}

/* --- Verify --- */

static void assert_verified(const kvstore *store, const char *expected)
{
    struct seen seen = {.size = 0};
    kvstore_status status = kvstore_verify(store, see_damage, &seen);
    assert_string_equal(seen.text, expected);
    assert_int_equal(status,
                     expected[0] == '\0' ? KVSTORE_OK : KVSTORE_CORRUPT);
}

static void each_damaged_place_is_told(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t sum = log_text_damaged_set(&text, "a", "2");
    size_t line = log_text_add(&text, "what is this\n");
    log_text_add(&text, "\n");
    size_t batch = log_text_batch_set(&text, "b", "1", 2);
    size_t behind = log_text_set(&text, "c", "1");
    kvstore *store = open_text(dir, &text);
    char expected[256];
    (void)snprintf(expected,
                   sizeof expected,
                   "%d %zu %zu a\n%d %zu %d \n%d %zu %zu b\n",
                   KVSTORE_DAMAGE_SUM,
                   sum,
                   line - sum,
                   KVSTORE_DAMAGE_LINE,
                   line,
                   13,
                   KVSTORE_DAMAGE_BATCH,
                   batch,
                   behind - batch);

    assert_verified(store, expected);
    assert_int_equal(kvstore_last_error()->offset, sum);
    struct seen first = {.limit = 1};
    assert_int_equal(kvstore_verify(store, see_damage, &first),
                     KVSTORE_CORRUPT);
    assert_int_equal(first.count, 1);
    kvstore_close(store);
    log_text_release(&text);
}

static void rotten_lines_are_told_and_not_the_index(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    must_set(store, "a", "2");
    must_set(store, "b", "1");
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
    size_t at = (size_t)(strstr(bytes, "\"2\"") + 1 - bytes);
    size_t line = (size_t)(strchr(bytes, '\n') + 1 - bytes);
    free(bytes);
    char expected[64];
    (void)snprintf(expected,
                   sizeof expected,
                   "%d %zu %zu a\n",
                   KVSTORE_DAMAGE_SUM,
                   line,
                   line);
    assert_verified(store, "");

    store_dir_overwrite(dir, KV_LOG_NAME, at, "3", 1);

    assert_verified(store, expected);
    /* The last line, changed so that it looks unfinished. */
    store_dir_overwrite(dir, KV_LOG_NAME, size - 2, "x", 1);
    struct seen seen = {.size = 0};
    assert_int_equal(kvstore_verify(store, see_damage, &seen), KVSTORE_CORRUPT);
    assert_int_equal(seen.count, 2);
    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);
    assert_value(store, "a", "1");
    assert_absent(store, "b");
    assert_verified(store, "");
    kvstore_close(store);
}

static void slot_at_an_older_record_is_told(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");
    must_set(store, "key", "22");
    kvstore_stats stats = checked_stats(store);
    char expected[64];
    (void)snprintf(expected,
                   sizeof expected,
                   "%d %llu %llu key\n%d -1 0 \n",
                   KVSTORE_DAMAGE_INDEX,
                   (unsigned long long)stats.stale_bytes,
                   (unsigned long long)stats.live_bytes,
                   KVSTORE_DAMAGE_COUNTS);
    assert_verified(store, "");

    struct stored_slot slot = find_slot(dir, "key");
    slot.entry.pointer.offset = 0;
    slot.entry.pointer.length = stats.stale_bytes;
    store_slot(dir, &slot);

    assert_verified(store, expected);
    kvstore_close(store);
}

static void missing_slot_is_told(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "key", "1");

    struct stored_slot slot = find_slot(dir, "key");
    empty_slot(dir, &slot);

    struct seen seen = {.size = 0};
    assert_int_equal(kvstore_verify(store, see_damage, &seen), KVSTORE_CORRUPT);
    assert_int_equal(seen.text[0] - '0', KVSTORE_DAMAGE_INDEX);
    assert_non_null(strstr(seen.text, " key\n"));
    kvstore_close(store);
}

/* --- Repair --- */

/* A log with two stretches of damage, and what a repair is to make of it. */
struct damaged {
    struct log_text text;
    struct log_text rest;
    struct {
        size_t start;
        size_t end;
        char name[64];
    } cuts[2];
    char told[256]; /* By see_damage(). */
};

static void make_cut(struct damaged *damaged, int number, size_t start)
{
    damaged->cuts[number].start = start;
    damaged->cuts[number].end = damaged->text.size;
    (void)snprintf(damaged->cuts[number].name,
                   sizeof damaged->cuts[number].name,
                   "store.log.cut-%zu",
                   start);
    size_t size = strlen(damaged->told);
    (void)snprintf(damaged->told + size,
                   sizeof damaged->told - size,
                   "%d %zu %zu %s\n",
                   KVSTORE_DAMAGE_MOVED,
                   start,
                   damaged->text.size - start,
                   damaged->cuts[number].name);
}

static void make_damaged(struct damaged *damaged)
{
    struct log_text *text = &damaged->text;
    *damaged = (struct damaged){.text = LOG_TEXT_EMPTY, .rest = LOG_TEXT_EMPTY};
    log_text_set(text, "a", "1");
    log_text_set(text, "a", "2");
    log_text_add(text, " \n{ \"Set\":{\"key\":\"f\",\"value\":\"\\u0031\"}}\n");
    log_text_add_bytes(&damaged->rest, text->bytes, text->size);
    size_t first = log_text_damaged_set(text, "a", "3");
    assert_true(log_text_fill(text, '\0', 5000) > first);
    make_cut(damaged, 0, first);
    size_t middle = log_text_remove(text, "f");
    log_text_batch_set(text, "b", "1", 2);
    log_text_batch_set(text, "c", "1", 1);
    log_text_add_bytes(
        &damaged->rest, text->bytes + middle, text->size - middle);
    make_cut(damaged, 1, log_text_batch_set(text, "b", "never", 2));
    size_t last = log_text_set(text, "d", "1");
    log_text_add_bytes(&damaged->rest, text->bytes + last, text->size - last);
}

static void repair_moves_the_damage_and_keeps_the_rest(void **state)
{
    const struct store_dir *dir = *state;
    struct damaged damaged;
    make_damaged(&damaged);
    kvstore *store = open_text(dir, &damaged.text);
    kvstore *other = open_plain(dir);
    assert_int_equal(try_get(store, "a"), KVSTORE_CORRUPT);
    struct seen seen = {.size = 0};

    assert_int_equal(kvstore_repair(store, see_damage, &seen), KVSTORE_OK);

    assert_string_equal(seen.text, damaged.told);
    store_dir_assert_log(dir, &damaged.rest);
    for (int i = 0; i < 2; i++) {
        store_dir_assert_file(dir,
                              damaged.cuts[i].name,
                              damaged.text.bytes + damaged.cuts[i].start,
                              damaged.cuts[i].end - damaged.cuts[i].start);
    }
    assert_false(store_dir_has(dir, KV_LOG_COMPACT_NAME));
    for (int i = 0; i < 2; i++) {
        const kvstore *each = i == 0 ? store : other;
        assert_value(each, "a", "2");
        assert_absent(each, "f");
        assert_value(each, "b", "1");
        assert_value(each, "d", "1");
        assert_int_equal(checked_stats(each).damaged_records, 0);
        assert_verified(each, "");
    }
    kvstore_close(other);
    kvstore_close(store);
    log_text_release(&damaged.text);
    log_text_release(&damaged.rest);
}

static void repair_of_a_sound_log_does_nothing(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);
    struct seen seen = {.size = 0};

    assert_int_equal(kvstore_repair(store, see_damage, &seen), KVSTORE_OK);

    assert_int_equal(seen.count, 0);
    store_dir_assert_log(dir, &text);
    assert_int_equal(checked_stats(store).compactions, 0);
    kvstore_close(store);
    log_text_release(&text);
}

static void taken_names_are_not_overwritten(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);
    store_dir_write(dir, "store.log.cut-0", "mine", 4);

    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);

    store_dir_assert_file(dir, "store.log.cut-0", "mine", 4);
    assert_true(store_dir_has(dir, "store.log.cut-0-1"));
    kvstore_close(store);
    log_text_release(&text);
}

static void many_places_are_repaired(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct log_text rest = LOG_TEXT_EMPTY;
    for (int i = 0; i < 50; i++) {
        log_text_add(&text, "rot\n");
        log_text_set(&text, "a", "1");
        log_text_set(&rest, "a", "1");
    }
    kvstore *store = open_text(dir, &text);
    struct seen seen = {.size = 0};

    assert_int_equal(kvstore_repair(store, see_damage, &seen), KVSTORE_OK);

    assert_int_equal(seen.count, 50);
    store_dir_assert_log(dir, &rest);
    kvstore_close(store);
    log_text_release(&text);
    log_text_release(&rest);
}

static void log_of_nothing_but_damage_becomes_empty(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    kvstore *store = open_text(dir, &text);

    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);

    assert_absent(store, "a");
    assert_int_equal(store_dir_file_size(dir, KV_LOG_NAME), 0);
    must_set(store, "a", "2");
    assert_value(store, "a", "2");
    kvstore_close(store);
    log_text_release(&text);
}

static void newer_records_are_not_repaired(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_unknown(&text, "a");
    log_text_damaged_set(&text, "b", "1");
    kvstore *store = open_text(dir, &text);

    assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_UNSUPPORTED);

    store_dir_assert_log(dir, &text);
    assert_int_equal(checked_stats(store).unknown_records, 1);
    assert_listed(store, "", "a\nb\n");
    kvstore_close(store);
    log_text_release(&text);
}

static void null_arguments_are_refused(void **state)
{
    kvstore *store = open_plain(*state);
    assert_int_equal(kvstore_list(NULL, NULL, 0, see_key, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_list(store, NULL, 0, NULL, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_list(store, NULL, 1, see_key, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(kvstore_verify(NULL, NULL, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_repair(NULL, NULL, NULL), KVSTORE_INVALID);
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(keys_come_in_byte_order),
        STORE_TEST(prefix_may_stand_escaped_in_the_log),
        STORE_TEST(visit_may_end_the_list),
        STORE_TEST(corrupt_keys_are_listed),
        STORE_TEST(visit_may_call_the_store),
        STORE_TEST(list_and_verify_work_read_only),
        STORE_TEST(list_and_verify_hold_beside_a_writer),
        STORE_TEST(record_that_is_being_published_is_no_damage),
        STORE_TEST(each_damaged_place_is_told),
        STORE_TEST(rotten_lines_are_told_and_not_the_index),
        STORE_TEST(slot_at_an_older_record_is_told),
        STORE_TEST(missing_slot_is_told),
        STORE_TEST(repair_moves_the_damage_and_keeps_the_rest),
        STORE_TEST(repair_of_a_sound_log_does_nothing),
        STORE_TEST(taken_names_are_not_overwritten),
        STORE_TEST(many_places_are_repaired),
        STORE_TEST(log_of_nothing_but_damage_becomes_empty),
        STORE_TEST(newer_records_are_not_repaired),
        STORE_TEST(null_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
