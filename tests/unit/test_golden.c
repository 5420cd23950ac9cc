/* SPDX-License-Identifier: MIT */

/* Logs that must open forever, and keep their meaning. New ones are added; none
 * is changed. */

#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(string) string, sizeof(string) - 1
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A key and the result of getting it. */
struct expected_key {
    const char *key;
    kvstore_status status;
    const char *value;
    size_t value_size;
};

/* The counters of the log as it is. */
struct expected_counts {
    uint64_t keys;
    uint64_t live_bytes;
    uint64_t stale_bytes;
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
};

struct golden {
    const char *name;
    struct expected_counts counts;
    const struct expected_key *keys;
    size_t key_count;
    bool can_be_written;
};

/* --- Checking --- */

static void read_golden(const struct store_dir *dir, const char *name)
{
    char path[1024];
    char bytes[4096];
    (void)snprintf(path, sizeof path, "%s/%s.log", KVSTORE_GOLDEN, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_true(size > 0 && size < sizeof bytes);
    (void)fclose(file);
    store_dir_write(dir, KV_LOG_NAME, bytes, size);
}

static void check_keys(const kvstore *store, const struct golden *golden)
{
    for (size_t i = 0; i < golden->key_count; i++) {
        const struct expected_key *expected = &golden->keys[i];
        void *value = NULL;
        size_t size = 0;
        assert_int_equal(
            kvstore_get(
                store, expected->key, strlen(expected->key), &value, &size),
            expected->status);
        assert_int_equal(size, expected->value_size);
        if (expected->status == KVSTORE_OK) {
            assert_memory_equal(value, expected->value, size);
        }
        kvstore_free(value);
    }
}

static void check_counts(const kvstore *store,
                         const struct expected_counts *expected)
{
    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.keys, expected->keys);
    assert_int_equal(stats.live_bytes, expected->live_bytes);
    assert_int_equal(stats.stale_bytes, expected->stale_bytes);
    assert_int_equal(stats.blank_bytes, expected->blank_bytes);
    assert_int_equal(stats.damaged_bytes, expected->damaged_bytes);
    assert_int_equal(stats.damaged_records, expected->damaged_records);
}

static void write_and_compact(kvstore *store, const struct golden *golden)
{
    kvstore_status expected =
        golden->can_be_written ? KVSTORE_OK : KVSTORE_UNSUPPORTED;
    assert_int_equal(try_set(store, "new key", "1"), expected);
    check_keys(store, golden);
    assert_int_equal(kvstore_compact(store), expected);
    check_keys(store, golden);
    kvstore_stats stats = checked_stats(store);
    assert_int_equal(stats.keys,
                     golden->counts.keys + (golden->can_be_written ? 1 : 0));
    assert_int_equal(stats.damaged_bytes, golden->counts.damaged_bytes);
}

/* Checks the log as it is, then written and compacted, then reopened. */
static void check(void **state, const struct golden *golden)
{
    const struct store_dir *dir = *state;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.read_only = true;
    read_golden(dir, golden->name);

    kvstore *store = open_with(dir, &options);
    check_counts(store, &golden->counts);
    check_keys(store, golden);
    kvstore_close(store);

    store = open_plain(dir);
    write_and_compact(store, golden);
    kvstore_close(store);

    store = open_with(dir, &options);
    check_keys(store, golden);
    kvstore_close(store);
}

/* --- The logs --- */

static void rust_log(void **state)
{
    static const struct expected_key keys[] = {
        {"user", KVSTORE_OK, TEXT("Bob")},
        {"city", KVSTORE_OK, TEXT("Z\xc3\xbcrich")},
        {"quote", KVSTORE_OK, TEXT("say \"hi\"\n\x1b[0m")},
        {"gone", KVSTORE_NOT_FOUND, NULL, 0}};
    check(state,
          &(struct golden){.name = "rust",
                           .counts = {3, 128, 122, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void canonical_log(void **state)
{
    static const struct expected_key keys[] = {
        {"user", KVSTORE_NOT_FOUND, NULL, 0},
        {"empty", KVSTORE_OK, TEXT("")},
        {"tab", KVSTORE_OK, TEXT("a\tb\"c\\d\x01, and more text")},
        {"last", KVSTORE_OK, TEXT("1")}};
    check(state,
          &(struct golden){.name = "canonical",
                           .counts = {3, 179, 149, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void foreign_layouts(void **state)
{
    static const struct expected_key keys[] = {
        {"spaced", KVSTORE_OK, TEXT("newest")},
        {"other name", KVSTORE_OK, TEXT("2")},
        {"escapes", KVSTORE_OK, TEXT("\xf0\x9f\x98\x80/")},
        {"unknown members", KVSTORE_OK, TEXT("3")},
        {"second variant", KVSTORE_OK, TEXT("4")},
        {"damaged", KVSTORE_CORRUPT, NULL, 0},
        {"nul", KVSTORE_OK, TEXT("a\0b")}};
    check(state,
          &(struct golden){.name = "foreign",
                           .counts = {6, 303, 49, 0, 53, 1},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void damaged_middle(void **state)
{
    static const struct expected_key keys[] = {{"a", KVSTORE_OK, TEXT("1")},
                                               {"b", KVSTORE_CORRUPT, NULL, 0},
                                               {"c", KVSTORE_OK, TEXT("3")},
                                               {"d", KVSTORE_OK, TEXT("new")}};
    check(state,
          &(struct golden){.name = "damaged_middle",
                           .counts = {4, 192, 0, 0, 177, 4},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void torn_tail(void **state)
{
    static const struct expected_key keys[] = {{"a", KVSTORE_OK, TEXT("1")},
                                               {"b", KVSTORE_OK, TEXT("2")}};
    check(state,
          &(struct golden){.name = "torn_tail",
                           .counts = {2, 94, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void torn_lines(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")}, {"b", KVSTORE_NOT_FOUND, NULL, 0}};
    check(state,
          &(struct golden){.name = "torn_lines",
                           .counts = {1, 47, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
    store_dir_assert_file(*state,
                          "store.log.cut-47",
                          TEXT("first torn line\n"
                               "{\"Set\":{\"key\":\"b\",\"val\":\"to"));
}

static void batches(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_OK, TEXT("2")},
        {"c", KVSTORE_OK, TEXT("3")},
        {"d", KVSTORE_CORRUPT, NULL, 0},
        {"e", KVSTORE_OK, TEXT("5")},
        {"f", KVSTORE_NOT_FOUND, NULL, 0},
        {"z", KVSTORE_NOT_FOUND, NULL, 0}};
    check(state,
          &(struct golden){.name = "batch",
                           .counts = {4, 218, 97, 0, 57, 1},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void base64(void **state)
{
    static const struct expected_key keys[] = {
        {"\xff\xfe", KVSTORE_OK, TEXT("x")},
        {"bytes", KVSTORE_OK, TEXT("\0\1\2\3")},
        {"user", KVSTORE_OK, TEXT("")},
        {"plain", KVSTORE_OK, TEXT("2")}};
    check(state,
          &(struct golden){.name = "base64",
                           .counts = {4, 225, 51, 0, 66, 1},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void unknown_variant(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_UNSUPPORTED, NULL, 0},
        {"c", KVSTORE_OK, TEXT("3")}};
    check(state,
          &(struct golden){.name = "unknown_variant",
                           .counts = {2, 150, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys)});
}

static void unterminated(void **state)
{
    static const struct expected_key keys[] = {{"a", KVSTORE_OK, TEXT("1")},
                                               {"b", KVSTORE_OK, TEXT("2")}};
    check(state,
          &(struct golden){.name = "unterminated",
                           .counts = {2, 94, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void blanks(void **state)
{
    static const struct expected_key keys[] = {{"a", KVSTORE_OK, TEXT("1")},
                                               {"b", KVSTORE_OK, TEXT("2")}};
    check(state,
          &(struct golden){.name = "blanks",
                           .counts = {2, 94, 0, 9, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

/* Text that earlier versions wrote as base64, and one key in both forms. */
static void old_base64(void **state)
{
    static const struct expected_key keys[] = {
        {"quotes", KVSTORE_OK, TEXT("\"\"\"")},
        {"\x01", KVSTORE_OK, TEXT("2")},
        {"lines", KVSTORE_OK, TEXT("1\n2\n3\n")},
        {"text", KVSTORE_OK, TEXT("{\"a\":\"b\"}")}};
    check(state,
          &(struct golden){.name = "old_base64",
                           .counts = {4, 221, 52, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void text(void **state)
{
    static const struct expected_key keys[] = {
        {"json", KVSTORE_OK, TEXT("{\"a\":\"b\"}")},
        {"seq", KVSTORE_OK, TEXT("1\n2\n3\n")},
        {"\"\x01\"", KVSTORE_OK, TEXT("\x01\x1f\x7f\b\t\f\r\\")}};
    check(state,
          &(struct golden){.name = "text",
                           .counts = {3, 202, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void carriage_returns(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_NOT_FOUND, NULL, 0},
        {"c", KVSTORE_OK, TEXT("3")},
        {"d", KVSTORE_CORRUPT, NULL, 0},
        {"e", KVSTORE_CORRUPT, NULL, 0},
        {"f", KVSTORE_OK, TEXT("6")},
        {"g", KVSTORE_OK, TEXT("7")},
        {"h", KVSTORE_OK, TEXT("8")}};
    check(state,
          &(struct golden){.name = "carriage_returns",
                           .counts = {5, 261, 74, 2, 97, 2},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

/* There is damage, so a compaction keeps what has expired. */
static void expires(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_NOT_FOUND, NULL, 0},
        {"c", KVSTORE_OK, TEXT("3")},
        {"d", KVSTORE_OK, TEXT("4")},
        {"e", KVSTORE_CORRUPT, NULL, 0},
        {"f", KVSTORE_CORRUPT, NULL, 0},
        {"g", KVSTORE_OK, TEXT("8")},
        {"z", KVSTORE_NOT_FOUND, NULL, 0}};
    check(state,
          &(struct golden){.name = "expires",
                           .counts = {5, 322, 176, 0, 132, 2},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void mistyped_variants(void **state)
{
    static const struct expected_key keys[] = {{"a", KVSTORE_CORRUPT, NULL, 0},
                                               {"b", KVSTORE_CORRUPT, NULL, 0},
                                               {"c", KVSTORE_CORRUPT, NULL, 0},
                                               {"d", KVSTORE_OK, TEXT("4")}};
    check(state,
          &(struct golden){.name = "mistyped_variants",
                           .counts = {2, 94, 0, 0, 109, 3},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

static void unknown_variants(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_UNSUPPORTED, NULL, 0},
        {"c", KVSTORE_OK, TEXT("3")}};
    check(state,
          &(struct golden){.name = "unknown_variants",
                           .counts = {2, 166, 0, 0, 0, 0},
                           .keys = keys,
                           .key_count = COUNT(keys)});
}

/* What is nested deeper than the variant's members. */
static void deep(void **state)
{
    static const struct expected_key keys[] = {
        {"a", KVSTORE_OK, TEXT("1")},
        {"b", KVSTORE_OK, TEXT("2")},
        {"c", KVSTORE_OK, TEXT("3")},
        {"d", KVSTORE_NOT_FOUND, NULL, 0},
        {"e", KVSTORE_OK, TEXT("5")},
        {"x", KVSTORE_NOT_FOUND, NULL, 0}};
    check(state,
          &(struct golden){.name = "deep",
                           .counts = {4, 234, 0, 0, 39, 1},
                           .keys = keys,
                           .key_count = COUNT(keys),
                           .can_be_written = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(rust_log),
        STORE_TEST(canonical_log),
        STORE_TEST(foreign_layouts),
        STORE_TEST(damaged_middle),
        STORE_TEST(torn_tail),
        STORE_TEST(torn_lines),
        STORE_TEST(batches),
        STORE_TEST(base64),
        STORE_TEST(unknown_variant),
        STORE_TEST(unterminated),
        STORE_TEST(blanks),
        STORE_TEST(old_base64),
        STORE_TEST(text),
        STORE_TEST(carriage_returns),
        STORE_TEST(expires),
        STORE_TEST(mistyped_variants),
        STORE_TEST(unknown_variants),
        STORE_TEST(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
