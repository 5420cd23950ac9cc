/* SPDX-License-Identifier: MIT */

/* Do index/index.c and index/apply.c do what their headers promise? Here: what
 * is found and counted. */

#include "index/apply.h"
#include "index/lead.h"
#include "index_pair.h"
#include "os/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct kv_table_counts *counts_of(const struct pair *pair)
{
    return &pair->index.totals.counts;
}

/* --- Finding --- */

static void empty_index_has_no_keys(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "a", NOWHERE, NOWHERE);

    assert_int_equal(counts_of(&pair)->keys, 0);
    close_pair(&pair);
}

static void newest_record_is_found(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t b = log_text_set(&text, "b", "1");
    size_t a = log_text_set(&text, "a", "2");
    log_text_set(&text, "c", "1");
    size_t c = log_text_remove(&text, "c");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "a", a, NOWHERE);
    assert_found(&pair, "b", b, NOWHERE);
    assert_found(&pair, "c", c, NOWHERE);
    assert_found(&pair, "d", NOWHERE, NOWHERE);
    assert_int_equal(counts_of(&pair)->keys, 2);
    close_pair(&pair);
}

static void found_line_is_decoded(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "value");
    size_t size = text.size;
    struct pair pair = make_pair(state, &text);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_int_equal(find.record.type, KV_RECORD_SET);
    assert_true(kv_text_equals(&find.record.value, "value", 5));
    assert_int_equal(find.pointer.length, size);
    kv_index_find_release(&find);
    close_pair(&pair);
}

static void key_is_its_bytes_however_written(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"user\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"\\u0075ser\",\"val\":\"2\"}}\n");
    log_text_add(&text, "{\"Set\":{\"val\":\"3\",\"key\":\"user\"}}\n");
    size_t last = log_text_add(
        &text, "{\"Set\":{\"key64\":\"dXNlcg==\",\"val\":\"4\"}}\n");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "user", last, NOWHERE);

    assert_int_equal(counts_of(&pair)->keys, 1);
    assert_int_equal(pair.index.totals.slots_used, 1);
    close_pair(&pair);
}

static void damage_is_found_beside_the_record(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t record = log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "a", "2");
    size_t flagged = log_text_damaged_set(&text, "a", "3");
    size_t alone = log_text_damaged_set(&text, "b", "1");
    log_text_set(&text, "c", "1");
    size_t older = log_text_damaged_set(&text, "d", "1");
    size_t newer = log_text_set(&text, "d", "2");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "a", record, flagged);
    assert_found(&pair, "b", NOWHERE, alone);
    assert_found(&pair, "d", newer, older);
    assert_int_equal(counts_of(&pair)->keys, 3);
    assert_int_equal(counts_of(&pair)->damaged_records, 4);
    assert_int_equal(pair.index.totals.slots_flagged, 3);
    close_pair(&pair);
}

static void unknown_record_is_flagged_as_such(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_unknown(&text, "a");
    struct pair pair = make_pair(state, &text);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_int_equal(find.flagged_offset, at);
    assert_true(find.is_unknown);
    assert_int_equal(counts_of(&pair)->unknown_records, 1);
    kv_index_find_release(&find);
    close_pair(&pair);
}

static void line_that_rotted_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    store_dir_overwrite(*state, KV_LOG_NAME, at + 2, "x", 1);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    close_pair(&pair);
}

/* Finds two keys with one home whose slots hold the same bits of the hash. */
static void find_collision(const struct kv_table *table,
                           char *one,
                           char *other,
                           size_t size)
{
    enum { hash_bits = KV_TABLE_LEVEL_MIN + 9 };
    unsigned *first = calloc((size_t)1 << hash_bits, sizeof *first);
    assert_non_null(first);
    for (unsigned i = 1;; i++) {
        (void)snprintf(one, size, "key%u", i);
        uint64_t hash = kv_table_hash(table, one, strlen(one)) &
                        (((uint64_t)1 << hash_bits) - 1);
        if (first[hash] != 0) {
            (void)snprintf(other, size, "key%u", first[hash]);
            break;
        }
        first[hash] = i;
    }
    free(first);
}

static kvstore_status apply(void *context, const struct kv_fold_item *item)
{
    struct pair *pair = context;
    bool lacks_room = true;
    kvstore_status status =
        kv_index_apply(&pair->index, &pair->log, item, &lacks_room);
    assert_false(lacks_room);
    return status;
}

static void colliding_keys_are_kept_apart(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair;
    char one[32];
    char other[32];
    assert_int_equal(kv_index_create(0, NULL, NULL, &pair.index), KVSTORE_OK);
    find_collision(&pair.index.table, one, other, sizeof one);
    log_text_set(&text, one, "1");
    size_t at_other = log_text_set(&text, other, "2");
    size_t at_one = log_text_set(&text, one, "3");
    size_t damaged = log_text_damaged_set(&text, other, "4");
    store_dir_write_log(dir, &text);
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    struct kv_fold_range range = {.end = text.size};
    struct kv_fold_result result;

    assert_int_equal(kv_fold(&pair.log, range, apply, &pair, &result),
                     KVSTORE_OK);

    assert_found(&pair, one, at_one, NOWHERE);
    assert_found(&pair, other, at_other, damaged);
    assert_int_equal(pair.index.totals.slots_used, 3);
    log_text_release(&text);
    close_pair(&pair);
}

/* --- Counting --- */

static void bytes_divide_into_four_kinds(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t live_start = log_text_set(&text, "a", "2");
    size_t tombstone_start = log_text_remove(&text, "b");
    size_t blank_start = log_text_add(&text, "\n  \n");
    size_t damage = log_text_add(&text, "garbage\n");
    log_text_damaged_set(&text, "d", "1");
    size_t live = tombstone_start - live_start;
    size_t tombstone = blank_start - tombstone_start;
    size_t stale = live_start;
    size_t damaged = text.size - damage;
    struct pair pair = make_pair(state, &text);

    const struct kv_table_counts *counts = counts_of(&pair);
    assert_int_equal(counts->keys, 1);
    assert_int_equal(counts->live_bytes, live);
    assert_int_equal(counts->stale_bytes, stale + tombstone);
    assert_int_equal(counts->tombstone_bytes, tombstone);
    assert_int_equal(counts->blank_bytes, 4);
    assert_int_equal(counts->damaged_bytes, damaged);
    assert_int_equal(counts->damaged_records, 2);
    assert_int_equal(counts->damaged_offset, damage);
    close_pair(&pair);
}

static void superseded_tombstone_is_just_stale(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_remove(&text, "a");
    log_text_remove(&text, "a");
    size_t stale = log_text_set(&text, "a", "2");
    size_t live = text.size - stale;
    struct pair pair = make_pair(state, &text);

    assert_int_equal(counts_of(&pair)->keys, 1);
    assert_int_equal(counts_of(&pair)->tombstone_bytes, 0);
    assert_int_equal(counts_of(&pair)->stale_bytes, stale);
    assert_int_equal(counts_of(&pair)->live_bytes, live);
    close_pair(&pair);
}

static void unreachable_keys_are_live_without_a_slot(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"");
    log_text_fill(&text, 'k', 70000);
    log_text_add(&text, "\",\"val\":\"2\"}}\n");
    log_text_add(&text, "{\"Remove\":{\"key\":\"\"}}\n");
    size_t size = text.size;
    struct pair pair = make_pair(state, &text);

    assert_int_equal(counts_of(&pair)->keys, 0);
    assert_int_equal(counts_of(&pair)->live_bytes, size);
    assert_int_equal(pair.index.totals.slots_used, 0);
    close_pair(&pair);
}

static void longest_key_is_reachable(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char *key = calloc(1, KVSTORE_KEY_SIZE_MAX + 1);
    assert_non_null(key);
    memset(key, 'k', KVSTORE_KEY_SIZE_MAX);
    size_t at = log_text_set(&text, key, "1");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, key, at, NOWHERE);

    free(key);
    close_pair(&pair);
}

/* --- Checking --- */

struct lead_check {
    struct pair *pair;
    const struct kv_log *log;
    enum kv_index_lead leads[16];
    size_t count;
    uint64_t known_end;
};

static kvstore_status check_lead(void *context, const struct kv_fold_item *item)
{
    struct lead_check *check = context;
    struct kv_index_key key;
    assert_int_equal(
        kv_index_get_key(&check->pair->index.table, item->record, &key),
        KVSTORE_OK);
    struct kv_index_leads leads = {.known_end = check->known_end};
    kvstore_status status = kv_index_lead(
        &check->pair->index, check->log, &key, item->pointer.offset, &leads);
    check->leads[check->count++] = leads.lead;
    kv_io_free(key.allocated);
    return status;
}

static struct lead_check check_log(struct pair *pair)
{
    struct kv_io_stat stat;
    struct lead_check check = {.pair = pair, .log = &pair->log};
    assert_int_equal(kv_io_stat(&pair->log.file, &stat), KVSTORE_OK);
    struct kv_fold_range range = {.end = stat.size};
    struct kv_fold_result result;
    assert_int_equal(kv_fold(&pair->log, range, check_lead, &check, &result),
                     KVSTORE_OK);
    return check;
}

static void lead_of_each_record_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "1");
    log_text_remove(&text, "a");
    struct pair pair = make_pair(state, &text);

    struct lead_check check = check_log(&pair);

    assert_int_equal(check.count, 3);
    assert_int_equal(check.leads[0], KV_INDEX_LEADS_ON);
    assert_int_equal(check.leads[1], KV_INDEX_LEADS_HERE);
    assert_int_equal(check.leads[2], KV_INDEX_LEADS_HERE);
    close_pair(&pair);
}

static void key_without_a_slot_leads_astray(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    log_text_set(&text, "a", "1");
    size_t at = log_text_set(&text, "b", "1");
    store_dir_append(*state, KV_LOG_NAME, text.bytes + at, text.size - at);

    struct lead_check check = check_log(&pair);

    assert_int_equal(check.leads[1], KV_INDEX_LEADS_ASTRAY);
    log_text_release(&text);
    close_pair(&pair);
}

static void slot_of_an_older_record_leads_astray(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    struct pair pair = make_pair(state, &text);
    log_text_set(&text, "a", "1");
    size_t at = log_text_set(&text, "a", "2");
    store_dir_append(*state, KV_LOG_NAME, text.bytes + at, text.size - at);

    struct lead_check check = check_log(&pair);

    assert_int_equal(check.leads[0], KV_INDEX_LEADS_HERE);
    assert_int_equal(check.leads[1], KV_INDEX_LEADS_ASTRAY);
    log_text_release(&text);
    close_pair(&pair);
}

static struct kv_io_table counting_table;
static uint64_t bytes_read;

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t part = kv_io_system_table()->pread(fd, buffer, size, offset);
    bytes_read += part > 0 ? (uint64_t)part : 0;
    return part;
}

/* Bytes read by a pass over a log with many small records of a key, followed by a
 * large one. is_known: the pass checks that one itself. */
static uint64_t bytes_of_a_pass(struct pair *pair, bool is_known)
{
    struct kv_io_stat stat;
    struct kv_index_key key = kv_index_plain_key(&pair->index.table, "a", 1);
    assert_int_equal(kv_io_stat(&pair->log.file, &stat), KVSTORE_OK);
    struct kv_index_leads leads = {.known_end = is_known ? stat.size : 0};
    counting_table = *kv_io_system_table();
    counting_table.pread = counting_pread;
    kv_io_swap_table(&counting_table);
    bytes_read = 0;
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(
            kv_index_lead(&pair->index, &pair->log, &key, i, &leads),
            KVSTORE_OK);
        assert_int_equal(leads.lead, KV_INDEX_LEADS_ON);
    }
    kv_io_swap_table(kv_io_system_table());
    return bytes_read;
}

static void large_later_line_is_not_read_for_each_record(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char *value = calloc(1, 1000001);
    assert_non_null(value);
    memset(value, 'v', 1000000);
    for (int i = 0; i < 100; i++) {
        log_text_set(&text, "a", "1");
    }
    log_text_set(&text, "a", value);
    struct pair pair = make_pair(state, &text);

    assert_true(bytes_of_a_pass(&pair, true) < 300000);
    assert_true(bytes_of_a_pass(&pair, false) < 3000000);

    free(value);
    close_pair(&pair);
}

/* --- Lines in another line's place --- */

/* A damaged line that was mended in place, under its index. */
static void flag_on_a_sound_line_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct log_text sound = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    size_t at = log_text_damaged_set(&text, "a", "new");
    log_text_set(&text, "b", "1");
    log_text_set(&sound, "a", "new");
    struct pair pair = make_pair(state, &text);
    struct kv_index_find find;
    store_dir_overwrite(*state, KV_LOG_NAME, at, sound.bytes, sound.size);

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_true(find.doubts_flag);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    log_text_release(&sound);
    close_pair(&pair);
}

/* Two lines of the same length change places under the index. */
static void line_of_another_key_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n");
    size_t at =
        log_text_add(&text, "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    struct pair pair = make_pair(state, &text);
    store_dir_overwrite(
        *state, KV_LOG_NAME, 0, "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}", 29);
    store_dir_overwrite(
        *state, KV_LOG_NAME, at, "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}", 29);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, 0);
    kv_index_find_release(&find);
    struct lead_check check = check_log(&pair);
    assert_int_equal(check.leads[0], KV_INDEX_LEADS_ASTRAY);
    assert_int_equal(check.leads[1], KV_INDEX_LEADS_ASTRAY);
    close_pair(&pair);
}

/* A record that is part of another line's value. */
static void middle_of_a_line_is_in_doubt(void **state)
{
    static const char line[] = "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n";
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    size_t at = log_text_add(&text, line);
    struct pair pair = make_pair(state, &text);
    store_dir_overwrite(*state, KV_LOG_NAME, at - 1, "x", 1);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    close_pair(&pair);
}

static void change_of_the_last_line_is_seen(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t last = log_text_set(&text, "b", "1");
    struct pair pair = make_pair(state, &text);
    assert_true(matches(&pair));

    store_dir_overwrite(*state, KV_LOG_NAME, last + 20, "x", 1);

    assert_false(matches(&pair));
    close_pair(&pair);
}

static void missing_newline_of_the_last_line_matches(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_chop(&text, 1);
    struct pair pair = make_pair(state, &text);

    assert_true(matches(&pair));
    store_dir_append(*state, KV_LOG_NAME, "\n", 1);
    assert_true(matches(&pair));

    close_pair(&pair);
}

static void log_cut_before_the_last_line_is_seen(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t last = log_text_set(&text, "b", "1");
    struct pair pair = make_pair(state, &text);

    store_dir_truncate(*state, KV_LOG_NAME, last);

    assert_false(matches(&pair));
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(empty_index_has_no_keys),
        STORE_TEST(newest_record_is_found),
        STORE_TEST(found_line_is_decoded),
        STORE_TEST(key_is_its_bytes_however_written),
        STORE_TEST(damage_is_found_beside_the_record),
        STORE_TEST(unknown_record_is_flagged_as_such),
        STORE_TEST(line_that_rotted_is_in_doubt),
        STORE_TEST(colliding_keys_are_kept_apart),
        STORE_TEST(bytes_divide_into_four_kinds),
        STORE_TEST(superseded_tombstone_is_just_stale),
        STORE_TEST(unreachable_keys_are_live_without_a_slot),
        STORE_TEST(longest_key_is_reachable),
        STORE_TEST(lead_of_each_record_is_told),
        STORE_TEST(key_without_a_slot_leads_astray),
        STORE_TEST(slot_of_an_older_record_leads_astray),
        STORE_TEST(large_later_line_is_not_read_for_each_record),
        STORE_TEST(flag_on_a_sound_line_is_in_doubt),
        STORE_TEST(line_of_another_key_is_in_doubt),
        STORE_TEST(middle_of_a_line_is_in_doubt),
        STORE_TEST(change_of_the_last_line_is_seen),
        STORE_TEST(missing_newline_of_the_last_line_matches),
        STORE_TEST(log_cut_before_the_last_line_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
