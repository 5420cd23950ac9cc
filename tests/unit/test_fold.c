/* SPDX-License-Identifier: MIT */

/* Does log/fold.c do what its header promises? A fold is compared with a
 * string: one letter for the verdict on each line, then what the fold ended
 * with. */

#include "log/fold.h"
#include "log/padding.h"
#include "log_text.h"
#include "os/error.h"
#include "store_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEGABYTE ((size_t)1 << 20)

/* S and R are records, U is unknown, D damage, . blank, | a torn tail, ~ a
 * newline that is missing. */
struct verdicts {
    char letters[64];
    size_t count;
    uint64_t next_offset;
};

static kvstore_status visit(void *context, const struct kv_fold_item *item)
{
    struct verdicts *verdicts = context;
    static const char letters[] = {[KV_RECORD_BLANK] = '.',
                                   [KV_RECORD_SET] = 'S',
                                   [KV_RECORD_REMOVE] = 'R',
                                   [KV_RECORD_UNKNOWN] = 'U',
                                   [KV_RECORD_DAMAGED] = 'D'};
    assert_true(verdicts->count < sizeof verdicts->letters - 3);
    assert_int_equal(item->pointer.offset, verdicts->next_offset);
    assert_true(item->pointer.length > 0);
    verdicts->next_offset += item->pointer.length;
    verdicts->letters[verdicts->count++] = letters[item->type];
    return KVSTORE_OK;
}

static struct kv_log open_log(const struct store_dir *dir)
{
    struct kv_log log;
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    return log;
}

static struct kv_fold_result fold_from(const struct store_dir *dir,
                                       uint64_t offset,
                                       bool follows_damage,
                                       const char *expected)
{
    struct verdicts verdicts = {.next_offset = offset};
    struct kv_fold_result result;
    struct kv_log log = open_log(dir);
    struct kv_fold_range range = {
        .offset = offset,
        .end = store_dir_file_size(dir, KV_LOG_NAME),
        .follows = follows_damage ? KV_FOLD_FOLLOWS_DAMAGE : 0};
    kvstore_status status = kv_fold(&log, range, visit, &verdicts, &result);
    kv_log_close(&log);
    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(result.offset, verdicts.next_offset);
    if (result.is_torn) {
        verdicts.letters[verdicts.count++] = '|';
    }
    if (result.is_unterminated) {
        verdicts.letters[verdicts.count++] = '~';
    }
    assert_string_equal(verdicts.letters, expected);
    return result;
}

/* Writes the text as the log, folds it all, and releases the text. */
static struct kv_fold_result assert_fold(void **state,
                                         struct log_text *text,
                                         const char *expected)
{
    const struct store_dir *dir = *state;
    store_dir_write_log(dir, text);
    struct kv_fold_result result = fold_from(dir, 0, false, expected);
    if (strpbrk(expected, "|~") == NULL) {
        assert_int_equal(result.offset, text->size);
    }
    if (result.is_unterminated) {
        assert_int_equal(result.offset, text->size + 1);
    }
    log_text_release(text);
    return result;
}

/* --- Single lines --- */

static void empty_log_has_no_lines(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    assert_fold(state, &text, "");
}

static void every_kind_of_line_is_told(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_remove(&text, "a");
    log_text_add(&text, " \t\r\n");
    log_text_add(&text, "\n");
    log_text_add(&text, "{\"Rename\":{\"key\":\"a\",\"sum\":\"a797431c\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"u\",\"val\":\"v\"}}\n");
    log_text_damaged_set(&text, "b", "2");

    assert_fold(state, &text, "SR..USD");
}

static void blank_line_in_the_middle_hides_nothing(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "\n");
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "S.S");
}

static void echoed_line_in_the_middle_hides_nothing(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "hello\n");
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "SDS");
}

static void four_kib_of_nuls_hide_nothing_behind(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\0', 4096);
    log_text_set(&text, "b", "2");
    log_text_set(&text, "c", "3");

    assert_fold(state, &text, "SDSS");
}

static void nuls_with_a_newline_are_one_line(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_fill(&text, '\0', 5000);
    log_text_add(&text, "\n");
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "DS");
}

static void nuls_within_a_line_damage_that_line_alone(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t at = log_text_set(&text, "b", "2222222222");
    log_text_set(&text, "c", "3");
    memset(text.bytes + at + 22, '\0', 6);

    assert_fold(state, &text, "SDS");
}

static kvstore_status count(void *context, const struct kv_fold_item *item)
{
    uint64_t *counts = context;
    counts[item->type]++;
    return KVSTORE_OK;
}

/* A lost block can end where a line begins. Wherever it ends, no line that it
 * does not touch may be lost. */
static void nuls_ending_anywhere_hide_no_whole_line(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t second = log_text_set(&text, "b", "2");
    size_t third = log_text_set(&text, "c", "3");
    log_text_set(&text, "d", "4");
    struct kv_fold_range range = {.end = text.size};
    for (size_t start = second; start < third; start++) {
        store_dir_write_log(dir, &text);
        char nuls[256] = "";
        store_dir_overwrite(dir, KV_LOG_NAME, start, nuls, third - start);
        struct kv_log log = open_log(dir);
        struct kv_fold_result result;
        uint64_t counts[KV_RECORD_DAMAGED + 1] = {0};

        kvstore_status status = kv_fold(&log, range, count, counts, &result);

        kv_log_close(&log);
        assert_int_equal(status, KVSTORE_OK);
        assert_int_equal(counts[KV_RECORD_SET], 3);
        assert_true(counts[KV_RECORD_DAMAGED] > 0);
        assert_int_equal(result.offset, text.size);
    }
    log_text_release(&text);
}

static void line_of_twenty_megabytes_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, 'x', 20 * MEGABYTE);
    log_text_add(&text, "\n");
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "SDS");
}

static void nesting_of_a_hundred_thousand_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":");
    log_text_fill(&text, '[', 100000);
    log_text_fill(&text, ']', 100000);
    log_text_add(&text, "}\n");
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "DS");
}

static void upper_case_sum_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "user", "Alice");
    char *sum = strstr(text.bytes, "\"sum\":\"") + strlen("\"sum\":\"");
    memcpy(sum, "B2FD84AB", 8);
    log_text_set(&text, "b", "2");

    assert_fold(state, &text, "DS");
}

/* --- The end of the log --- */

static void unterminated_record_counts_its_newline(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "2");
    log_text_chop(&text, 1);

    assert_fold(state, &text, "SS~");
}

/* Folds to the end of the file, knowing of padding, and returns where that
 * stops. */
static uint64_t fold_padded(const struct store_dir *dir,
                            const struct log_text *text,
                            const char *expected)
{
    struct verdicts verdicts = {.count = 0};
    struct kv_fold_result result;
    store_dir_write_log(dir, text);
    struct kv_log log = open_log(dir);
    struct kv_fold_range range = {.end = text->size, .may_be_padded = true};
    assert_int_equal(kv_fold(&log, range, visit, &verdicts, &result),
                     KVSTORE_OK);
    kv_log_close(&log);
    assert_string_equal(verdicts.letters, expected);
    assert_false(result.is_torn || result.is_unterminated);
    return result.offset;
}

static void padding_at_the_end_is_left_out(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\t', 1000);
    log_text_add(&text, "\n");
    log_text_set(&text, "b", "2");
    size_t end = text.size;
    log_text_fill(&text, '\t', 1000);

    assert_int_equal(fold_padded(dir, &text, "S.S"), end);
    log_text_fill(&text, '\t', KV_PADDING_UNIT - text.size - 1);
    assert_int_equal(fold_padded(dir, &text, "S.S"), end);
    log_text_add(&text, "\n");
    assert_int_equal(fold_padded(dir, &text, "S.S"), end);
    (void)assert_fold(state, &text, "S.S.");
}

static void tabs_that_end_elsewhere_are_no_padding(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\t', KV_PADDING_UNIT - text.size - 2);
    log_text_add(&text, "\n");

    assert_int_equal(fold_padded(*state, &text, "S."), text.size);
    log_text_release(&text);
}

static void short_blanks_at_the_end_are_no_padding(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\t', 62);
    log_text_add(&text, "\n");

    assert_int_equal(fold_padded(*state, &text, "S."), text.size);
    log_text_release(&text);
}

static void unterminated_blanks_count_their_newline(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "  ");

    assert_fold(state, &text, "S.~");
}

static void every_cut_of_the_last_line_is_torn(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t last = log_text_set(&text, "b", "2");
    size_t whole = text.size - 1;
    for (size_t size = last + 1; size < whole; size++) {
        text.size = size;
        store_dir_write_log(dir, &text);

        struct kv_fold_result result = fold_from(dir, 0, false, "S|");

        assert_int_equal(result.offset, last);
    }
    log_text_release(&text);
}

static void unread_lines_before_white_space_are_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t torn = log_text_add(&text, "one\ntwo\n{three\n\n \t\n\n");

    struct kv_fold_result result = assert_fold(state, &text, "S|");

    assert_int_equal(result.offset, torn);
}

static void nuls_at_the_end_are_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_fill(&text, '\0', 8192);
    log_text_add(&text, "\n\n");

    assert_fold(state, &text, "S|");
}

static void closed_last_line_is_damage_not_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "{no record}\n");

    assert_fold(state, &text, "SD");
}

static void closed_line_makes_damage_of_those_before(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_add(&text, "one\ntwo\n\n");
    log_text_damaged_set(&text, "b", "2");
    log_text_add(&text, "three\n");

    assert_fold(state, &text, "SDD.D|");
}

static void closed_line_without_its_newline_is_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_damaged_set(&text, "b", "2");
    log_text_chop(&text, 1);

    assert_fold(state, &text, "S|");
}

static void closed_line_with_a_nul_is_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t at = log_text_set(&text, "b", "2");
    text.bytes[at + 18] = '\0';

    assert_fold(state, &text, "S|");
}

/* What is left of a line when the sector with its beginning did not reach the
 * disk. */
static void line_behind_a_lost_sector_is_torn_where_that_can_be(void **state)
{
    static const struct {
        size_t blanks;
        const char *shape;
    } rows[] = {{504, ".|"}, {503, ".DD"}, {1016, ".|"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_fill(&text, ' ', rows[i].blanks);
        log_text_add(&text, "\n");
        log_text_fill(&text, '\0', 7);
        log_text_add(&text, "{\"key\":\"k\",\"value\":\"v\"}}\n");

        assert_fold(state, &text, rows[i].shape);
    }
}

/* What is left of a line that was written across the end of padding: the sector
 * before is as it was, tabs and a newline. */
static void line_behind_the_end_of_padding_is_torn(void **state)
{
    static const struct {
        size_t end;
        char last;
        const char *shape;
    } rows[] = {{65536, '\t', "S|"},
                {131072, '\t', "S|"},
                {65536 - 512, '\t', "SDD"},
                {65536 + 1, '\t', "SDD"},
                {65536, ' ', "SDD"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        log_text_set(&text, "k", "old");
        log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":\"");
        log_text_fill(&text, 'v', 70);
        log_text_fill(&text, '\t', rows[i].end - text.size - 2);
        log_text_fill(&text, rows[i].last, 1);
        log_text_add(&text, "\n{v\",\"sum\":\"00000000\"}}\n");

        assert_fold(state, &text, rows[i].shape);
    }
}

static void record_behind_a_lost_sector_is_a_record(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_fill(&text, '\0', 512);
    log_text_set(&text, "a", "1");

    assert_fold(state, &text, "DS");
}

static void unknown_last_line_is_no_torn_tail(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n");
    log_text_add(&text, "{\"Rename\":{\"key\":\"a\",\"sum\":\"a797431c\"}}");

    assert_fold(state, &text, "DU~");
}

static void group_write_with_a_lost_page_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char value[1025];
    memset(value, 'v', 1024);
    value[1024] = '\0';
    char key[] = "a";
    for (int i = 0; i < 16; i++) {
        key[0] = (char)('a' + i);
        log_text_set(&text, key, value);
    }
    /* Most of line 3 and the beginning of line 4, which become one. */
    memset(text.bytes + 2500, '\0', 1500);

    assert_fold(state, &text, "SSDSSSSSSSSSSSS");
}

/* --- Batches --- */

static void whole_batch_is_records(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_remove(&text, "z", 2);
    log_text_batch_set(&text, "c", "3", 1);

    assert_fold(state, &text, "SSRS");
}

static void batch_of_one_is_a_record(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 1);
    log_text_batch_set(&text, "b", "2", 1);

    assert_fold(state, &text, "SS");
}

static void neighbouring_batches_are_told_apart(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 2);
    log_text_batch_set(&text, "b", "2", 1);
    log_text_batch_set(&text, "c", "3", 2);
    log_text_batch_set(&text, "d", "4", 1);

    assert_fold(state, &text, "SSSS");
}

static void batch_without_its_last_line_is_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    size_t torn = log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_set(&text, "b", "2", 2);

    struct kv_fold_result result = assert_fold(state, &text, "S|");

    assert_int_equal(result.offset, torn);
}

static void batch_of_which_one_line_is_left_is_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    log_text_batch_set(&text, "a", "1", 3);

    assert_fold(state, &text, "S|");
}

static void batch_with_a_torn_last_line_is_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    log_text_batch_set(&text, "a", "1", 2);
    log_text_batch_set(&text, "b", "2", 1);
    log_text_chop(&text, 5);

    assert_fold(state, &text, "S|");
}

static void unterminated_batch_that_reads_is_whole(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 2);
    log_text_batch_set(&text, "b", "2", 1);
    log_text_chop(&text, 1);

    assert_fold(state, &text, "SS~");
}

static void unfinished_batch_before_a_record_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_set(&text, "b", "2", 2);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDS");
}

static void unfinished_batch_before_another_is_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 3);
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 2);
    log_text_batch_set(&text, "d", "4", 1);

    assert_fold(state, &text, "DDSS");
}

static void damaged_middle_breaks_the_whole_batch(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 4);
    log_text_batch_set(&text, "b", "2", 3);
    log_text_damaged_set(&text, "c", "3");
    log_text_batch_set(&text, "d", "4", 1);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDDDS");
}

static void lost_middle_breaks_the_whole_batch(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 4);
    log_text_fill(&text, '\0', 4096);
    log_text_batch_set(&text, "c", "3", 2);
    log_text_batch_set(&text, "d", "4", 1);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDDDS");
}

static void batch_whose_head_is_damage_is_broken(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_fill(&text, '\0', 100);
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 1);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDDS");
}

static void single_behind_damage_is_broken(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n");
    log_text_batch_set(&text, "b", "2", 1);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDS");
}

static void batch_behind_a_broken_one_is_whole(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n");
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 1);
    log_text_batch_set(&text, "d", "4", 2);
    log_text_batch_set(&text, "e", "5", 1);
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "DDDSSS");
}

/* The same with nothing after it: the sound batch is enough to keep what is
 * before it. */
static void whole_batch_keeps_the_damage_before_it(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    log_text_add(&text, "garbage\n");
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 1);
    log_text_batch_set(&text, "d", "4", 2);
    log_text_batch_set(&text, "e", "5", 1);

    assert_fold(state, &text, "SDDDSS");
}

static void damage_and_the_rest_of_its_batch_are_torn(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    size_t torn = log_text_fill(&text, '\0', 4096);
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 1);

    struct kv_fold_result result = assert_fold(state, &text, "S|");

    assert_int_equal(result.offset, torn);
}

static void blank_line_ends_a_batch(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a", "1", 2);
    log_text_add(&text, "\n");
    log_text_set(&text, "z", "0");

    assert_fold(state, &text, "D.S");
}

static void batch_behind_a_blank_line_stands_alone(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n\n");
    log_text_batch_set(&text, "b", "2", 2);
    log_text_batch_set(&text, "c", "3", 1);

    assert_fold(state, &text, "D.SS");
}

static void large_batch_is_whole(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    char key[16];
    for (unsigned i = 40000; i > 0; i--) {
        (void)snprintf(key, sizeof key, "key%u", i);
        log_text_batch_set(&text, key, "v", i);
    }
    size_t whole = text.size;
    log_text_add(&text, "{");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct kv_fold_result result;
    uint64_t counts[KV_RECORD_DAMAGED + 1] = {0};
    struct kv_fold_range range = {.end = text.size};

    kvstore_status status = kv_fold(&log, range, count, counts, &result);

    kv_log_close(&log);
    log_text_release(&text);
    assert_int_equal(status, KVSTORE_OK);
    assert_int_equal(counts[KV_RECORD_SET], 40000);
    assert_int_equal(result.offset, whole);
    assert_true(result.is_torn);
}

/* --- Ranges --- */

static void fold_begins_where_it_is_told(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t second = log_text_remove(&text, "a");
    log_text_set(&text, "b", "2");
    store_dir_write_log(dir, &text);
    log_text_release(&text);

    fold_from(dir, second, false, "RS");
}

static void damage_before_the_range_breaks_its_batch(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "garbage\n");
    size_t second = text.size;
    log_text_batch_set(&text, "b", "2", 1);
    size_t third = log_text_set(&text, "z", "0");
    store_dir_write_log(dir, &text);
    log_text_release(&text);

    fold_from(dir, second, true, "DS");
    fold_from(dir, second, false, "SS");
    fold_from(dir, third, true, "S");
}

static void result_tells_damage_at_the_end(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "z", "0");
    log_text_damaged_set(&text, "a", "1");
    assert_true(assert_fold(state, &text, "SD").follows ==
                KV_FOLD_FOLLOWS_DAMAGE);

    log_text_damaged_set(&text, "a", "1");
    log_text_set(&text, "z", "0");
    assert_true(assert_fold(state, &text, "DS").follows == 0);
}

static void fold_ends_where_the_file_does(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct verdicts verdicts = {.count = 0};
    struct kv_fold_result result;
    struct kv_fold_range range = {.end = text.size + 1000};

    kvstore_status status = kv_fold(&log, range, visit, &verdicts, &result);

    kv_log_close(&log);
    assert_int_equal(status, KVSTORE_OK);
    assert_string_equal(verdicts.letters, "S");
    assert_int_equal(result.offset, text.size);
    log_text_release(&text);
}

static kvstore_status refuse(void *context, const struct kv_fold_item *item)
{
    (void)context;
    return item->type == KV_RECORD_REMOVE
               ? kv_fail(KVSTORE_BUSY, "no removes here")
               : KVSTORE_OK;
}

static void failing_visit_ends_the_fold(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    size_t second = log_text_remove(&text, "a");
    log_text_set(&text, "b", "2");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct kv_fold_result result;
    struct kv_fold_range range = {.end = text.size};

    kvstore_status status = kv_fold(&log, range, refuse, NULL, &result);

    kv_log_close(&log);
    log_text_release(&text);
    assert_int_equal(status, KVSTORE_BUSY);
    assert_int_equal(result.offset, second);
}

struct patience {
    size_t left;
    bool is_over;
};

static kvstore_status visit_patiently(void *context,
                                      const struct kv_fold_item *item)
{
    struct patience *patience = context;
    assert_int_equal(item->type, KV_RECORD_SET);
    assert_false(patience->is_over);
    patience->left--;
    patience->is_over = patience->left == 0;
    return KVSTORE_OK;
}

static void visit_that_wants_no_other_ends_the_fold(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "1");
    size_t third = log_text_set(&text, "c", "1");
    store_dir_write_log(dir, &text);
    struct kv_log log = open_log(dir);
    struct patience patience = {.left = 2};
    struct kv_fold_range range = {.end = text.size,
                                  .is_over = &patience.is_over};
    struct kv_fold_result result;

    assert_int_equal(kv_fold(&log, range, visit_patiently, &patience, &result),
                     KVSTORE_OK);

    assert_true(patience.is_over);
    assert_int_equal(result.offset, third);
    kv_log_close(&log);
    log_text_release(&text);
}

/* --- How much is read --- */

static uint64_t bytes_read;

static ssize_t counting_pread(int fd, void *buffer, size_t size, off_t offset)
{
    bytes_read += size;
    return kv_io_system_table()->pread(fd, buffer, size, offset);
}

static kvstore_status count_damage(void *context,
                                   const struct kv_fold_item *item)
{
    *(uint64_t *)context += item->type == KV_RECORD_DAMAGED ? 1 : 0;
    return KVSTORE_OK;
}

/* For each of many damaged lines its anchor is searched for, or its newline;
 * what the fold has in memory is not read again for that. */
static void damage_is_read_a_few_times_at_most(void **state)
{
    const struct store_dir *dir = *state;
    static const char pieces[][5] = {{'x', '\0', '{', '}', '\n'},
                                     {'x', '\0', '{', 'x', '\0'}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        for (int j = 0; j < 60000; j++) {
            log_text_add_bytes(&text, pieces[i], sizeof *pieces);
        }
        log_text_add(&text, "\n");
        log_text_set(&text, "a", "1");
        store_dir_write_log(dir, &text);
        struct kv_log log = open_log(dir);
        struct kv_fold_range range = {.end = text.size};
        struct kv_fold_result result;
        struct kv_io_table table = *kv_io_system_table();
        uint64_t damaged = 0;
        table.pread = counting_pread;
        bytes_read = 0;
        kv_io_swap_table(&table);

        kvstore_status status =
            kv_fold(&log, range, count_damage, &damaged, &result);

        kv_io_swap_table(kv_io_system_table());
        assert_int_equal(status, KVSTORE_OK);
        assert_int_equal(result.offset, text.size);
        assert_true(damaged >= 60000);
        assert_true(bytes_read <= 3 * text.size);
        kv_log_close(&log);
        log_text_release(&text);
    }
}

/* --- Whether a line was written whole --- */

static void line_looks_closed_by_where_it_is(void **state)
{
    (void)state;
    static char tabs[2000];
    static const struct {
        const char *line;
        uint64_t offset;
        const char *before;
        bool is_closed;
    } rows[] = {{"{}", 0, "\0\0", true},
                {"{}", 1, "\0\0", true},
                {" {x} \r", 7, "\n\n", true},
                {"{", 7, "}\n", false},
                {"}", 7, "}\n", false},
                {"x{}", 7, "}\n", false},
                {"{}x", 7, "}\n", false},
                {"", 7, "}\n", false},
                {" \t", 7, "}\n", false},
                {"{}", 512, "}\n", true},
                {"{}", 512, "}\0", false},
                {"{}", 511, "}\0", true},
                {"{}", 513, "}\0", true},
                {"{}", 1024, "\t\n", true},
                {"{}", KV_PADDING_UNIT, "\t\n", false},
                {"{}", KV_PADDING_UNIT, " \n", true},
                {"{}", KV_PADDING_UNIT, "\tx", true},
                {"{}\t", KV_PADDING_UNIT - 4, "}\n", false},
                {"{} ", KV_PADDING_UNIT - 4, "}\n", true},
                {"{}\t", KV_PADDING_UNIT - 5, "}\n", true},
                {" {}", 511, "}\n", false},
                {" {}", 512, "}\n", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(kv_fold_is_closed_at(rows[i].line,
                                              strlen(rows[i].line),
                                              rows[i].offset,
                                              rows[i].before),
                         rows[i].is_closed);
    }
    assert_false(kv_fold_is_closed_at("{\0}", 3, 7, "}\n"));
    memset(tabs, '\t', sizeof tabs);
    tabs[0] = '{';
    tabs[1100] = '}';
    assert_false(kv_fold_is_closed_at(tabs, 1101, 1, "}\n"));
    tabs[600] = 'x';
    assert_false(kv_fold_is_closed_at(tabs, 1101, 512 - 64, "}\n"));
    assert_true(kv_fold_is_closed_at(tabs, 1101, 512, "}\n"));
}

static const struct CMUnitTest tests[] = {
    STORE_TEST(empty_log_has_no_lines),
    STORE_TEST(every_kind_of_line_is_told),
    STORE_TEST(blank_line_in_the_middle_hides_nothing),
    STORE_TEST(echoed_line_in_the_middle_hides_nothing),
    STORE_TEST(four_kib_of_nuls_hide_nothing_behind),
    STORE_TEST(nuls_with_a_newline_are_one_line),
    STORE_TEST(nuls_within_a_line_damage_that_line_alone),
    STORE_TEST(nuls_ending_anywhere_hide_no_whole_line),
    STORE_TEST(line_of_twenty_megabytes_is_damage),
    STORE_TEST(nesting_of_a_hundred_thousand_is_damage),
    STORE_TEST(upper_case_sum_is_damage),
    STORE_TEST(unterminated_record_counts_its_newline),
    STORE_TEST(padding_at_the_end_is_left_out),
    STORE_TEST(tabs_that_end_elsewhere_are_no_padding),
    STORE_TEST(short_blanks_at_the_end_are_no_padding),
    STORE_TEST(unterminated_blanks_count_their_newline),
    STORE_TEST(every_cut_of_the_last_line_is_torn),
    STORE_TEST(unread_lines_before_white_space_are_torn),
    STORE_TEST(nuls_at_the_end_are_torn),
    STORE_TEST(closed_last_line_is_damage_not_torn),
    STORE_TEST(closed_line_makes_damage_of_those_before),
    STORE_TEST(closed_line_without_its_newline_is_torn),
    STORE_TEST(closed_line_with_a_nul_is_torn),
    STORE_TEST(line_behind_a_lost_sector_is_torn_where_that_can_be),
    STORE_TEST(line_behind_the_end_of_padding_is_torn),
    STORE_TEST(record_behind_a_lost_sector_is_a_record),
    STORE_TEST(unknown_last_line_is_no_torn_tail),
    STORE_TEST(group_write_with_a_lost_page_is_damage),
    STORE_TEST(whole_batch_is_records),
    STORE_TEST(batch_of_one_is_a_record),
    STORE_TEST(neighbouring_batches_are_told_apart),
    STORE_TEST(batch_without_its_last_line_is_torn),
    STORE_TEST(batch_of_which_one_line_is_left_is_torn),
    STORE_TEST(batch_with_a_torn_last_line_is_torn),
    STORE_TEST(unterminated_batch_that_reads_is_whole),
    STORE_TEST(unfinished_batch_before_a_record_is_damage),
    STORE_TEST(unfinished_batch_before_another_is_damage),
    STORE_TEST(damaged_middle_breaks_the_whole_batch),
    STORE_TEST(lost_middle_breaks_the_whole_batch),
    STORE_TEST(batch_whose_head_is_damage_is_broken),
    STORE_TEST(single_behind_damage_is_broken),
    STORE_TEST(batch_behind_a_broken_one_is_whole),
    STORE_TEST(whole_batch_keeps_the_damage_before_it),
    STORE_TEST(damage_and_the_rest_of_its_batch_are_torn),
    STORE_TEST(blank_line_ends_a_batch),
    STORE_TEST(batch_behind_a_blank_line_stands_alone),
    STORE_TEST(large_batch_is_whole),
    STORE_TEST(fold_begins_where_it_is_told),
    STORE_TEST(damage_before_the_range_breaks_its_batch),
    STORE_TEST(result_tells_damage_at_the_end),
    STORE_TEST(fold_ends_where_the_file_does),
    STORE_TEST(failing_visit_ends_the_fold),
    STORE_TEST(visit_that_wants_no_other_ends_the_fold),
    STORE_TEST(line_looks_closed_by_where_it_is),
    STORE_TEST(damage_is_read_a_few_times_at_most),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
