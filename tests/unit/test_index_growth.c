/* SPDX-License-Identifier: MIT */

/* Do index/index.c and index/apply.c do what their headers promise? Here:
 * growing, and what readers see of an index in use. */

#include "index/apply.h"
#include "index/build.h"
#include "index/grow.h"
#include "index_pair.h"
#include "os/error.h"
#include "record/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY_KEYS 200000u

static enum kv_catch_up try_to_catch_up(struct pair *pair, uint64_t size)
{
    enum kv_catch_up outcome = KV_CATCH_UP_WHOLE;
    assert_int_equal(kv_build_catch_up(
                         &pair->log, size, NULL, false, &pair->index, &outcome),
                     KVSTORE_OK);
    return outcome;
}

static void catch_up(struct pair *pair, uint64_t size)
{
    assert_int_equal(try_to_catch_up(pair, size), KV_CATCH_UP_WHOLE);
}

/* --- Growing --- */

static void numbered_key(char *key, size_t size, unsigned number)
{
    (void)snprintf(key, size, "k%u", number);
}

/* From the smallest index on, through all kinds of growing. */
static void many_keys_are_all_found(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    uint64_t *offsets = calloc(MANY_KEYS, sizeof *offsets);
    assert_non_null(offsets);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        numbered_key(key, sizeof key, i);
        offsets[i] = log_text_set(&text, key, "");
    }
    offsets[7] = log_text_damaged_set(&text, "k7", "x");
    store_dir_write_log(dir, &text);
    log_text_release(&text);
    struct pair pair;
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    assert_int_equal(kv_index_create(0, NULL, NULL, &pair.index), KVSTORE_OK);

    catch_up(&pair, store_dir_file_size(dir, KV_LOG_NAME));

    const struct kv_table_totals *totals = &pair.index.totals;
    assert_int_equal(totals->counts.keys, MANY_KEYS);
    assert_int_equal(totals->slots_used, MANY_KEYS + 1);
    assert_int_equal(totals->slots_flagged, 1);
    for (unsigned i = 0; i < MANY_KEYS; i++) {
        if (i != 7) {
            numbered_key(key, sizeof key, i);
            assert_found(&pair, key, offsets[i], NOWHERE);
        }
    }
    struct kv_index_find find;
    assert_int_equal(kv_index_find(&pair.index, &pair.log, "k7", 2, &find),
                     KVSTORE_OK);
    assert_int_equal(find.flagged_offset, offsets[7]);
    kv_index_find_release(&find);
    assert_found(&pair, "k200000", NOWHERE, NOWHERE);
    free(offsets);
    close_pair(&pair);
}

/* Makes an index of as many keys as the smallest takes, with a seed that allows
 * it. */
static struct pair make_full_pair(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair;
    char key[16];
    for (unsigned i = 0; kv_table_level_for(i) == KV_TABLE_LEVEL_MIN; i++) {
        numbered_key(key, sizeof key, i);
        log_text_set(&text, key, "1");
    }
    store_dir_write_log(dir, &text);
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    assert_int_equal(
        kv_index_create_at(KV_TABLE_LEVEL_MIN, 1, NULL, NULL, &pair.index),
        KVSTORE_OK);
    catch_up(&pair, text.size);
    log_text_release(&text);
    assert_int_equal(pair.index.table.header->level, KV_TABLE_LEVEL_MIN);
    assert_false(
        kv_table_has_room(&pair.index.table, pair.index.totals.slots_used));
    return pair;
}

static kvstore_status try_to_prepare(struct pair *pair,
                                     const char *key,
                                     bool *has_room_out)
{
    struct kv_index_find older;
    struct kv_index_reserve reserve = {.count = 0};
    kvstore_status status = kv_index_prepare(
        &pair->index, &pair->log, key, strlen(key), &reserve, &older);
    *has_room_out = status == KVSTORE_OK && !reserve.lacks_room;
    if (*has_room_out) {
        kv_index_find_release(&older);
    }
    return status;
}

static kvstore_status prepare(struct pair *pair, const char *key)
{
    bool has_room = false;
    kvstore_status status = try_to_prepare(pair, key, &has_room);
    assert_int_equal(has_room, status == KVSTORE_OK);
    return status;
}

static void room_is_made_for_a_new_key_alone(void **state)
{
    struct pair pair = make_full_pair(*state);
    unsigned level = pair.index.table.header->level;

    assert_int_equal(prepare(&pair, "k5"), KVSTORE_OK);
    assert_int_equal(pair.index.table.header->level, level);
    assert_int_equal(prepare(&pair, "new"), KVSTORE_OK);
    assert_int_equal(pair.index.table.header->level, level + 1);

    assert_found(&pair, "new", NOWHERE, NOWHERE);
    close_pair(&pair);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void room_that_cannot_be_had_changes_nothing(void **state)
{
    struct pair pair = make_full_pair(*state);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = no_malloc;
    unsigned level = pair.index.table.header->level;

    kv_io_swap_table(&table);
    kvstore_status status = prepare(&pair, "new");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_NO_MEMORY);
    assert_int_equal(pair.index.table.header->level, level);
    close_pair(&pair);
}

/* Readers may be at it: it cannot just be exchanged. */
static void full_index_in_use_takes_no_new_key(void **state)
{
    struct pair pair = make_full_pair(*state);
    struct log_text text = LOG_TEXT_EMPTY;
    kv_index_begin_use(&pair.index);
    uint64_t size = pair.index.totals.applied;
    log_text_set(&text, "new", "1");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    bool has_room = true;

    assert_int_equal(try_to_prepare(&pair, "new", &has_room), KVSTORE_OK);
    assert_false(has_room);
    assert_int_equal(try_to_catch_up(&pair, size + text.size),
                     KV_CATCH_UP_LACKS_ROOM);
    assert_int_equal(prepare(&pair, "k5"), KVSTORE_OK);

    assert_int_equal(pair.index.totals.applied, size);
    assert_found(&pair, "new", NOWHERE, NOWHERE);
    log_text_release(&text);
    close_pair(&pair);
}

static void larger_index_has_the_same_in_it(void **state)
{
    struct pair pair = make_full_pair(*state);
    struct pair larger = {.log = pair.log};

    assert_int_equal(
        kv_index_create_larger(&pair.index, &pair.log, &larger.index),
        KVSTORE_OK);

    assert_int_equal(larger.index.table.level, pair.index.table.level + 1);
    assert_int_equal(larger.index.table.seed, pair.index.table.seed);
    assert_memory_equal(
        &larger.index.totals, &pair.index.totals, sizeof larger.index.totals);
    assert_found(&larger, "k0", 0, NOWHERE);
    assert_true(matches(&larger));
    kv_index_release(&larger.index);
    close_pair(&pair);
}

/* What was read before the damage is applied, though it waits for memory. */
static void catching_up_stops_before_damage(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    enum kv_catch_up outcome = KV_CATCH_UP_WHOLE;
    size_t first = log_text_set(&text, "a", "1");
    size_t damage = log_text_damaged_set(&text, "b", "1");
    log_text_set(&text, "c", "1");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);

    assert_int_equal(
        kv_build_catch_up(
            &pair.log, text.size, NULL, true, &pair.index, &outcome),
        KVSTORE_OK);

    assert_int_equal(outcome, KV_CATCH_UP_MEETS_DAMAGE);
    assert_int_equal(pair.index.totals.applied, damage);
    assert_int_equal(pair.index.totals.counts.damaged_records, 0);
    assert_found(&pair, "a", first, NOWHERE);
    assert_found(&pair, "b", NOWHERE, NOWHERE);
    catch_up(&pair, text.size);
    assert_int_equal(pair.index.totals.counts.damaged_records, 1);
    log_text_release(&text);
    close_pair(&pair);
}

/* --- Sharing --- */

static void index_in_use_publishes_what_it_applies(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);
    struct kv_index other = pair.index;
    log_text_set(&text, "b", "1");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    catch_up(&pair, store_dir_file_size(*state, KV_LOG_NAME));

    assert_true(kv_index_refresh(&other));

    assert_memory_equal(&other.totals, &pair.index.totals, sizeof other.totals);
    assert_int_equal(other.totals.counts.keys, 2);
    log_text_release(&text);
    close_pair(&pair);
}

static void damaged_totals_are_refused(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    struct kv_table_header *header = pair.index.table.header;
    kv_index_begin_use(&pair.index);
    header->totals[header->chooser][0] ^= 1;

    assert_false(kv_index_refresh(&pair.index));

    close_pair(&pair);
}

/* A writer that died had stored the slot, but not the totals yet. */
static void line_applied_twice_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    struct kv_table_totals before = pair.index.totals;
    log_text_set(&text, "a", "2");
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    uint64_t size = store_dir_file_size(*state, KV_LOG_NAME);
    catch_up(&pair, size);
    assert_int_equal(pair.index.totals.is_in_doubt, 0);
    pair.index.totals = before;

    catch_up(&pair, size);

    assert_int_equal(pair.index.totals.is_in_doubt, 1);
    assert_found(&pair, "a", text.size, NOWHERE);
    log_text_release(&text);
    close_pair(&pair);
}

static void slot_beyond_the_end_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    atomic_store(&pair.index.table.header->end, at);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    close_pair(&pair);
}

/* Prepares for the last line of a text, appends it, and commits it. */
static void write_line(const struct store_dir *dir,
                       struct pair *pair,
                       const struct log_text *text,
                       size_t at,
                       const char *key)
{
    struct kv_index_find older;
    struct kv_record record;
    assert_int_equal(kv_index_prepare(&pair->index,
                                      &pair->log,
                                      key,
                                      strlen(key),
                                      &(struct kv_index_reserve){.count = 0},
                                      &older),
                     KVSTORE_OK);
    store_dir_append(dir, KV_LOG_NAME, text->bytes + at, text->size - at);
    size_t size = text->size - at - 1;
    assert_int_equal(kv_record_decode(text->bytes + at, size, &record),
                     KVSTORE_OK);
    struct kv_fold_item item = {.pointer = {.offset = at, .length = size + 1},
                                .bytes = text->bytes + at,
                                .size = size,
                                .type = record.type,
                                .record = &record};

    kv_index_commit(&pair->index, &older, &item);

    kv_record_release(&record);
    kv_index_find_release(&older);
}

static void committing_equals_folding(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    size_t a = log_text_set(&text, "a", "1");
    write_line(dir, &pair, &text, a, "a");
    a = log_text_set(&text, "a", "2");
    write_line(dir, &pair, &text, a, "a");
    size_t b = log_text_set(&text, "b", "1");
    write_line(dir, &pair, &text, b, "b");
    b = log_text_remove(&text, "b");
    write_line(dir, &pair, &text, b, "b");

    struct pair folded = open_pair(dir);

    assert_memory_equal(
        &pair.index.totals, &folded.index.totals, sizeof pair.index.totals);
    assert_found(&pair, "a", a, NOWHERE);
    assert_found(&pair, "b", b, NOWHERE);
    log_text_release(&text);
    close_pair(&folded);
    close_pair(&pair);
}

static void slot_offsets_only_grow(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    uint64_t newest = 0;
    for (unsigned i = 0; i < 50; i++) {
        size_t start = text.size;
        size_t at = log_text_set(&text, "a", i % 2 == 0 ? "1" : "23456");
        log_text_set(&text, "b", "1");
        store_dir_append(
            dir, KV_LOG_NAME, text.bytes + start, text.size - start);

        catch_up(&pair, text.size);

        assert_found(&pair, "a", at, NOWHERE);
        assert_true(i == 0 || at > newest);
        newest = at;
    }
    assert_int_equal(pair.index.totals.slots_used, 2);
    log_text_release(&text);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(many_keys_are_all_found),
        STORE_TEST(room_is_made_for_a_new_key_alone),
        STORE_TEST(room_that_cannot_be_had_changes_nothing),
        STORE_TEST(full_index_in_use_takes_no_new_key),
        STORE_TEST(larger_index_has_the_same_in_it),
        STORE_TEST(index_in_use_publishes_what_it_applies),
        STORE_TEST(damaged_totals_are_refused),
        STORE_TEST(line_applied_twice_is_in_doubt),
        STORE_TEST(catching_up_stops_before_damage),
        STORE_TEST(slot_beyond_the_end_is_in_doubt),
        STORE_TEST(committing_equals_folding),
        STORE_TEST(slot_offsets_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
