/* SPDX-License-Identifier: MIT */

/* Do the files of record/ keep to the bounds of what they are given, and to the
 * shortest form, where hardly any line brings them? */

#include "log_text.h"
#include "os/bounds.h"
#include "record/base64.h"
#include "record/decode.h"
#include "record/match.h"
#include "record/plan.h"
#include "record/scan.h"
#include "record/sum.h"
#include "record/text_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* --- Base64 --- */

static void digits_of_another_count_are_refused(void **state)
{
    (void)state;
    char out[8] = "untouch";
    assert_false(kv_base64_decode("Zm9vZm9v", 8, out, 3));
    assert_false(kv_base64_decode("Zm9v", 4, out, 4));
    assert_string_equal(out, "untouch");
    assert_false(kv_base64_equals("Zm9vZm9v", 8, "foo", 3));
    assert_true(kv_base64_equals("Zm9v", 4, "foo", 3));
}

/* --- The short way to a value --- */

static bool matches(const struct log_text *text, uint32_t *batch_out)
{
    struct kv_text value;
    return batch_out == NULL
               ? kv_record_match_set(
                     text->bytes, text->size - 1, "k", 1, &value)
               : kv_record_match_batch_set(
                     text->bytes, text->size - 1, "k", 1, &value, batch_out);
}

static void number_that_no_batch_has_is_not_matched(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        bool is_matched;
    } cases[] = {
        {"1", true},
        {"4294967295", true},
        {"4294967296", false},
        {"9999999999", false},
        {"14294967295", false},
        {"0", false},
        {"01", false},
        {"-1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_text text = LOG_TEXT_EMPTY;
        uint32_t batch = 0;
        log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":\"v\",\"batch\":");
        log_text_add(&text, cases[i].number);
        log_text_add(&text, ",");
        log_text_close(&text, 0);
        assert_int_equal(matches(&text, &batch), cases[i].is_matched);
        log_text_release(&text);
    }
}

/* Their sums fit, but there is more in them than a key and a value, or less. */
static void line_with_another_end_is_not_matched(void **state)
{
    (void)state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":\"v\",\"expires\":9,");
    log_text_close(&text, 0);
    assert_false(matches(&text, NULL));
    text.size = 0;
    log_text_add(&text, "{\"Set\":{\"key\":\"k\",\"val\":\"v\"");
    log_text_fill(&text, 'x', KV_RECORD_SUM_TAIL_SIZE);
    log_text_add(&text, "\n");
    assert_false(matches(&text, NULL));
    text.size = 0;
    log_text_set(&text, "k", "v");
    assert_true(matches(&text, NULL));
    log_text_release(&text);
}

/* --- The form of a text --- */

/* Escapes would make it longer than base64. */
static void text_of_many_escapes_is_written_in_base64(void **state)
{
    (void)state;
    char text[300];
    memset(text, '"', sizeof text);
    struct kv_text_plan plan =
        kv_text_plan(text, sizeof text, kv_base64_size(sizeof text));
    assert_int_equal(plan.form, KV_TEXT_BASE64);
    assert_int_equal(plan.raw_size, kv_base64_size(sizeof text));
    plan = kv_text_plan(text, sizeof text, 2 * sizeof text);
    assert_int_equal(plan.form, KV_TEXT_ESCAPED);
    assert_int_equal(plan.raw_size, 2 * sizeof text);
}

/* A key that only another program can have written, and a compaction writes
 * anew, must not take more room than base64. */
static void key_that_is_too_long_takes_no_more_than_base64(void **state)
{
    (void)state;
    const size_t size = KV_KEY_SIZE_MAX + 1;
    char *key = malloc(size);
    assert_non_null(key);
    memset(key, '"', size);

    struct kv_record_plan plan = kv_record_plan_remove(key, size);

    assert_true(plan.line_size < kv_base64_size(size) + 100);
    plan = kv_record_plan_remove(key, KV_KEY_SIZE_MAX);
    assert_true(plan.line_size > 2 * KV_KEY_SIZE_MAX);
    free(key);
}

/* --- Scanning --- */

static void each_byte_that_is_not_bare_is_seen(void **state)
{
    (void)state;
    char text[40];
    for (size_t size = 1; size <= sizeof text; size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'x', size);
            assert_true(kv_scan_is_bare(text, text + size));
            for (const char *byte = "\"\\\x1f\n\x01"; *byte != '\0'; byte++) {
                text[at] = *byte;
                assert_false(kv_scan_is_bare(text, text + size));
            }
            text[at] = '\0';
            assert_false(kv_scan_is_bare(text, text + size));
        }
    }
}

/* --- Decoding --- */

/* What is mapped after a line may be more than any line. */
static void line_before_any_number_of_bytes_is_decoded(void **state)
{
    (void)state;
    if (sizeof(void *) < 8) {
        skip();
    }
    const size_t size = KV_LINE_SIZE_MAX + 4096;
    struct log_text text = LOG_TEXT_EMPTY;
    struct kv_record record;
    log_text_set(&text, "key", "value");
    FILE *file = tmpfile(); /* Nearly all of it is a hole. */
    assert_non_null(file);
    assert_int_equal(fwrite(text.bytes, 1, text.size, file), text.size);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    const char *bytes =
        mmap(NULL, size, PROT_READ, MAP_SHARED, fileno(file), 0);
    assert_true(bytes != MAP_FAILED);

    assert_int_equal(kv_record_decode_ahead(bytes, size, &record), text.size);

    assert_int_equal(record.type, KV_RECORD_SET);
    assert_int_equal(record.key.size, 3);
    assert_int_equal(munmap((void *)bytes, size), 0);
    assert_int_equal(fclose(file), 0);
    log_text_release(&text);
}

/* The sum that fits is that of another member: it says nothing of the Set, whose
 * own is not where it can be verified. */
static void sum_before_the_last_member_is_unsound(void **state)
{
    (void)state;
    struct log_text text = LOG_TEXT_EMPTY;
    struct kv_record record;
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"k\",\"val\":\"v\",\"sum\":\"00000000\"},"
                 "\"more\":{\"x\":1,");
    log_text_close(&text, 0);

    assert_int_equal(kv_record_decode(text.bytes, text.size - 1, &record),
                     KVSTORE_OK);

    assert_int_equal(record.type, KV_RECORD_DAMAGED);
    assert_int_equal(record.damage, KVSTORE_CORRUPT);
    kv_record_release(&record);
    log_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_of_another_count_are_refused),
        cmocka_unit_test(number_that_no_batch_has_is_not_matched),
        cmocka_unit_test(line_with_another_end_is_not_matched),
        cmocka_unit_test(text_of_many_escapes_is_written_in_base64),
        cmocka_unit_test(key_that_is_too_long_takes_no_more_than_base64),
        cmocka_unit_test(each_byte_that_is_not_bare_is_seen),
        cmocka_unit_test(line_before_any_number_of_bytes_is_decoded),
        cmocka_unit_test(sum_before_the_last_member_is_unsound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
