/* SPDX-License-Identifier: MIT */

/* Do index/index.c and index/apply.c do what their headers promise? Here: what
 * is found and counted. */

#include "index/apply.h"
#include "index_pair.h"
#include "os/error.h"
#include "record/decode.h"

#include <errno.h>
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
    size_t damaged = log_text_damaged_set(&text, "a", "3");
    size_t alone = log_text_damaged_set(&text, "b", "1");
    log_text_set(&text, "c", "1");
    size_t older = log_text_damaged_set(&text, "d", "1");
    size_t newer = log_text_set(&text, "d", "2");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "a", record, damaged);
    assert_found(&pair, "b", NOWHERE, alone);
    assert_found(&pair, "d", newer, older);
    assert_int_equal(counts_of(&pair)->keys, 3);
    assert_int_equal(counts_of(&pair)->damaged_records, 4);
    assert_int_equal(pair.index.totals.damage_slots, 3);
    close_pair(&pair);
}

static void unknown_record_is_found_as_such(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_unknown(&text, "a");
    struct pair pair = make_pair(state, &text);
    struct kv_index_find find;

    assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                     KVSTORE_OK);

    assert_int_equal(find.damage_offset, at);
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

/* Two keys whose first 24 bytes are the same: the table that is linked here
 * hashes no more of them. */
#define ONE_KEY "a key of more than 24 bytes: one"
#define OTHER_KEY "a key of more than 24 bytes: other"

static void key_with_the_hash_of_another_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, ONE_KEY, "1");
    size_t at = log_text_set(&text, OTHER_KEY, "2");
    struct pair pair = make_pair(state, &text);
    struct kv_index_find find;

    assert_int_equal(
        kv_index_find(
            &pair.index, &pair.log, ONE_KEY, sizeof ONE_KEY - 1, &find),
        KVSTORE_OK);

    assert_false(find.is_found);
    assert_int_equal(find.doubt_offset, at);
    kv_index_find_release(&find);
    assert_found(&pair, OTHER_KEY, at, NOWHERE);
    assert_int_equal(pair.index.totals.slots_used, 1);
    close_pair(&pair);
}

/* As long as their slots differ in any bit of the hash. */
static void keys_that_begin_alike_are_kept_apart(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t one = log_text_set(&text, "a key of 24 bytes, no. 1", "1");
    log_text_set(&text, "a key of 24 bytes, no. 2", "1");
    size_t other = log_text_set(&text, "a key of 24 bytes, no. 2", "2");
    size_t damage = log_text_damaged_set(&text, "a key of 24 bytes, no. 1", "");
    struct pair pair = make_pair(state, &text);

    assert_found(&pair, "a key of 24 bytes, no. 1", one, damage);
    assert_found(&pair, "a key of 24 bytes, no. 2", other, NOWHERE);
    assert_int_equal(pair.index.totals.slots_used, 3);
    close_pair(&pair);
}

/* --- What a slot says of its line --- */

/* Stores another pointer in the only slot of an index. */
static void change_slot(struct pair *pair, struct kv_table_entry entry)
{
    struct kv_table *table = &pair->index.table;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        struct kv_table_hash hash = {.tag = slot.tag,
                                     .check = slot.pointer >> 54};
        if (slot.tag != 0) {
            table->words[i * 2 + 1] = kv_table_slot_of(hash, &entry).pointer;
        }
    }
}

/* True if the key "a" is found by such an entry; else it is in doubt. */
static bool is_found_by(struct pair *pair, struct kv_table_entry entry)
{
    struct kv_index_find find;
    change_slot(pair, entry);
    assert_int_equal(kv_index_find(&pair->index, &pair->log, "a", 1, &find),
                     KVSTORE_OK);
    bool is_found = find.is_found;
    if (is_found) {
        assert_int_equal(find.pointer.offset, entry.pointer.offset);
        assert_int_equal(find.doubt_offset, NOWHERE);
    } else {
        assert_int_equal(find.doubt_offset, entry.pointer.offset);
    }
    kv_index_find_release(&find);
    return is_found;
}

static void slot_with_another_length_is_in_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t at = log_text_set(&text, "a", "2");
    uint64_t length = text.size - at;
    struct pair pair = make_pair(state, &text);
    struct kv_table_entry entry = {.pointer = {.offset = at, .length = length},
                                   .kind = KV_TABLE_SET};

    assert_true(is_found_by(&pair, entry));
    for (entry.pointer.length = 0; entry.pointer.length < 200;
         entry.pointer.length++) {
        assert_int_equal(is_found_by(&pair, entry),
                         entry.pointer.length == length);
    }
    entry.pointer.length = KV_TABLE_LENGTH_LONG;
    assert_false(is_found_by(&pair, entry));
    close_pair(&pair);
}

static void slot_of_another_kind_is_in_doubt(void **state)
{
    static const enum kv_table_kind kinds[] = {
        KV_TABLE_SET, KV_TABLE_EXPIRING_SET, KV_TABLE_REMOVE};
    for (size_t i = 0; i < 9; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        enum kv_table_kind kind = kinds[i / 3];
        if (kind == KV_TABLE_REMOVE) {
            log_text_remove(&text, "a");
        } else if (kind == KV_TABLE_SET) {
            log_text_set(&text, "a", "1");
        } else {
            log_text_expiring_set(&text, "a", "1", INT64_C(4000000000000));
        }
        struct kv_table_entry entry = {.pointer = {.length = text.size},
                                       .kind = kinds[i % 3]};
        struct pair pair = make_pair(state, &text);

        assert_int_equal(is_found_by(&pair, entry), entry.kind == kind);
        close_pair(&pair);
    }
}

static void fill_line(struct log_text *text, const char *key, uint64_t length)
{
    size_t at = text->size;
    char *value = calloc(1, (size_t)length + 1);
    assert_non_null(value);
    log_text_set(text, key, "");
    size_t shortest = text->size - at;
    assert_true(length >= shortest);
    log_text_chop(text, shortest);
    memset(value, 'v', (size_t)length - shortest);
    log_text_set(text, key, value);
    assert_int_equal(text->size - at, length);
    free(value);
}

/* --- The short way --- */

/* The log in memory, as it is for programs that read much. */
static struct pair make_mapped(void **state, struct log_text *text)
{
    struct pair pair = make_pair(state, text);
    struct kv_index_find find;
    kv_log_map(&pair.log);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(kv_index_find(&pair.index, &pair.log, "b", 1, &find),
                         KVSTORE_OK);
        kv_index_find_release(&find);
    }
    return pair;
}

static enum kv_index_peek peek(const struct pair *pair, const char *key)
{
    struct kv_text value;
    enum kv_index_peek result =
        kv_index_peek(&pair->index, &pair->log, key, strlen(key), &value);
    assert_true(result != KV_INDEX_PEEK_VALUE ||
                kv_text_equals(&value, "value", 5));
    return result;
}

static enum kv_index_peek value_if_mapped(void)
{
    return sizeof(void *) >= 8 ? KV_INDEX_PEEK_VALUE : KV_INDEX_PEEK_UNSURE;
}

static void short_way_is_sure_of_plain_sets_alone(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "b", "1");
    log_text_set(&text, "a", "value");
    log_text_remove(&text, "removed");
    log_text_expiring_set(&text, "expires", "value", INT64_C(4000000000000));
    log_text_set(&text, "escaped", "\\u0076alue");
    log_text_add(&text, "{\"Set\":{\"val\":\"other\",\"key\":\"odd\"}}\n");
    fill_line(&text, "long", 4095);
    struct pair pair = make_mapped(state, &text);

    assert_int_equal(peek(&pair, "a"), value_if_mapped());
    assert_int_equal(peek(&pair, "absent"), KV_INDEX_PEEK_ABSENT);
    assert_int_equal(peek(&pair, "removed"), KV_INDEX_PEEK_UNSURE);
    assert_int_equal(peek(&pair, "expires"), KV_INDEX_PEEK_UNSURE);
    assert_int_equal(peek(&pair, "escaped"), KV_INDEX_PEEK_UNSURE);
    assert_int_equal(peek(&pair, "odd"), KV_INDEX_PEEK_UNSURE);
    assert_int_equal(peek(&pair, "long"), KV_INDEX_PEEK_UNSURE);
    atomic_store(&pair.index.table.header->has_damage, 1);
    assert_int_equal(peek(&pair, "a"), KV_INDEX_PEEK_UNSURE);
    assert_int_equal(peek(&pair, "absent"), KV_INDEX_PEEK_UNSURE);
    close_pair(&pair);
}

static void short_way_is_not_sure_of_a_slot_that_lies(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    size_t at = log_text_set(&text, "a", "value");
    uint64_t length = text.size - at;
    log_text_fill(&text, ' ', 99);
    log_text_add(&text, "\n");
    size_t size = text.size;
    struct pair pair = make_mapped(state, &text);
    for (uint64_t i = 0; i < 200 * size; i++) {
        struct kv_table_entry entry = {
            .pointer = {.offset = i / 200, .length = i % 200},
            .kind = KV_TABLE_SET};
        bool is_true =
            entry.pointer.offset == at && entry.pointer.length == length;
        change_slot(&pair, entry);
        assert_int_equal(peek(&pair, "a"),
                         is_true ? value_if_mapped() : KV_INDEX_PEEK_UNSURE);
    }
    close_pair(&pair);
}

/* Each bit of its line matters, and the newline before it; not the one after
 * it. */
static void short_way_is_not_sure_of_a_line_that_rotted(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    size_t at = log_text_set(&text, "b", "1");
    at += text.size - at;
    log_text_set(&text, "a", "value");
    size_t end = text.size - 1;
    char *bytes = calloc(1, text.size);
    assert_non_null(bytes);
    memcpy(bytes, text.bytes, text.size);
    struct pair pair = make_mapped(state, &text);
    for (size_t i = at - 1; i < end; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            char rotted = (char)(bytes[i] ^ (1 << bit));
            store_dir_overwrite(*state, KV_LOG_NAME, i, &rotted, 1);
            assert_int_equal(peek(&pair, "a"), KV_INDEX_PEEK_UNSURE);
        }
        store_dir_overwrite(*state, KV_LOG_NAME, i, &bytes[i], 1);
    }
    assert_int_equal(peek(&pair, "a"), value_if_mapped());
    free(bytes);
    close_pair(&pair);
}

/* --- Lengths --- */

/* Around the length that a slot has no room for. */
static void record_of_any_length_is_found_whole(void **state)
{
    static const uint64_t lengths[] = {
        100, 4093, 4094, 4095, 4096, 5000, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        struct kv_index_find find;
        size_t at = log_text_set(&text, "b", "1");
        at += text.size - at;
        fill_line(&text, "a", lengths[i]);
        log_text_set(&text, "c", "1");
        struct pair pair = make_pair(state, &text);

        assert_int_equal(kv_index_find(&pair.index, &pair.log, "a", 1, &find),
                         KVSTORE_OK);

        assert_true(find.is_found);
        assert_int_equal(find.pointer.offset, at);
        assert_int_equal(find.pointer.length, lengths[i]);
        kv_index_find_release(&find);
        close_pair(&pair);
    }
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

/* The slot does not tell how long these are: their lines do. */
static void long_records_are_counted_exactly(void **state)
{
    static const uint64_t lengths[] = {4094, 4095, 4096, 4097, 40000};
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        bool is_removed = i % 2 == 1;
        uint64_t length = lengths[i / 2];
        fill_line(&text, "a", length);
        fill_line(&text, "b", length + 1);
        fill_line(&text, "a", length + 2);
        size_t at = is_removed ? log_text_remove(&text, "a")
                               : log_text_set(&text, "a", "1");
        size_t newest = text.size - at;
        struct pair pair = make_pair(state, &text);

        const struct kv_table_counts *counts = counts_of(&pair);
        assert_false(pair.index.is_in_doubt);
        assert_int_equal(counts->keys, is_removed ? 1 : 2);
        assert_int_equal(counts->live_bytes,
                         length + 1 + (is_removed ? 0 : newest));
        assert_int_equal(counts->stale_bytes,
                         2 * length + 2 + (is_removed ? newest : 0));
        assert_int_equal(counts->tombstone_bytes, is_removed ? newest : 0);
        close_pair(&pair);
    }
}

/* Of a key of 5,000 bytes. */
static void long_removes_are_counted_exactly(void **state)
{
    char key[5001];
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_remove(&text, key);
    log_text_remove(&text, key);
    size_t other = log_text_remove(&text, "other");
    size_t at = log_text_set(&text, key, "1");
    size_t live = text.size - at;
    struct pair pair = make_pair(state, &text);

    assert_false(pair.index.is_in_doubt);
    assert_int_equal(counts_of(&pair)->keys, 1);
    assert_int_equal(counts_of(&pair)->live_bytes, live);
    assert_int_equal(counts_of(&pair)->stale_bytes, at);
    assert_int_equal(counts_of(&pair)->tombstone_bytes, at - other);
    close_pair(&pair);
}

/* --- Counts that cannot be relied on --- */

/* Applies a Set of "a" with a value, which is appended to the log. */
static void apply_set(void **state, struct pair *pair, const char *value)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct kv_record record;
    uint64_t at = pair->index.totals.applied;
    log_text_set(&text, "a", value);
    store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
    assert_int_equal(kv_record_decode(text.bytes, text.size - 1, &record),
                     KVSTORE_OK);
    struct kv_fold_item item = {.pointer = {.offset = at, .length = text.size},
                                .bytes = text.bytes,
                                .size = text.size - 1,
                                .type = record.type,
                                .record = &record};
    assert_int_equal(apply_line(pair, &item), KVSTORE_OK);
    kv_record_release(&record);
    log_text_release(&text);
}

static struct kv_io_table failing_table;
static int failing_fd;
static int failing_errno; /* 0: the file is empty. */

static ssize_t failing_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (fd == failing_fd) {
        errno = failing_errno;
        return failing_errno == 0 ? 0 : -1;
    }
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static void start_failing(const struct pair *pair, int number)
{
    failing_errno = number;
    failing_table = *kv_io_system_table();
    failing_table.pread = failing_pread;
    failing_fd = pair->log.file.fd;
    kv_io_swap_table(&failing_table);
}

static void record_that_cannot_be_measured_leaves_a_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    fill_line(&text, "a", 4095);
    struct pair pair = make_pair(state, &text);
    struct kv_index_target target = {.has_older = false};
    start_failing(&pair, EIO);

    kvstore_status status =
        kv_index_find_target(&pair.index, &pair.log, "a", 1, &target);
    assert_int_equal(status, KVSTORE_IO);
    (void)kv_fail(KVSTORE_BUSY, "an older error");
    apply_set(state, &pair, "1");
    kv_io_swap_table(kv_io_system_table());

    assert_true(pair.index.is_in_doubt);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_BUSY);
    assert_found(&pair, "a", 4095, NOWHERE);
    close_pair(&pair);
}

/* Nothing is read for a record whose slot tells how long it is. */
static void short_record_is_superseded_without_a_read(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    fill_line(&text, "a", 4094);
    struct pair pair = make_pair(state, &text);
    struct kv_index_target target = {.has_older = false};
    start_failing(&pair, EIO);

    kvstore_status status =
        kv_index_find_target(&pair.index, &pair.log, "a", 1, &target);
    apply_set(state, &pair, "1");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(target.older_length, 4094);
    assert_false(pair.index.is_in_doubt);
    assert_int_equal(counts_of(&pair)->stale_bytes, 4094);
    close_pair(&pair);
}

static void long_record_that_is_not_there_leaves_a_doubt(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    fill_line(&text, "a", 4095);
    struct pair pair = make_pair(state, &text);
    struct kv_index_target target = {.has_older = false};
    start_failing(&pair, 0);

    kvstore_status status =
        kv_index_find_target(&pair.index, &pair.log, "a", 1, &target);
    apply_set(state, &pair, "1");
    kv_io_swap_table(kv_io_system_table());

    assert_int_equal(status, KVSTORE_OK);
    assert_true(target.has_older);
    assert_int_equal(target.older_length, 0);
    assert_true(pair.index.is_in_doubt);
    close_pair(&pair);
}

static void counts_below_zero_leave_a_doubt(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        bool is_removed = i == 3;
        if (is_removed) {
            log_text_remove(&text, "a");
        } else {
            log_text_set(&text, "a", "1");
        }
        uint64_t length = text.size;
        struct pair pair = make_pair(state, &text);
        struct kv_table_counts *counts = &pair.index.totals.counts;
        counts->keys = i == 1 ? 0 : counts->keys;
        counts->live_bytes = i == 2 ? length - 1 : counts->live_bytes;
        counts->tombstone_bytes =
            is_removed ? length - 1 : counts->tombstone_bytes;

        apply_set(state, &pair, "2");

        assert_int_equal(pair.index.is_in_doubt, i > 0);
        assert_true(counts->keys <= 2 && counts->live_bytes <= 3 * length);
        close_pair(&pair);
    }
}

/* Only an index that lies leads there: at the record or past it. */
static void slot_that_leads_further_is_left_and_in_doubt(void **state)
{
    for (uint64_t more = 0; more < 3; more++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "a", "1");
        uint64_t size = text.size;
        struct pair pair = make_pair(state, &text);
        struct kv_table_hash hash = kv_table_hash(&pair.index.table, "a", 1);
        struct kv_table_place place;
        struct kv_table_entry entry = {
            .pointer = {.offset = size + more - 1, .length = size},
            .kind = KV_TABLE_SET};
        change_slot(&pair, entry);

        apply_set(state, &pair, "2");

        assert_int_equal(pair.index.is_in_doubt, more > 0);
        assert_true(
            kv_table_find(&pair.index.table, hash, false, &place, &entry));
        assert_int_equal(entry.pointer.offset,
                         more == 0 ? size : size + more - 1);
        assert_int_equal(pair.index.totals.slots_used, 1);
        close_pair(&pair);
    }
}

/* --- Keys out of reach --- */

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

/* --- Lines in another line's place --- */

/* A damaged line that was mended in place, under its index. */
static void damage_slot_of_a_sound_line_is_in_doubt(void **state)
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

    assert_true(find.doubts_damage);
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
        STORE_TEST(unknown_record_is_found_as_such),
        STORE_TEST(line_that_rotted_is_in_doubt),
        STORE_TEST(key_with_the_hash_of_another_is_in_doubt),
        STORE_TEST(keys_that_begin_alike_are_kept_apart),
        STORE_TEST(slot_with_another_length_is_in_doubt),
        STORE_TEST(slot_of_another_kind_is_in_doubt),
        STORE_TEST(short_way_is_sure_of_plain_sets_alone),
        STORE_TEST(short_way_is_not_sure_of_a_slot_that_lies),
        STORE_TEST(short_way_is_not_sure_of_a_line_that_rotted),
        STORE_TEST(record_of_any_length_is_found_whole),
        STORE_TEST(bytes_divide_into_four_kinds),
        STORE_TEST(superseded_tombstone_is_just_stale),
        STORE_TEST(long_records_are_counted_exactly),
        STORE_TEST(long_removes_are_counted_exactly),
        STORE_TEST(record_that_cannot_be_measured_leaves_a_doubt),
        STORE_TEST(short_record_is_superseded_without_a_read),
        STORE_TEST(long_record_that_is_not_there_leaves_a_doubt),
        STORE_TEST(counts_below_zero_leave_a_doubt),
        STORE_TEST(slot_that_leads_further_is_left_and_in_doubt),
        STORE_TEST(unreachable_keys_are_live_without_a_slot),
        STORE_TEST(longest_key_is_reachable),
        STORE_TEST(damage_slot_of_a_sound_line_is_in_doubt),
        STORE_TEST(line_of_another_key_is_in_doubt),
        STORE_TEST(middle_of_a_line_is_in_doubt),
        STORE_TEST(change_of_the_last_line_is_seen),
        STORE_TEST(missing_newline_of_the_last_line_matches),
        STORE_TEST(log_cut_before_the_last_line_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
