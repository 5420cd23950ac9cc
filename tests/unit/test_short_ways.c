/* SPDX-License-Identifier: MIT */

/* Do the short ways of the most frequent calls do what the plain ones do? */

#include "kvstore.h"
#include "log/log.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/match.h"
#include "record/plan.h"
#include "record/text.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CALLS 6000
#define KEYS 500u
#define VALUE_SIZE_MAX 5000u

/* --- Calls --- */

static uint64_t state_of_random;

static uint32_t draw(uint32_t below)
{
    state_of_random =
        state_of_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040);
    return (uint32_t)(state_of_random >> 33) % below;
}

/* Most keys are plain; some have what must be escaped, or are no text. */
static size_t draw_key(char key[64])
{
    static const char *const forms[] = {"key%u",
                                        "key%u",
                                        "key%u",
                                        "a longer key with the number %u",
                                        "\"%u\\",
                                        "\x01%u",
                                        "\xff%u",
                                        "%u\xc3\xa9"};
    uint32_t number = draw(KEYS);
    return (size_t)snprintf(key, 64, forms[number % 8], number);
}

static size_t draw_value(char *value)
{
    static const char *const texts[] = {
        "plain ", "\"quoted\" ", "two\nlines ", "\xc3\xa9t\xc3\xa9 ", "\xff "};
    const char *text = texts[draw(8) % 5];
    static const uint32_t sizes[] = {1, 20, 120, 400, VALUE_SIZE_MAX};
    size_t size = draw(sizes[draw(5)]);
    for (size_t i = 0; i < size; i++) {
        value[i] = text[i % strlen(text)];
    }
    return size;
}

/* Makes the calls that a seed gives, in an exclusive handle. Returns the log,
 * and the outcomes as letters. */
static char *make_calls(const struct store_dir *dir,
                        uint64_t seed,
                        char *outcomes,
                        kvstore_stats *stats_out,
                        size_t *size_out)
{
    static char value[VALUE_SIZE_MAX];
    char key[64];
    kvstore_options options = plain_options();
    options.exclusive = true;
    store_dir_write(dir, KV_LOG_NAME, "", 0);
    kvstore *store = open_with(dir, &options);
    state_of_random = seed;
    for (size_t i = 0; i < CALLS; i++) {
        size_t key_size = draw_key(key);
        kvstore_status status = KVSTORE_OK;
        if (draw(4) == 0) {
            status = kvstore_remove(store, key, key_size);
        } else {
            size_t size = draw_value(value);
            status = kvstore_set(store, key, key_size, value, size);
        }
        outcomes[i] = (char)('0' + status);
    }
    *stats_out = checked_stats(store);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
    kvstore_close(store);
    return store_dir_read(dir, KV_LOG_NAME, size_out);
}

static void short_sets_write_what_plain_ones_write(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static char outcomes[2][CALLS];
        kvstore_stats stats[2];
        size_t sizes[2] = {0};
        char *logs[2];
        for (int i = 0; i < 2; i++) {
            kv_io_take_short_ways(i == 0);
            logs[i] =
                make_calls(*state, seed, outcomes[i], &stats[i], &sizes[i]);
        }
        kv_io_take_short_ways(true);
        assert_memory_equal(outcomes[0], outcomes[1], CALLS);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(logs[0], logs[1], sizes[0]);
        assert_int_equal(stats[0].keys, stats[1].keys);
        assert_int_equal(stats[0].stale_bytes, stats[1].stale_bytes);
        assert_int_equal(stats[0].tombstone_bytes, stats[1].tombstone_bytes);
        free(logs[0]);
        free(logs[1]);
    }
}

static void short_gets_answer_what_plain_ones_answer(void **state)
{
    static char outcomes[CALLS];
    static char buffers[2][VALUE_SIZE_MAX];
    kvstore_stats stats;
    size_t size = 0;
    free(make_calls(*state, 9, outcomes, &stats, &size));
    kvstore *store = open_plain(*state);
    int found = 0;
    for (int i = 0; i < CALLS; i++) {
        char key[64];
        size_t key_size = draw_key(key);
        size_t sizes[2] = {0};
        kvstore_status statuses[2];
        size_t capacity = draw(2) == 0 ? VALUE_SIZE_MAX : draw(300);
        for (int j = 0; j < 2; j++) {
            kv_io_take_short_ways(j == 0);
            statuses[j] = kvstore_get_into(
                store, key, key_size, buffers[j], capacity, &sizes[j]);
        }
        kv_io_take_short_ways(true);
        assert_int_equal(statuses[0], statuses[1]);
        assert_int_equal(sizes[0], sizes[1]);
        if (statuses[0] == KVSTORE_OK) {
            assert_memory_equal(buffers[0], buffers[1], sizes[0]);
            found++;
        }
    }
    assert_true(found > CALLS / 10);
    kvstore_close(store);
}

/* --- Lines --- */

/* Asserts that a match agrees with the decoder. Returns whether there is one. */
static bool match(const char *line,
                  size_t size,
                  const char *key,
                  size_t key_size)
{
    struct kv_text value;
    struct kv_record record;
    uint32_t batch = 0;
    bool matches = kv_record_match_set(line, size, key, key_size, &value);
    if (!matches) {
        matches = kv_record_match_batch_set(
            line, size, key, key_size, &value, &batch);
        assert_true(!matches || batch != 0);
    }
    assert_int_equal(kv_record_decode(line, size, &record), KVSTORE_OK);
    if (matches) {
        assert_int_equal(record.type, KV_RECORD_SET);
        assert_int_equal(record.expires_ms, 0);
        assert_int_equal(record.batch, batch);
        assert_true(kv_text_equals(&record.key, key, key_size));
        assert_int_equal(record.value.form, KV_TEXT_PLAIN);
        assert_int_equal(record.value.size, value.size);
        if (value.size > 0) {
            assert_ptr_equal(record.value.raw, value.raw);
        }
    }
    kv_record_release(&record);
    return matches;
}

static size_t encode_in_batch(char *line,
                              const char *key,
                              const char *value,
                              int64_t expires_ms,
                              uint32_t batch)
{
    struct kv_record_plan plan =
        kv_record_plan_set(key, strlen(key), value, strlen(value));
    kv_record_plan_add(&plan, expires_ms, batch);
    kv_record_encode(&plan, line);
    return plan.line_size - 1;
}

static size_t encode(char *line, const char *key, const char *value)
{
    return encode_in_batch(line, key, value, 0, 0);
}

static void plain_line_of_the_key_matches(void **state)
{
    (void)state;
    char line[512];
    size_t size = encode(line, "key", "value");
    assert_true(match(line, size, "key", 3));
    assert_false(match(line, size, "ke", 2));
    assert_false(match(line, size, "kez", 3));
    assert_false(match(line, size, "key\",\"val\":\"value", 17));
    assert_true(match(line, encode(line, "k", ""), "k", 1));
    assert_true(
        match(line, encode(line, "\xc3\xa9", "\xc3\xa9"), "\xc3\xa9", 2));
    assert_false(match(line, encode(line, "\"", "v"), "\"", 1));
    assert_false(match(line, encode(line, "k", "a\nb"), "k", 1));
}

static void line_of_a_batch_matches(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 2, 9, 10, 4711, UINT32_MAX};
    char line[512];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t size = encode_in_batch(line, "k", "value", 0, numbers[i]);
        assert_true(match(line, size, "k", 1));
        size = encode_in_batch(line, "k", "", 0, numbers[i]);
        assert_true(match(line, size, "k", 1));
        size = encode_in_batch(line, "k", "12", 0, numbers[i]);
        assert_true(match(line, size, "k", 1));
        size = encode_in_batch(line, "k", "v", 1796000000000, numbers[i]);
        assert_false(match(line, size, "k", 1));
    }
    assert_false(match(line, encode_in_batch(line, "k", "1", 17, 0), "k", 1));
}

/* Every line that differs in one byte, or is cut, or of another layout. */
static void check_changed_lines(uint32_t batch)
{
    char line[512];
    size_t size = encode_in_batch(
        line, "key", "some value of forty bytes and a few more", 0, batch);
    for (size_t i = 0; i < size; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[512];
            memcpy(changed, line, size);
            changed[i] = (char)byte;
            assert_int_equal(match(changed, size, "key", 3),
                             changed[i] == line[i]);
        }
        assert_false(match(line, i, "key", 3));
    }
}

static void changed_lines_match_only_if_they_decode(void **state)
{
    (void)state;
    check_changed_lines(0);
    check_changed_lines(1);
    check_changed_lines(120);
}

static void other_layouts_do_not_match(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"Set\":{\"key\":\"key\",\"val\":\"value\"}}",
        "{\"Set\":{\"key\":\"key\",\"value\":\"value\",\"sum\":\"00000000\"}}",
        "{\"Set\":{\"key\":\"key\",\"val\":\"a\",\"n\":1}}",
        "{\"Remove\":{\"key\":\"key\",\"sum\":\"00000000\"}}",
        "",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_false(match(lines[i], strlen(lines[i]), "key", 3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(short_sets_write_what_plain_ones_write),
        STORE_TEST(short_gets_answer_what_plain_ones_answer),
        cmocka_unit_test(plain_line_of_the_key_matches),
        cmocka_unit_test(line_of_a_batch_matches),
        cmocka_unit_test(changed_lines_match_only_if_they_decode),
        cmocka_unit_test(other_layouts_do_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
