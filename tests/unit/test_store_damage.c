/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: on damaged stores,
 * after killed writers, and with what other programs wrote. */

#include "idle_clock.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/directory.h"
#include "store_calls.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Opens a store from the text. */
static kvstore *open_text(const struct store_dir *dir,
                          const struct log_text *text)
{
    store_dir_write_log(dir, text);
    return open_plain(dir);
}

/* --- A damaged line with a readable key --- */

static void damaged_newest_line_hides_the_older_value(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "1");
    size_t damage = log_text_damaged_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);
    size_t size = 9;

    assert_corrupt(store, "a", damage);
    assert_int_equal(kvstore_get_into(store, "a", 1, NULL, 0, &size),
                     KVSTORE_CORRUPT);
    assert_int_equal(size, 0);
    assert_value(store, "b", "1");
    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.damaged_records, 1);
    assert_int_equal(stats.damaged_offset, damage);
    assert_int_equal(stats.damaged_bytes, text.size - damage);
    must_compact(store);
    assert_int_equal(try_get(store, "a"), KVSTORE_CORRUPT);
    kvstore_close(store);
    log_text_release(&text);
}

static void damaged_line_alone_makes_its_key_corrupt(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    size_t damage = log_text_damaged_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);

    assert_corrupt(store, "a", damage);

    kvstore_close(store);
    log_text_release(&text);
}

static void later_set_heals_the_key(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);

    must_set(store, "a", "3");

    assert_value(store, "a", "3");
    must_compact(store);
    assert_value(store, "a", "3");
    kvstore_close(store);
    store = open_plain(dir);
    assert_value(store, "a", "3");
    assert_int_equal(checked_stats(store).damaged_records, 1);
    kvstore_close(store);
    log_text_release(&text);
}

static void remove_heals_the_key(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "a", "2");
    kvstore *store = open_text(dir, &text);

    must_remove(store, "a");

    assert_absent(store, "a");
    assert_int_equal(kvstore_remove(store, "a", 1), KVSTORE_NOT_FOUND);
    must_compact(store);
    assert_absent(store, "a");
    kvstore_close(store);
    store = open_plain(dir);
    assert_absent(store, "a");
    kvstore_close(store);
    log_text_release(&text);
}

static void record_newer_than_the_damage_is_served(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    log_text_damaged_set(&text, "b", "1");
    log_text_remove(&text, "b");
    kvstore *store = open_text(dir, &text);

    assert_value(store, "a", "2");
    assert_absent(store, "b");

    kvstore_close(store);
    log_text_release(&text);
}

static void line_that_rots_under_a_handle_is_corrupt(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "old");
    uint64_t at = store_dir_file_size(dir, KV_LOG_NAME);
    must_set(store, "a", "value");
    must_set(store, "b", "1");

    store_dir_overwrite(dir, KV_LOG_NAME, at + 24, "x", 1);

    assert_corrupt(store, "a", at);
    assert_value(store, "b", "1");
    must_set(store, "a", "new");
    assert_value(store, "a", "new");
    assert_int_equal(checked_stats(store).damaged_records, 1);
    kvstore_close(store);
}

static void compaction_meets_what_rotted(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "value");
    must_set(store, "b", "1");
    must_set(store, "b", "2");
    store_dir_overwrite(dir, KV_LOG_NAME, 24, "x", 1);

    must_compact(store);

    assert_corrupt(store, "a", 0);
    assert_value(store, "b", "2");
    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.damaged_records, 1);
    assert_int_equal(stats.stale_bytes, 0);
    kvstore_close(store);
}

/* Acknowledged lines that rot at the end of the log look like unfinished
 * writes: they leave the log, but are saved. */
static void compaction_saves_what_rotted_at_the_end(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    must_set(store, "a", "1");
    size_t rotted = (size_t)checked_stats(store).log_bytes;
    must_set(store, "b", "1");
    must_set(store, "c", "1");
    size_t size = (size_t)checked_stats(store).log_bytes;
    char garbage[256];
    char name[64];
    memset(garbage, '#', sizeof garbage);
    garbage[(size - rotted) / 2] = '\n';
    garbage[size - rotted - 1] = '\n';
    store_dir_overwrite(dir, KV_LOG_NAME, rotted, garbage, size - rotted);
    (void)snprintf(name, sizeof name, "store.log.cut-%zu", rotted);

    must_compact(store);

    store_dir_assert_file(dir, name, garbage, size - rotted);
    assert_value(store, "a", "1");
    assert_absent(store, "b");
    kvstore_close(store);
}

/* Two damaged lines have the key, with a sound one between them: the newest is
 * damaged, before a compaction and after. */
static void newest_damage_is_the_newest_after_a_compaction(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "a", "1");
    log_text_set(&text, "a", "2");
    size_t last = log_text_damaged_set(&text, "a", "3");
    log_text_set(&text, "b", "1");
    kvstore *store = open_text(dir, &text);
    assert_corrupt(store, "a", last);

    must_compact(store);

    assert_corrupt(store, "a", last);
    assert_int_equal(checked_stats(store).damaged_records, 2);
    kvstore_close(store);
    log_text_release(&text);
}

/* --- The end of the log --- */

static void torn_line_is_cut_by_the_next_set(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t torn = log_text_set(&text, "a", "2");
    log_text_chop(&text, 4);
    kvstore *store = open_text(dir, &text);

    assert_value(store, "a", "1");
    assert_int_equal(checked_stats(store).damaged_records, 0);
    assert_int_equal(checked_stats(store).log_bytes, torn);
    must_set(store, "b", "1");

    text.size = torn;
    log_text_set(&text, "b", "1");
    store_dir_assert_log(dir, &text);
    kvstore_close(store);
    log_text_release(&text);
}

static void torn_lines_are_saved_by_the_next_remove(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t torn = log_text_add(&text, "one\ntwo");
    kvstore *store = open_text(dir, &text);
    char name[64];
    (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);

    must_remove(store, "a");

    store_dir_assert_file(dir, name, "one\ntwo", 7);
    assert_absent(store, "a");
    assert_int_equal(checked_stats(store).damaged_bytes, 0);
    kvstore_close(store);
    log_text_release(&text);
}

static void missing_newline_is_added_by_the_next_set(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_chop(&text, 1);
    kvstore *store = open_text(dir, &text);
    kvstore *other = open_plain(dir);
    assert_value(store, "a", "1");
    assert_value(other, "a", "1");

    must_set(store, "b", "1");

    log_text_add(&text, "\n");
    log_text_set(&text, "b", "1");
    store_dir_assert_log(dir, &text);
    assert_value(other, "a", "1");
    assert_value(other, "b", "1");
    assert_int_equal(checked_stats(other).log_bytes, text.size);
    kvstore_close(store);
    kvstore_close(other);
    log_text_release(&text);
}

static void closed_damaged_last_line_stays(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    size_t damage = log_text_damaged_set(&text, "a", "1");
    kvstore *store = open_text(dir, &text);

    must_set(store, "b", "1");

    assert_corrupt(store, "a", damage);
    log_text_set(&text, "b", "1");
    store_dir_assert_log(dir, &text);
    kvstore_close(store);
    log_text_release(&text);
}

/* --- Lost pages --- */

static void group_write_with_a_lost_page_works_on(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    size_t starts[16];
    char value[2000];
    char key[] = "a";
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 16; i++) {
        key[0] = (char)('a' + i);
        starts[i] = log_text_set(&text, key, value);
    }
    /* From within line 3 to within line 4, which become one. */
    memset(text.bytes + starts[2] + 30, '\0', starts[3] - starts[2]);
    kvstore *store = open_text(dir, &text);

    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.damaged_records, 1);
    assert_int_equal(stats.damaged_offset, starts[2]);
    assert_int_equal(stats.keys, 14);
    assert_corrupt(store, "c", starts[2]);
    assert_absent(store, "d");
    assert_value(store, "e", value);
    must_set(store, "a", "new");
    must_compact(store);
    assert_value(store, "a", "new");
    assert_value(store, "f", value);
    assert_value(store, "p", value);
    assert_int_equal(checked_stats(store).damaged_bytes, stats.damaged_bytes);

    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_LOG_NAME, &size);
    uint64_t at = checked_stats(store).damaged_offset;
    assert_memory_equal(
        bytes + at, text.bytes + starts[2], (size_t)stats.damaged_bytes);
    free(bytes);
    kvstore_close(store);
    log_text_release(&text);
}

static void removed_key_does_not_come_back(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "garbage\n");
    log_text_remove(&text, "a");
    log_text_set(&text, "b", "1");
    kvstore *store = open_text(dir, &text);

    must_compact(store);
    must_compact(store);

    text.size = 0;
    log_text_add(&text, "garbage\n");
    log_text_remove(&text, "a");
    log_text_set(&text, "b", "1");
    store_dir_assert_log(dir, &text);
    assert_absent(store, "a");
    kvstore_close(store);
    log_text_release(&text);
}

/* --- Batches --- */

static void broken_batch_is_corrupt_and_whole_ones_are_not(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    size_t broken = log_text_batch_set(&text, "a", "1", 3);
    size_t second = log_text_batch_remove(&text, "b", 2);
    log_text_batch_set(&text, "c", "1", 2);
    log_text_batch_set(&text, "d", "1", 1);
    kvstore *store = open_text(dir, &text);

    assert_corrupt(store, "a", broken);
    assert_corrupt(store, "b", second);
    assert_value(store, "c", "1");
    assert_value(store, "d", "1");
    assert_int_equal(checked_stats(store).damaged_records, 2);
    must_compact(store);
    assert_int_equal(try_get(store, "a"), KVSTORE_CORRUPT);
    assert_value(store, "c", "1");
    must_set(store, "a", "new");
    assert_value(store, "a", "new");
    kvstore_close(store);
    log_text_release(&text);
}

static void torn_batch_is_not_applied(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    size_t torn = log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_set(&text, "b", "1", 2);
    kvstore *store = open_text(dir, &text);
    assert_value(store, "a", "old");
    assert_absent(store, "b");

    must_set(store, "c", "1");

    assert_value(store, "a", "old");
    text.size = torn;
    log_text_set(&text, "c", "1");
    store_dir_assert_log(dir, &text);
    char name[64];
    (void)snprintf(name, sizeof name, "store.log.cut-%zu", torn);
    assert_false(store_dir_has(dir, name));
    kvstore_close(store);
    log_text_release(&text);
}

/* The batch was acknowledged, its lines written whole: nothing of it is cut
 * off, none is served, and no older value is. */
static void flipped_bit_in_the_first_line_of_a_batch_is_damage(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    log_text_set(&text, "b", "old");
    size_t first = log_text_batch_set(&text, "a", "new", 3);
    size_t second = log_text_batch_set(&text, "b", "new", 2);
    size_t third = log_text_batch_remove(&text, "c", 1);
    char *flipped = strstr(text.bytes + first, "new");
    assert_non_null(flipped);
    *flipped ^= 1;
    size_t size = text.size;
    for (int is_anew = 0; is_anew < 2; is_anew++) {
        kvstore *store = open_text(dir, &text);
        assert_corrupt(store, "a", first);
        assert_corrupt(store, "b", second);
        assert_corrupt(store, "c", third);

        must_set(store, "d", "1");

        assert_corrupt(store, "a", first);
        assert_corrupt(store, "b", second);
        assert_corrupt(store, "c", third);
        log_text_set(&text, "d", "1");
        store_dir_assert_log(dir, &text);
        text.size = size;
        kvstore_close(store);
    }
    log_text_release(&text);
}

/* A reader of a batch that is still being written. */
static void batch_is_seen_once_it_is_whole(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 2);
    size_t second = log_text_batch_set(&text, "b", "1", 1);
    kvstore_close(open_plain(dir));
    store_dir_append(dir, KV_LOG_NAME, text.bytes, second);
    kvstore *store = open_plain(dir);
    assert_absent(store, "a");
    kvstore_close(store);

    store_dir_append(dir, KV_LOG_NAME, text.bytes + second, text.size - second);

    store = open_plain(dir);
    assert_value(store, "a", "1");
    assert_value(store, "b", "1");
    kvstore_close(store);
    log_text_release(&text);
}

/* --- What is not ours --- */

static void unreachable_keys_survive(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"");
    log_text_fill(&text, 'k', 70000);
    log_text_add(&text, "\",\"val\":\"2\"}}\n");
    kvstore *store = open_text(dir, &text);

    must_set(store, "a", "1");
    must_set(store, "a", "2");
    must_compact(store);

    log_text_set(&text, "a", "2");
    store_dir_assert_log(dir, &text);
    assert_int_equal(checked_stats(store).keys, 1);
    assert_int_equal(checked_stats(store).live_bytes, text.size);
    kvstore_close(store);
    log_text_release(&text);
}

static void huge_garbage_and_deep_nesting_are_carried(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, 'x', (size_t)20 << 20);
    log_text_add(&text, "\n{\"Set\":");
    log_text_fill(&text, '[', 100000);
    log_text_add(&text, "\n");
    log_text_set(&text, "b", "1");
    kvstore *store = open_text(dir, &text);

    assert_value(store, "a", "1");
    assert_value(store, "b", "1");
    assert_int_equal(checked_stats(store).damaged_records, 2);
    must_compact(store);

    store_dir_assert_log(dir, &text);
    assert_value(store, "b", "1");
    kvstore_close(store);
    log_text_release(&text);
}

/* Changes every byte of a small log in three ways: what opens must add up, and
 * serve no value that was not set. */
static void any_changed_byte_serves_nothing_wrong(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "12");
    log_text_remove(&text, "a");
    log_text_set(&text, "b", "34");
    static const char changes[] = {1, 0x20, '\n'};
    kvstore_options options = plain_options();
    options.read_only = true;
    idle_clock_start(); /* A reader without an index waits a moment. */
    for (size_t i = 0; i < 3 * text.size; i++) {
        char *byte = text.bytes + i / 3;
        char sound = *byte;
        *byte = (char)(sound ^ changes[i % 3]);
        store_dir_write_log(dir, &text);
        kvstore *store = open_with(dir, &options);
        char value[3] = "";
        size_t size = 0;
        (void)checked_stats(store);
        kvstore_status a = try_get(store, "a");
        kvstore_status b =
            kvstore_get_into(store, "b", 1, value, sizeof value, &size);
        assert_true(a == KVSTORE_NOT_FOUND || a == KVSTORE_CORRUPT ||
                    a == KVSTORE_OK);
        assert_true(b == KVSTORE_NOT_FOUND || b == KVSTORE_CORRUPT ||
                    (b == KVSTORE_OK && size == 2 &&
                     (strcmp(value, "12") == 0 || strcmp(value, "34") == 0)));
        kvstore_close(store);
        *byte = sound;
    }
    idle_clock_stop();
    log_text_release(&text);
}

/* --- Repair --- */

/* Adds what can be before and after a place that repair removes; the sound keys
 * count up from a. */
static void add_awkward_piece(struct log_text *text,
                              unsigned piece,
                              unsigned *keys)
{
    char key[] = {(char)('a' + *keys), '\0'};
    size_t unit = (size_t)64 << 10;
    switch (piece) {
    case 0:
        log_text_set(text, key, "sound");
        ++*keys;
        break;
    case 1: /* Tabs that end as padding would. */
        log_text_fill(text, '\t', unit - 1 - text->size % unit);
        log_text_add(text, "\n");
        break;
    case 2:
        log_text_fill(text, '\t', 64);
        log_text_add(text, "\n");
        break;
    case 3:
        log_text_fill(text, '\0', 100);
        break;
    case 4:
        log_text_fill(text, '\0', 512 - text->size % 512);
        log_text_add(text, "\n");
        break;
    case 5:
        log_text_batch_set(text, "batch", "gone", 2);
        break;
    case 6:
        log_text_damaged_set(text, "damaged", "gone");
        break;
    case 7:
        log_text_add(text, "garbage\n");
        break;
    case 8: /* Cut off from what follows. */
        log_text_add(text, "x");
        log_text_fill(text, '\0', 1);
        break;
    case 9:
        log_text_batch_set(text, "whole", "1", 2);
        log_text_batch_set(text, "whole", "2", 1);
        break;
    default:
        log_text_add(text, "\n");
        break;
    }
}

/* Adds anything that may be the end of a log. */
static void add_awkward_end(struct log_text *text, unsigned end)
{
    switch (end) {
    case 0:
        log_text_set(text, "end", "1");
        log_text_chop(text, 1);
        break;
    case 1:
        log_text_set(text, "end", "1");
        log_text_chop(text, 9);
        break;
    case 2:
        log_text_fill(text, '\t', 100);
        break;
    default:
        break;
    }
}

/* Asserts that the store has no damage, by its own word and by a fold of the
 * log, and has all of its sound keys. */
static void assert_repaired(const struct store_dir *dir, unsigned keys)
{
    for (int is_anew = 0; is_anew < 2; is_anew++) {
        kvstore *store = open_plain(dir);
        for (unsigned i = 0; i < keys; i++) {
            char key[] = {(char)('a' + i), '\0'};
            assert_value(store, key, "sound");
        }
        kvstore_stats stats;
        assert_int_equal(kvstore_get_stats(store, &stats), KVSTORE_OK);
        assert_int_equal(stats.damaged_records, 0);
        assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
        must_set(store, "after", "repair");
        assert_value(store, "after", "repair");
        kvstore_close(store);
        assert_int_equal(kv_io_unlink(&dir->directory, "store.index"),
                         KVSTORE_OK);
    }
}

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

static void no_sleep(int64_t ns)
{
    (void)ns;
}

static void repair_leaves_no_damage_whatever_is_beside_it(void **state)
{
    const struct store_dir *dir = *state;
    struct kv_io_table table = *kv_io_system_table();
    table.fsync = no_sync;
    table.fdatasync = no_sync;
    table.sleep_ns = no_sleep;
    kv_io_swap_table(&table);
    enum { PIECES = 11, ENDS = 4 };
    /* All orders of three pieces before a sound line or none. */
    for (unsigned i = 0; i < PIECES * PIECES * PIECES * ENDS; i += 17) {
        struct log_text text = LOG_TEXT_EMPTY;
        unsigned keys = 0;
        add_awkward_piece(&text, 0, &keys);
        for (unsigned rest = i / ENDS, place = 0; place < 3; place++) {
            add_awkward_piece(&text, rest % PIECES, &keys);
            rest /= PIECES;
        }
        add_awkward_end(&text, i % ENDS);
        store_dir_write_log(dir, &text);
        kvstore *store = open_plain(dir);

        assert_int_equal(kvstore_repair(store, NULL, NULL), KVSTORE_OK);

        kvstore_close(store);
        assert_repaired(dir, keys);
        log_text_release(&text);
        store_dir_tear_down(state);
        store_dir_set_up(state);
        dir = *state;
    }
    kv_io_swap_table(kv_io_system_table());
}

/* --- A damaged line that was mended under its index --- */

static int64_t allocated = 0;            /* Blocks that the library holds. */
static uint64_t until_none = UINT64_MAX; /* Allocations that succeed first. */

static void *counted_malloc(size_t size)
{
    void *memory = until_none == 0 ? NULL : malloc(size);
    until_none -= until_none == 0 ? 0 : 1;
    allocated += memory != NULL ? 1 : 0;
    return memory;
}

static void counted_free(void *memory)
{
    allocated -= memory != NULL ? 1 : 0;
    free(memory);
}

/* Opens a store that has an older value of "a", and mends the line of the newer
 * one: the first look finds the older value, and a reason to look again. */
static kvstore *open_mended(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    struct log_text sound = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "old");
    size_t damage = log_text_damaged_set(&text, "a", "new");
    log_text_set(&text, "b", "1");
    log_text_set(&sound, "a", "new");
    kvstore *store = open_text(dir, &text);
    store_dir_overwrite(dir, "store.log", damage, sound.bytes, sound.size);
    log_text_release(&text);
    log_text_release(&sound);
    return store;
}

static void get_mended(const struct store_dir *dir)
{
    kvstore *store = open_mended(dir);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, "a", 1, &value, &size), KVSTORE_OK);
    assert_string_equal(value, "new");
    kvstore_free(value);
    kvstore_close(store);
}

static void get_many_mended(const struct store_dir *dir)
{
    kvstore *store = open_mended(dir);
    kvstore_item item = {.key = "a", .key_size = 1};
    assert_int_equal(kvstore_get_many(store, &item, 1), KVSTORE_OK);
    assert_int_equal(item.status, KVSTORE_OK);
    assert_string_equal(item.value, "new");
    kvstore_free(item.value);
    kvstore_close(store);
}

static void value_in_doubt_is_released(void **state)
{
    void (*const gets[])(const struct store_dir *) = {get_mended,
                                                      get_many_mended};
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = counted_malloc;
    table.free = counted_free;
    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++) {
        store_dir_tear_down(state);
        store_dir_set_up(state);
        allocated = 0;
        kv_io_swap_table(&table);

        gets[i](*state);

        kv_io_swap_table(kv_io_system_table());
        assert_int_equal(allocated, 0);
    }
}

/* What keeps the index from being built anew is what is told, not damage. */
static void doubt_without_memory_is_no_damage(void **state)
{
    struct kv_io_table table = *kv_io_system_table();
    kvstore_status status = KVSTORE_NO_MEMORY;
    uint64_t failures = 0;
    table.malloc = counted_malloc;
    table.free = counted_free;
    while (status != KVSTORE_OK) {
        store_dir_tear_down(state);
        store_dir_set_up(state);
        kv_io_swap_table(&table);
        kvstore *store = open_mended(*state);
        char value[8];
        size_t size = 0;

        until_none = failures;
        status = kvstore_get_into(store, "a", 1, value, sizeof value, &size);
        until_none = UINT64_MAX;

        assert_true(status == KVSTORE_OK || status == KVSTORE_NO_MEMORY);
        failures += status == KVSTORE_OK ? 0 : 1;
        kvstore_close(store);
        kv_io_swap_table(kv_io_system_table());
    }
    assert_true(failures > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(damaged_newest_line_hides_the_older_value),
        STORE_TEST(damaged_line_alone_makes_its_key_corrupt),
        STORE_TEST(later_set_heals_the_key),
        STORE_TEST(remove_heals_the_key),
        STORE_TEST(record_newer_than_the_damage_is_served),
        STORE_TEST(line_that_rots_under_a_handle_is_corrupt),
        STORE_TEST(compaction_meets_what_rotted),
        STORE_TEST(compaction_saves_what_rotted_at_the_end),
        STORE_TEST(newest_damage_is_the_newest_after_a_compaction),
        STORE_TEST(torn_line_is_cut_by_the_next_set),
        STORE_TEST(torn_lines_are_saved_by_the_next_remove),
        STORE_TEST(missing_newline_is_added_by_the_next_set),
        STORE_TEST(closed_damaged_last_line_stays),
        STORE_TEST(group_write_with_a_lost_page_works_on),
        STORE_TEST(removed_key_does_not_come_back),
        STORE_TEST(broken_batch_is_corrupt_and_whole_ones_are_not),
        STORE_TEST(torn_batch_is_not_applied),
        STORE_TEST(flipped_bit_in_the_first_line_of_a_batch_is_damage),
        STORE_TEST(batch_is_seen_once_it_is_whole),
        STORE_TEST(value_in_doubt_is_released),
        STORE_TEST(doubt_without_memory_is_no_damage),
        STORE_TEST(unreachable_keys_survive),
        STORE_TEST(huge_garbage_and_deep_nesting_are_carried),
        STORE_TEST(any_changed_byte_serves_nothing_wrong),
        STORE_TEST(repair_leaves_no_damage_whatever_is_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
