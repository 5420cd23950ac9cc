/* SPDX-License-Identifier: MIT */

/* Does index/check.c believe each true index, and none that lies, whatever it
 * holds and however large the log is? */

#include "index/apply.h"
#include "index/build.h"
#include "index/check.h"
#include "index_pair.h"
#include "os/bounds.h"
#include "os/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

/* --- Without a log --- */

/* An index whose slots lead to these places, of a log that is not looked at. */
static struct kv_index index_of(const uint64_t *offsets,
                                size_t count,
                                enum kv_table_kind kind)
{
    struct kv_table_secret secret = {{42}};
    uint64_t bucket_count = kv_table_buckets_for(count);
    void *region = calloc(1, kv_table_region_size(bucket_count));
    assert_non_null(region);
    struct kv_index index = KV_INDEX_NONE;
    index.table = kv_table_format(region, bucket_count, &secret);
    for (size_t i = 0; i < count; i++) {
        struct kv_table_entry entry = {
            .pointer = {.offset = offsets[i], .length = 16}, .kind = kind};
        assert_true(kv_table_insert(
            &index.table,
            kv_table_slot_of(
                kv_table_hash(&index.table, &offsets[i], sizeof offsets[i]),
                &entry)));
    }
    return index;
}

static struct kv_index_check *create_check(const struct kv_index *index,
                                           const struct kv_log *log,
                                           uint64_t end)
{
    struct kv_index_check *check = NULL;
    (void)kv_index_check_create(index, log, end, &check);
    assert_non_null(check);
    return check;
}

/* Meets the record at an offset, whose key is that. */
static void meet(struct kv_index_check *check,
                 const struct kv_index *index,
                 uint64_t offset)
{
    struct kv_table_entry entry = {.pointer = {.offset = offset, .length = 16},
                                   .kind = KV_TABLE_SET};
    struct kv_table_hash hash =
        kv_table_hash(&index->table, &offset, sizeof offset);
    kv_index_check_meet(check, kv_table_slot_of(hash, &entry));
}

/* Checks each offset of the list, and those next to it. All but one, by its
 * number, are met. */
static bool is_true_without(const uint64_t *offsets, size_t count, size_t left)
{
    struct kv_index index = index_of(offsets, count, KV_TABLE_SET);
    struct kv_index_check *check =
        create_check(&index, NULL, offsets[count - 1] + 16);
    for (size_t i = 0; i < count; i++) {
        const uint64_t span = KV_INDEX_MARK_SPAN;
        uint64_t before = i == 0 ? 0 : offsets[i - 1] + span;
        if (offsets[i] >= before + span) {
            assert_false(kv_index_check_is_marked(check, offsets[i] - span));
        }
        assert_true(kv_index_check_is_marked(check, offsets[i]));
        if (i != left) {
            meet(check, &index, offsets[i]);
        }
        if (i + 1 < count && offsets[i] + 2 * span <= offsets[i + 1]) {
            assert_false(kv_index_check_is_marked(check, offsets[i] + span));
        }
    }
    bool is_true = kv_index_check_is_true(check);
    kv_io_free(check);
    free(index.table.header);
    return is_true;
}

static void assert_marks(const uint64_t *offsets, size_t count)
{
    assert_true(is_true_without(offsets, count, count));
    for (size_t i = 0; i < count; i += 1 + count / 20) {
        assert_false(is_true_without(offsets, count, i));
    }
}

static void neighbours_are_told_apart(void **state)
{
    (void)state;
    const uint64_t offsets[] = {0, 16, 33, 81, 1007, 1024, 1041};
    assert_marks(offsets, sizeof offsets / sizeof offsets[0]);
}

static const uint64_t far_offsets[] = {5,
                                       127 * MIB,
                                       128 * MIB - 16,
                                       128 * MIB,
                                       129 * MIB + 7,
                                       300 * MIB,
                                       5000 * MIB + 1,
                                       5000 * MIB + 18,
                                       KV_OFFSET_MAX - 32};
#define FAR_OFFSETS (sizeof far_offsets / sizeof far_offsets[0])

static void large_log_has_several_windows(void **state)
{
    (void)state;
    assert_marks(far_offsets, FAR_OFFSETS);
}

static void many_are_all_marked(void **state)
{
    (void)state;
    uint64_t offsets[700];
    for (uint64_t i = 0; i < 700; i++) {
        offsets[i] = i * MIB + i * i % 977;
    }
    assert_marks(offsets, 700);
}

/* Where no record is: in each window, between two, and after the last. */
static void slot_that_leads_to_no_record_is_seen(void **state)
{
    (void)state;
    static const uint64_t places[] = {0,
                                      60 * MIB,
                                      128 * MIB + 16,
                                      290 * MIB,
                                      4000 * MIB,
                                      5000 * MIB + 40,
                                      90000 * MIB,
                                      KV_OFFSET_MAX - 17};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint64_t offsets[FAR_OFFSETS + 1];
        memcpy(offsets, far_offsets, sizeof far_offsets);
        offsets[FAR_OFFSETS] = places[i];
        struct kv_index index =
            index_of(offsets, FAR_OFFSETS + 1, KV_TABLE_SET);
        struct kv_index_check *check =
            create_check(&index, NULL, KV_OFFSET_MAX - 16);
        for (size_t j = 0; j < FAR_OFFSETS; j++) {
            assert_true(kv_index_check_is_marked(check, offsets[j]));
            meet(check, &index, offsets[j]);
        }
        assert_false(kv_index_check_is_true(check));
        kv_io_free(check);
        free(index.table.header);
    }
}

/* Windows that no record is in. */
static void slot_after_the_last_record_is_seen(void **state)
{
    (void)state;
    const uint64_t offsets[] = {100, 300 * MIB};
    for (size_t count = 1; count <= 2; count++) {
        struct kv_index index = index_of(offsets, count, KV_TABLE_SET);
        struct kv_index_check *check = create_check(&index, NULL, 400 * MIB);
        assert_true(kv_index_check_is_marked(check, offsets[0]));
        meet(check, &index, offsets[0]);
        assert_int_equal(kv_index_check_is_true(check), count == 1);
        kv_io_free(check);
        free(index.table.header);
    }
}

/* What leads past the end is not of this check. */
static void slots_past_the_end_do_not_count(void **state)
{
    (void)state;
    const uint64_t offsets[] = {100, 199, 200, 201, 300 * MIB};
    struct kv_index index = index_of(offsets, 5, KV_TABLE_SET);
    struct kv_index_check *check = create_check(&index, NULL, 200);
    for (size_t i = 0; i < 2; i++) {
        assert_true(kv_index_check_is_marked(check, offsets[i]));
        meet(check, &index, offsets[i]);
    }
    assert_true(kv_index_check_is_true(check));
    kv_io_free(check);
    free(index.table.header);
}

static void slots_of_damage_are_not_marked(void **state)
{
    (void)state;
    const uint64_t offset = 1600;
    struct kv_index index = index_of(&offset, 1, KV_TABLE_DAMAGE);
    struct kv_index_check *check = create_check(&index, NULL, offset + 100);
    assert_false(kv_index_check_is_marked(check, offset));
    assert_true(kv_index_check_is_true(check));
    kv_io_free(check);
    free(index.table.header);
}

static void meet_if(bool is_marked,
                    struct kv_index_check *check,
                    const struct kv_index *index,
                    uint64_t offset)
{
    if (is_marked) {
        meet(check, index, offset);
    }
}

static void move_on_if(bool is_time,
                       struct kv_index *index,
                       struct kv_table_hash hash)
{
    struct kv_table_entry entry;
    struct kv_table_place place;
    assert_true(kv_table_find(&index->table, hash, false, &place, &entry));
    entry.pointer.offset = KV_OFFSET_MAX - 16;
    if (is_time) {
        kv_table_put(&index->table, hash, place, false, &entry);
    }
}

/* Slots that move on past the end while the check is between two windows. */
static void slots_may_move_on_between_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < 64; i++) {
        size_t moved = i % 8;
        size_t at = i / 8;
        struct kv_index index =
            index_of(far_offsets, FAR_OFFSETS, KV_TABLE_SET);
        struct kv_index_check *check =
            create_check(&index, NULL, KV_OFFSET_MAX - 16);
        struct kv_table_hash hash =
            kv_table_hash(&index.table, &far_offsets[moved], sizeof(uint64_t));
        for (size_t j = 0; j < FAR_OFFSETS; j++) {
            bool is_marked = kv_index_check_is_marked(check, far_offsets[j]);
            assert_true(is_marked || (j == moved && at < j));
            meet_if(is_marked, check, &index, far_offsets[j]);
            move_on_if(j == at, &index, hash);
        }
        assert_true(kv_index_check_is_true(check));
        kv_io_free(check);
        free(index.table.header);
    }
}

static size_t allocated;

static void *counting_malloc(size_t size)
{
    allocated += size;
    return kv_io_system_table()->malloc(size);
}

static size_t memory_of(const struct kv_index *index, uint64_t end)
{
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = counting_malloc;
    kv_io_swap_table(&table);
    allocated = 0;
    struct kv_index_check *check = NULL;
    (void)kv_index_check_create(index, NULL, end, &check);
    kv_io_swap_table(kv_io_system_table());
    assert_non_null(check);
    kv_io_free(check);
    return allocated;
}

static void memory_is_bounded(void **state)
{
    (void)state;
    const uint64_t least = 200;
    struct kv_index index = KV_INDEX_NONE;
    index.table.bucket_count = KV_TABLE_BUCKETS_MIN;
    assert_true(memory_of(&index, 0) < least);
    assert_true(memory_of(&index, 1000000) < 1000000 / 128 + least);
    assert_in_range(memory_of(&index, KV_OFFSET_MAX), MIB, MIB + least);
    index.table.bucket_count = UINT64_C(1) << 20;
    assert_true(memory_of(&index, 1000000) < 1000000 / 128 + least);
    assert_in_range(memory_of(&index, KV_OFFSET_MAX), MIB, 8 * MIB + 1024);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    struct kv_index index = KV_INDEX_NONE;
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = no_malloc;
    kv_io_swap_table(&table);
    struct kv_index_check *check = NULL;
    (void)kv_index_check_create(&index, NULL, 1000, &check);
    kv_io_swap_table(kv_io_system_table());
    assert_null(check);
    assert_int_equal(kvstore_last_error()->status, KVSTORE_NO_MEMORY);
}

/* --- With a log --- */

/* A pass over a log, which may do something before a record. */
struct pass {
    struct pair *pair;
    struct kv_index_check *check;
    unsigned records;
    unsigned marked;
    unsigned astray; /* Not marked, and without a slot that leads on. */
    void (*before)(struct pass *pass);
    unsigned before_record;
    const char *moved_key;
    struct log_text moved;
    const struct store_dir *dir;
};

static kvstore_status check_item(void *context, const struct kv_fold_item *item)
{
    struct pass *pass = context;
    if (pass->before != NULL && pass->records == pass->before_record) {
        pass->before(pass);
    }
    pass->records++;
    if (item->type != KV_RECORD_SET && item->type != KV_RECORD_REMOVE) {
        return KVSTORE_OK;
    }
    struct kv_table_slot slot;
    assert_int_equal(kv_index_make_slot(&pass->pair->index.table, item, &slot),
                     KVSTORE_OK);
    if (kv_index_check_is_marked(pass->check, item->pointer.offset)) {
        pass->marked++;
        kv_index_check_meet(pass->check, slot);
    } else {
        bool leads_on = true;
        assert_int_equal(kv_index_check_leads_on(pass->check,
                                                 kv_table_hash_of(slot),
                                                 item->pointer.offset,
                                                 &leads_on),
                         KVSTORE_OK);
        pass->astray += leads_on ? 0 : 1;
    }
    return KVSTORE_OK;
}

/* Runs a pass up to where the log ends at its beginning; returns whether the
 * index is believed. */
static bool run(struct pass *pass)
{
    struct kv_io_stat stat;
    struct kv_fold_result result;
    assert_int_equal(kv_io_stat(&pass->pair->log.file, &stat), KVSTORE_OK);
    struct kv_fold_range range = {.end = stat.size};
    pass->check = create_check(&pass->pair->index, &pass->pair->log, stat.size);
    assert_int_equal(
        kv_fold(&pass->pair->log, range, check_item, pass, &result),
        KVSTORE_OK);
    bool is_true = kv_index_check_is_true(pass->check);
    kv_io_free(pass->check);
    return is_true && pass->astray == 0;
}

static bool is_believed(struct pair *pair)
{
    struct pass pass = {.pair = pair};
    return run(&pass);
}

static void empty_log_is_true(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct pair pair = make_pair(state, &text);
    assert_true(is_believed(&pair));
    close_pair(&pair);
}

static char long_value[6001];

/* Some of everything. */
static struct log_text mixed_text(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    memset(long_value, 'v', sizeof long_value - 1);
    log_text_set(&text, "a", "1");
    log_text_set(&text, "long", long_value);
    log_text_set(&text, "b", "1");
    log_text_damaged_set(&text, "a", "damaged");
    log_text_remove(&text, "b");
    log_text_add(&text, "\n{\"Set\":{\"key\":\"\\u0063\",\"val\":\"1\"}}\n");
    log_text_set(&text, "a", "2");
    log_text_batch_set(&text, "d", "1", 2);
    log_text_batch_remove(&text, "a", 1);
    log_text_expiring_set(&text, "e", "1", INT64_C(4000000000000));
    log_text_unknown(&text, "a");
    log_text_set(&text, "long", long_value);
    log_text_set(&text, "f", "1");
    log_text_set(&text, "g", "1");
    log_text_set(&text, "a", "3");
    return text;
}

static void index_of_each_log_is_true(void **state)
{
    struct log_text text = mixed_text();
    struct pair pair = make_pair(state, &text);
    struct pass pass = {.pair = &pair};

    assert_true(run(&pass));

    assert_int_equal(pass.marked, 8);
    close_pair(&pair);
}

/* Each prefix of a log of many records of few keys. */
static void records_of_few_keys_lead_on(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i * i % 101);
        if (i % 7 == 0) {
            log_text_remove(&text, key);
        } else {
            log_text_set(&text, key, "value");
        }
    }
    struct pair pair = make_pair(state, &text);
    struct pass pass = {.pair = &pair};

    assert_true(run(&pass));

    assert_int_equal(pass.marked, pair.index.totals.slots_used);
    close_pair(&pair);
}

/* --- Lies --- */

/* Returns the number of a key's slot. */
static uint64_t slot_of(const struct pair *pair, const char *key)
{
    struct kv_table_place place;
    struct kv_table_entry entry;
    assert_true(
        kv_table_find(&pair->index.table,
                      kv_table_hash(&pair->index.table, key, strlen(key)),
                      false,
                      &place,
                      &entry));
    return place.slot;
}

static struct kv_table_entry entry_of(const struct pair *pair, const char *key)
{
    return kv_table_entry_of(
        kv_table_load(&pair->index.table, slot_of(pair, key)));
}

static void store_entry(struct pair *pair,
                        const char *key,
                        struct kv_table_entry entry)
{
    struct kv_table *table = &pair->index.table;
    uint64_t slot = slot_of(pair, key);
    table->words[slot * 2 + 1] =
        kv_table_slot_of(kv_table_hash(table, key, strlen(key)), &entry)
            .pointer;
}

static const char *const lied_about[] =
    {"a", "b", "c", "d", "e", "f", "g", "long"};
#define LIED_ABOUT (sizeof lied_about / sizeof lied_about[0])

/* True if the index is not believed with this entry for a key; it is again
 * afterwards. */
static bool sees_entry(struct pair *pair,
                       const char *key,
                       struct kv_table_entry entry)
{
    struct kv_table_entry sound = entry_of(pair, key);
    _Atomic uint64_t *pointer =
        &pair->index.table.words[slot_of(pair, key) * 2 + 1];
    uint64_t word = *pointer;
    store_entry(pair, key, entry);
    bool is_seen = !is_believed(pair);
    *pointer = word;
    assert_true(entry_of(pair, key).pointer.offset == sound.pointer.offset);
    assert_true(is_believed(pair));
    return is_seen;
}

static void dropped_slot_is_seen(void **state)
{
    struct log_text text = mixed_text();
    struct pair pair = make_pair(state, &text);
    for (size_t i = 0; i < LIED_ABOUT; i++) {
        _Atomic uint64_t *tag =
            &pair.index.table.words[slot_of(&pair, lied_about[i]) * 2];
        uint64_t word = *tag;
        *tag = 0;
        assert_false(is_believed(&pair));
        *tag = word;
        assert_true(is_believed(&pair));
    }
    close_pair(&pair);
}

/* Anywhere else in the log: older records of the key or of others, the middle
 * of lines, past the end. */
static void slot_that_leads_elsewhere_is_seen(void **state)
{
    struct log_text text = mixed_text();
    size_t size = text.size;
    struct pair pair = make_pair(state, &text);
    static const uint64_t past[] = {0, 1, 1000, KV_OFFSET_MAX / 2};
    for (size_t i = 0; i < LIED_ABOUT; i++) {
        struct kv_table_entry sound = entry_of(&pair, lied_about[i]);
        struct kv_table_entry entry = sound;
        for (uint64_t at = 0; at < size; at += at % 5 == 0 ? 1 : 7) {
            entry.pointer.offset = at;
            assert_true(at == sound.pointer.offset ||
                        sees_entry(&pair, lied_about[i], entry));
        }
        for (size_t j = 0; j < sizeof past / sizeof past[0]; j++) {
            entry.pointer.offset = size + past[j];
            assert_true(sees_entry(&pair, lied_about[i], entry));
        }
    }
    close_pair(&pair);
}

/* With all that the older record's slot had. */
static void slot_of_an_older_record_is_seen(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    uint64_t first = log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "1");
    log_text_set(&text, "a", "2");
    log_text_set(&text, "b", "2");
    struct pair pair = make_pair(state, &text);
    struct kv_table_entry entry = entry_of(&pair, "a");
    entry.pointer.offset = first;
    assert_true(sees_entry(&pair, "a", entry));
    close_pair(&pair);
}

static void changed_length_or_kind_is_seen(void **state)
{
    struct log_text text = mixed_text();
    struct pair pair = make_pair(state, &text);
    for (size_t i = 0; i < LIED_ABOUT; i++) {
        struct kv_table_entry sound = entry_of(&pair, lied_about[i]);
        for (unsigned bit = 0; bit < 12; bit++) {
            struct kv_table_entry entry = sound;
            entry.pointer.length ^= UINT64_C(1) << bit;
            assert_true(sees_entry(&pair, lied_about[i], entry));
        }
        for (unsigned kind = 0; kind < 4; kind++) {
            struct kv_table_entry entry = sound;
            entry.kind = (enum kv_table_kind)kind;
            assert_true(entry.kind == sound.kind ||
                        sees_entry(&pair, lied_about[i], entry));
        }
    }
    close_pair(&pair);
}

/* Where two slots lead is exchanged, with their lengths and kinds. */
static void exchanged_slots_are_seen(void **state)
{
    struct log_text text = mixed_text();
    struct pair pair = make_pair(state, &text);
    for (size_t i = 0; i < LIED_ABOUT * LIED_ABOUT; i++) {
        const char *one = lied_about[i / LIED_ABOUT];
        const char *other = lied_about[i % LIED_ABOUT];
        struct kv_table_entry entry = entry_of(&pair, one);
        store_entry(&pair, one, entry_of(&pair, other));
        store_entry(&pair, other, entry);
        assert_int_equal(is_believed(&pair), one == other);
        entry = entry_of(&pair, one);
        store_entry(&pair, one, entry_of(&pair, other));
        store_entry(&pair, other, entry);
        assert_true(is_believed(&pair));
    }
    close_pair(&pair);
}

static void assert_surplus_is_seen(struct pair *pair,
                                   struct kv_table_slot slot,
                                   uint64_t at)
{
    _Atomic uint64_t *words = &pair->index.table.words[at * 2];
    if (words[0] == 0) {
        words[1] = slot.pointer;
        words[0] = slot.tag;
        assert_false(is_believed(pair));
        words[0] = slot.tag ^ 1;
        assert_false(is_believed(pair));
        words[0] = 0;
        assert_true(is_believed(pair));
    }
}

/* A second slot for the same record, anywhere; or for one of no key. */
static void surplus_slot_is_seen(void **state)
{
    struct log_text text = mixed_text();
    struct pair pair = make_pair(state, &text);
    struct kv_table *table = &pair.index.table;
    for (size_t i = 0; i < LIED_ABOUT; i++) {
        struct kv_table_slot slot =
            kv_table_load(table, slot_of(&pair, lied_about[i]));
        for (uint64_t j = 0; j < kv_table_slot_count(table); j += 9) {
            assert_surplus_is_seen(&pair, slot, j);
        }
    }
    close_pair(&pair);
}

/* A key's first slot leads to an older record, its second to the newest: both
 * records are met, but the one that is found leads nowhere on. */
static void second_slot_does_not_hide_an_older_record(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    uint64_t first = log_text_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    struct pair pair = make_pair(state, &text);
    struct kv_table *table = &pair.index.table;
    struct kv_table_slot slot = kv_table_load(table, slot_of(&pair, "a"));
    struct kv_table_entry entry = entry_of(&pair, "a");
    entry.pointer.offset = first;
    store_entry(&pair, "a", entry);
    assert_true(kv_table_insert(table, slot));
    struct pass pass = {.pair = &pair};

    /* So the callers ask the table, or see that they meet the key twice. */
    (void)run(&pass);

    assert_int_equal(pass.marked, 2);
    assert_int_equal(entry_of(&pair, "a").pointer.offset, first);
    close_pair(&pair);
}

static void record_without_a_slot_is_seen(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "a", "1");
        log_text_set(&text, "b", "1");
        struct pair pair = make_pair(state, &text);
        if (i == 0) {
            log_text_set(&text, "a", "2");
        } else if (i == 1) {
            log_text_remove(&text, "b");
        } else {
            log_text_set(&text, "c", "1");
        }
        store_dir_append(*state, KV_LOG_NAME, text.bytes, text.size);
        assert_false(is_believed(&pair));
        log_text_release(&text);
        close_pair(&pair);
    }
}

/* --- Writers go on --- */

/* Appends the text's line, and brings the index up to it. */
static void move_on(struct pass *pass)
{
    bool is_whole = false;
    store_dir_append(
        pass->dir, KV_LOG_NAME, pass->moved.bytes, pass->moved.size);
    assert_int_equal(
        kv_build_catch_up(&pass->pair->log,
                          store_dir_file_size(pass->dir, KV_LOG_NAME),
                          NULL,
                          false,
                          &pass->pair->index,
                          &is_whole),
        KVSTORE_OK);
    assert_true(is_whole);
}

/* The key's slot leads past the end, to a line that is not there. */
static void lie_on(struct pass *pass)
{
    struct kv_table_entry entry = entry_of(pass->pair, pass->moved_key);
    entry.pointer.offset = pass->pair->index.totals.applied + 50;
    atomic_store(&pass->pair->index.table.header->end,
                 entry.pointer.offset + entry.pointer.length);
    store_entry(pass->pair, pass->moved_key, entry);
}

/* Runs a pass during which a key gets a newer record. */
static bool is_believed_when(void **state,
                             unsigned record,
                             const char *key,
                             bool is_lie)
{
    struct log_text text = LOG_TEXT_EMPTY;
    for (unsigned i = 0; i < 9; i++) {
        static const char *const keys[] = {"a", "b", "c"};
        log_text_set(&text, keys[i * i % 3], "1");
    }
    log_text_set(&text, "c", "1");
    struct pair pair = make_pair(state, &text);
    kv_index_begin_use(&pair.index);
    struct pass pass = {.pair = &pair,
                        .before = is_lie ? lie_on : move_on,
                        .before_record = record,
                        .moved_key = key,
                        .dir = *state};
    log_text_set(&pass.moved, key, "moved");
    bool result = run(&pass);
    assert_int_equal(pass.records, 10);
    log_text_release(&pass.moved);
    close_pair(&pair);
    return result;
}

static void slots_may_move_on_during_the_pass(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "new"};
    for (unsigned i = 0; i < 40; i++) {
        assert_true(is_believed_when(state, i % 10, keys[i / 10], false));
    }
}

/* A slot that does so before its record's turn must lead to a line. */
static void slot_must_not_move_on_to_nothing(void **state)
{
    assert_false(is_believed_when(state, 0, "a", true));
    assert_false(is_believed_when(state, 0, "b", true));
    assert_false(is_believed_when(state, 0, "c", true));
}

/* --- Reading --- */

static uint64_t bytes_read;

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t part = kv_io_system_table()->pread(fd, buffer, size, offset);
    bytes_read += part > 0 ? (uint64_t)part : 0;
    return part;
}

/* Bytes read to find out that many records of a key, of one length, lead on to a
 * large one, which is before the end of the check or past it. */
static uint64_t bytes_of_a_pass(struct pair *pair,
                                uint64_t length,
                                uint64_t end)
{
    struct kv_table_hash hash = kv_table_hash(&pair->index.table, "a", 1);
    struct kv_index_check *check = create_check(&pair->index, &pair->log, end);
    struct kv_io_table table = *kv_io_system_table();
    table.pread = counting_pread;
    kv_io_swap_table(&table);
    bytes_read = 0;
    for (uint64_t i = 0; i < 100; i++) {
        bool leads_on = false;
        assert_int_equal(
            kv_index_check_leads_on(check, hash, i * length, &leads_on),
            KVSTORE_OK);
        assert_true(leads_on);
    }
    kv_io_swap_table(kv_io_system_table());
    kv_io_free(check);
    return bytes_read;
}

static void slot_of_the_record_itself_does_not_lead_on(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    uint64_t at = log_text_set(&text, "a", "2");
    uint64_t end = text.size;
    struct pair pair = make_pair(state, &text);
    struct kv_table_hash hash = kv_table_hash(&pair.index.table, "a", 1);
    struct kv_index_check *check = create_check(&pair.index, &pair.log, end);
    for (uint64_t offset = 0; offset < end; offset++) {
        bool leads_on = false;
        assert_int_equal(
            kv_index_check_leads_on(check, hash, offset, &leads_on),
            KVSTORE_OK);
        assert_int_equal(leads_on, offset < at);
    }
    kv_io_free(check);
    close_pair(&pair);
}

static void later_line_that_is_met_is_not_read(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    for (int i = 0; i < 100; i++) {
        log_text_set(&text, "a", "1");
    }
    uint64_t before = text.size;
    uint64_t end = text.size;
    memset(long_value, 'v', sizeof long_value - 1);
    end += log_text_set(&text, "a", long_value) - before + 1;
    struct pair pair = make_pair(state, &text);

    assert_int_equal(bytes_of_a_pass(&pair, before / 100, end), 0);
    assert_true(bytes_of_a_pass(&pair, before / 100, before) > 0);

    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_told_apart),
        cmocka_unit_test(large_log_has_several_windows),
        cmocka_unit_test(many_are_all_marked),
        cmocka_unit_test(slot_that_leads_to_no_record_is_seen),
        cmocka_unit_test(slot_after_the_last_record_is_seen),
        cmocka_unit_test(slots_past_the_end_do_not_count),
        cmocka_unit_test(slots_of_damage_are_not_marked),
        cmocka_unit_test(slots_may_move_on_between_windows),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(lack_of_memory_is_told),
        STORE_TEST(empty_log_is_true),
        STORE_TEST(index_of_each_log_is_true),
        STORE_TEST(records_of_few_keys_lead_on),
        STORE_TEST(dropped_slot_is_seen),
        STORE_TEST(slot_that_leads_elsewhere_is_seen),
        STORE_TEST(slot_of_an_older_record_is_seen),
        STORE_TEST(changed_length_or_kind_is_seen),
        STORE_TEST(exchanged_slots_are_seen),
        STORE_TEST(surplus_slot_is_seen),
        STORE_TEST(second_slot_does_not_hide_an_older_record),
        STORE_TEST(record_without_a_slot_is_seen),
        STORE_TEST(slots_may_move_on_during_the_pass),
        STORE_TEST(slot_must_not_move_on_to_nothing),
        STORE_TEST(slot_of_the_record_itself_does_not_lead_on),
        STORE_TEST(later_line_that_is_met_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
