/* SPDX-License-Identifier: MIT */

/* Does the fold see the lines that are there? It reads most of them by a
 * shortcut, in which the decoder finds a line's end. Here each item is compared
 * with what cursor and decoder, one after the other, say of the line, over logs
 * that hold all that a log can hold, side by side. */

#include "log/cursor.h"
#include "log/fold.h"
#include "log_text.h"
#include "record/decode.h"
#include "record/plan.h"
#include "store_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint64_t random_state = 0;

/* Returns the same numbers in each run (splitmix64). */
static size_t random_below(size_t bound)
{
    uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

/* --- Logs of everything --- */

/* Writes text, text with escapes, UTF-8, or any bytes. */
static size_t random_bytes(char *out, size_t least, size_t most)
{
    static const char *const pieces[] = {
        "a", "\"", "\\", "\n", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff"};
    size_t choices = 1 + random_below(COUNT(pieces));
    size_t wanted = least + random_below(most - least - 4);
    size_t size = 0;
    while (size < wanted) {
        const char *piece = pieces[random_below(choices)];
        memcpy(out + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return size;
}

static void add_record(struct log_text *text)
{
    char key[40];
    char value[300];
    char line[4096];
    size_t key_size = random_bytes(key, 1, sizeof key);
    size_t value_size = random_bytes(value, 0, sizeof value);
    struct kv_record_plan plan =
        random_below(3) != 0
            ? kv_record_plan_set(key, key_size, value, value_size)
            : kv_record_plan_remove(key, key_size);
    assert_true(plan.line_size <= sizeof line);
    kv_record_encode(&plan, line);
    log_text_add_bytes(text, line, plan.line_size);
}

/* Adds a batch, mostly whole, sometimes broken off or a line short. */
static void add_batch(struct log_text *text)
{
    unsigned count = 1 + (unsigned)random_below(5);
    uint64_t missing = random_below(12);
    for (unsigned batch = count; batch > 0; batch--) {
        if (batch == missing) {
            continue;
        }
        if (random_below(2) == 0) {
            log_text_batch_set(text, "key", "value", batch);
        } else {
            log_text_batch_remove(text, "key", batch);
        }
    }
}

/* Adds a line that other programs write, or that none should. */
static void add_other_line(struct log_text *text)
{
    static const char *const lines[] = {
        "\n",
        " \t\r\n",
        "{\"Set\":{\"key\":\"a\",\"value\":\"b\"}}\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"b\",\"batch\":1}}\n",
        "{\"Remove\":{\"key\":\"a\"}}\n",
        "{\"Remove\":{\"key\":\"a\"}}\r\n",
        "{\"Remove\":{\"key\":\"a\"}} \n",
        "{\"Remove\":{\"key\":\"\"}}\n",
        "{\"Set\":{\"key64\":\"YQ==\",\"val64\":\"YWI=\"}}\n",
        "{\"Set\":{\"key64\":\"YQ=\",\"val64\":\"YWI=\"}}\n",
        "{\"Set\":{\"key64\":\"YQ\n",
        "{\"Set\":{\"key\":\"a\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"\\u0000\"}}\n",
        " {\"Set\" : {\"key\":\"a\", \"val\":\"b\"}}\n",
        "{\"Set\":{\"val\":\"b\",\"key\":\"a\",\"other\":[1]}}\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"b\",\"sum\":\"00000000\"}}\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"b\"},\"sum\":\"00000000\"}}\n",
        "{\"Rename\":{\"key\":\"a\",\"sum\":\"a797431c\"}}\n",
        "hello\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"b\"}}",
        "{\"Set\":",
    };
    log_text_add(text, lines[random_below(COUNT(lines))]);
}

static void add_something(struct log_text *text)
{
    switch (random_below(10)) {
    case 0:
        log_text_fill(text, '\0', 1 + random_below(40));
        break;
    case 1:
    case 2:
        add_batch(text);
        break;
    case 3:
    case 4:
        add_other_line(text);
        break;
    case 5:
        log_text_damaged_set(text, "key", "value");
        break;
    default:
        add_record(text);
        break;
    }
}

/* Changes, zeroes or removes bytes anywhere. */
static void damage(struct log_text *text)
{
    size_t place = random_below(text->size);
    size_t left = text->size - place;
    size_t count = 1 + random_below(left < 60 ? left : 60);
    switch (random_below(3)) {
    case 0:
        text->bytes[place] =
            (char)(text->bytes[place] ^ (1 << random_below(8)));
        break;
    case 1:
        memset(text->bytes + place, '\0', count);
        break;
    default:
        memmove(text->bytes + place, text->bytes + place + count, left - count);
        log_text_chop(text, count);
        break;
    }
}

static struct log_text random_log(size_t least_size, uint64_t damages)
{
    struct log_text text = LOG_TEXT_EMPTY;
    do {
        add_something(&text);
    } while (text.size < least_size);
    for (; damages > 0 && text.size > 100; damages--) {
        damage(&text);
    }
    return text;
}

/* --- The other way --- */

struct witness {
    struct kv_log_cursor cursor;
    uint64_t end;
    uint64_t lines;
};

static void assert_same_text(const struct kv_text *left,
                             const struct kv_text *right)
{
    assert_int_equal(left->form, right->form);
    assert_int_equal(left->size, right->size);
    assert_int_equal(left->raw_size, right->raw_size);
    assert_memory_equal(left->raw, right->raw, right->raw_size);
}

static void assert_same_command(const struct kv_record *left,
                                const struct kv_record *right)
{
    assert_int_equal(left->type, right->type);
    assert_int_equal(left->has_key, right->has_key);
    assert_int_equal(left->batch, right->batch);
    assert_int_equal(left->damage, right->damage);
    assert_int_equal(left->owned == NULL, right->owned == NULL);
    assert_same_text(&left->key, &right->key);
    assert_same_text(&left->value, &right->value);
}

static kvstore_status compare(void *context, const struct kv_fold_item *item)
{
    struct witness *witness = context;
    struct kv_log_view view;
    struct kv_record record;
    assert_int_equal(kv_log_cursor_next(&witness->cursor, &view), KVSTORE_OK);
    assert_int_equal(kv_record_decode(view.bytes, view.size, &record),
                     KVSTORE_OK);

    bool lacks_newline =
        !view.is_terminated &&
        view.pointer.offset + view.pointer.length == witness->end;
    assert_int_equal(item->pointer.offset, view.pointer.offset);
    assert_int_equal(item->pointer.length,
                     view.pointer.length + (lacks_newline ? 1 : 0));
    assert_int_equal(item->size, view.size);
    assert_memory_equal(item->bytes, view.bytes, view.size);
    assert_same_command(item->record, &record);
    assert_true(item->type == record.type ||
                (item->type == KV_RECORD_DAMAGED && record.batch != 0));
    kv_record_release(&record);
    witness->lines++;
    return KVSTORE_OK;
}

/* Returns how many lines were compared. */
static uint64_t fold_beside(const struct store_dir *dir,
                            const struct log_text *text,
                            size_t window_size)
{
    store_dir_write_log(dir, text);
    struct kv_log log;
    struct witness witness = {.end = text->size};
    struct kv_fold_range range = {.end = text->size};
    struct kv_fold_result result;
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    assert_int_equal(
        kv_log_cursor_init(&witness.cursor, &log, 0, text->size, window_size),
        KVSTORE_OK);

    assert_int_equal(kv_fold(&log, range, compare, &witness, &result),
                     KVSTORE_OK);

    assert_int_equal(result.offset - (result.is_unterminated ? 1 : 0),
                     witness.cursor.offset);
    assert_true(result.is_torn || witness.cursor.offset == text->size);
    kv_log_cursor_release(&witness.cursor);
    kv_log_close(&log);
    return witness.lines;
}

/* --- Tests --- */

static void items_are_the_lines_of_random_logs(void **state)
{
    random_state = 1;
    uint64_t lines = 0;
    for (int round = 0; round < 600; round++) {
        struct log_text text =
            random_log(random_below(8000), random_below(4) * random_below(3));
        lines += fold_beside(*state, &text, 1 + random_below(500));
        log_text_release(&text);
    }
    assert_true(lines > 10000);
}

/* The fold's window cuts lines in two, at three places. */
static void items_are_the_lines_of_large_logs(void **state)
{
    random_state = 2;
    for (int round = 0; round < 3; round++) {
        struct log_text text = random_log((size_t)3 << 20, 0);
        assert_true(fold_beside(*state, &text, 4096) > 1000);
        log_text_release(&text);
    }
}

static void a_log_may_be_cut_anywhere(void **state)
{
    random_state = 3;
    struct log_text text = random_log(1500, 2);
    while (text.size > 0) {
        fold_beside(*state, &text, 64);
        log_text_chop(&text, 1);
    }
    log_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(items_are_the_lines_of_random_logs),
        STORE_TEST(items_are_the_lines_of_large_logs),
        STORE_TEST(a_log_may_be_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
