/* SPDX-License-Identifier: MIT */

/* Does record/json.c do what its header promises? */

#include "json_cases.h"
#include "os/bounds.h"
#include "record/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Judges a copy that ends where its memory ends, so that the address sanitizer
 * sees each read past it. */
static bool is_valid(const char *text,
                     size_t size,
                     struct kv_json_facts *facts_out)
{
    char *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    if (size != 0) {
        memcpy(copy, text, size);
    }
    bool result = kv_json_is_valid(copy, size, facts_out);
    free(copy);
    return result;
}

static bool is_valid_text(const char *text)
{
    struct kv_json_facts facts;
    return is_valid(text, strlen(text), &facts);
}

static bool has_escaped_nul(const char *text)
{
    struct kv_json_facts facts;
    assert_true(is_valid(text, strlen(text), &facts));
    return facts.has_nul;
}

static void assert_refused(const struct json_case *given,
                           const char *text,
                           size_t size)
{
    struct kv_json_facts facts;
    if (is_valid(text, size, &facts)) {
        fail_msg("accepted: %zu bytes, from %s", size, given->name);
    }
}

static void assert_accepted(const struct json_case *given)
{
    struct kv_json_facts facts;
    if (!is_valid(given->text, given->size, &facts)) {
        fail_msg("refused: %s", given->name);
    }
}

static void right_texts_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_JSON_COUNT; i++) {
        assert_accepted(&accepted_json[i]);
    }
}

static void wrong_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFUSED_JSON_COUNT; i++) {
        const struct json_case *given = &refused_json[i];
        assert_refused(given, given->text, given->size);
    }
}

static void beginnings_of_right_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_JSON_COUNT; i++) {
        const struct json_case *given = &accepted_json[i];
        size_t last = given->size - 1;
        while (strchr(" \t\r\n", given->text[last]) != NULL) {
            last--;
        }
        /* A number that ends early may still be valid. */
        bool is_closed = strchr("]}\"", given->text[last]) != NULL;
        for (size_t size = 0; is_closed && size <= last; size++) {
            assert_refused(given, given->text, size);
        }
    }
}

static bool may_follow(int byte)
{
    return (byte != 0 && strchr(" \t\r\n", byte) != NULL) ||
           (byte >= '0' && byte <= '9');
}

static void right_texts_with_a_foreign_byte_behind_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_JSON_COUNT; i++) {
        const struct json_case *given = &accepted_json[i];
        static char text[65536];
        assert_true(given->size + 1 < sizeof text);
        memcpy(text, given->text, given->size);
        for (int byte = 0; byte < 0x100; byte++) {
            text[given->size] = may_follow(byte) ? 'x' : (char)byte;
            assert_refused(given, text, given->size + 1);
        }
    }
}

static void only_four_bytes_are_white_space(void **state)
{
    (void)state;
    for (int byte = 0; byte < 0x100; byte++) {
        struct kv_json_facts facts;
        bool is_space = byte != 0 && strchr(" \t\r\n", byte) != NULL;
        char around[] = {(char)byte, '[', '"', '"', ']', (char)byte};
        char inside[] = {'[', (char)byte, '"', '"', (char)byte, ']'};
        assert_int_equal(is_valid(around, sizeof around, &facts), is_space);
        assert_int_equal(is_valid(inside, sizeof inside, &facts), is_space);
    }
}

static void escaped_nul_is_told(void **state)
{
    (void)state;
    assert_true(has_escaped_nul("\"\\u0000\""));
    assert_true(has_escaped_nul("[1,\"a\\\\\\u0000\"]"));
    assert_true(has_escaped_nul("{\"\\u0000\":1}"));
    assert_true(has_escaped_nul("{\"a\":{\"b\":[\"\\n\\u0000x\"]},\"c\":1}"));
    assert_false(has_escaped_nul("\"\\\\u0000\""));
    assert_false(has_escaped_nul("\"\\u0001u0000\""));
    assert_false(has_escaped_nul("\"u0000\""));
    assert_false(has_escaped_nul("[\"\\u000a\",\"\\u0100\"]"));
}

static void longest_number_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"[]", 0},
        {"\"12345\"", 0},
        {"1", 1},
        {"[1,-23.5e+10,22]", 9},
        {"{\"1234567890\":-1.5E-7}", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kv_json_facts facts;
        assert_true(is_valid(cases[i].text, strlen(cases[i].text), &facts));
        assert_int_equal(facts.longest_number_size, cases[i].size);
    }
}

/* Writes before count times, middle once, and behind count times. */
static char *nest(size_t count,
                  const char *before,
                  const char *middle,
                  const char *behind)
{
    size_t before_size = strlen(before);
    size_t behind_size = strlen(behind);
    size_t middle_size = strlen(middle);
    char *text = malloc(count * (before_size + behind_size) + middle_size + 1);
    assert_non_null(text);
    char *out = text;
    for (size_t i = 0; i < count; i++) {
        memcpy(out, before, before_size);
        out += before_size;
    }
    memcpy(out, middle, middle_size);
    out += middle_size;
    for (size_t i = 0; i < count; i++) {
        memcpy(out, behind, behind_size);
        out += behind_size;
    }
    *out = '\0';
    return text;
}

static bool is_valid_nested(size_t count,
                            const char *before,
                            const char *middle,
                            const char *behind)
{
    char *text = nest(count, before, middle, behind);
    bool result = is_valid_text(text);
    free(text);
    return result;
}

static void nesting_is_followed_to_its_bound(void **state)
{
    (void)state;
    size_t bound = KV_JSON_DEPTH_MAX;

    assert_true(is_valid_nested(bound, "[", "", "]"));
    assert_true(is_valid_nested(bound, "[", "1", "]"));
    assert_true(is_valid_nested(bound, "{\"a\":", "1", "}"));
    assert_true(is_valid_nested(bound / 2, "[{\"\":", "null", "}]"));

    assert_false(is_valid_nested(bound + 1, "[", "", "]"));
    assert_false(is_valid_nested(bound + 1, "{\"a\":", "1", "}"));
    assert_false(is_valid_nested(bound, "[", "[]", "]"));
    assert_false(is_valid_nested(bound, "[", "{}", "]"));
    assert_false(is_valid_nested(bound / 2, "[{\"\":", "[]", "}]"));
}

static void very_deep_nesting_is_refused(void **state)
{
    (void)state;
    assert_false(is_valid_nested(100000, "[", "", "]"));
    assert_false(is_valid_nested(100000, "[", "", ""));
    assert_false(is_valid_nested(100000, "{\"a\":", "1", "}"));
    assert_false(is_valid_nested(100000, "{\"a\":", "", ""));
    assert_false(is_valid_nested(100000, "[{\"a\":", "1", "}]"));
}

static void nesting_remembers_what_each_level_is(void **state)
{
    (void)state;
    /* Levels that are left and entered again as the other kind. */
    assert_true(is_valid_text("[[],{},[{},[]],{\"a\":[],\"b\":{}}]"));
    assert_true(is_valid_text("{\"a\":[{}],\"b\":{\"c\":[]},\"d\":[[]]}"));
    assert_false(is_valid_text("[{},\"a\":1]"));
    assert_false(is_valid_text("{\"a\":[],1}"));
    assert_false(is_valid_text("[[],{\"a\":1],{}}"));
    /* Each of the first ten levels may be of either kind. */
    for (unsigned kinds = 0; kinds < 1u << 10; kinds++) {
        char text[128];
        size_t size = 0;
        for (unsigned level = 0; level < 10; level++) {
            const char *opening = (kinds >> level & 1) != 0 ? "{\"\":" : "[";
            memcpy(text + size, opening, strlen(opening));
            size += strlen(opening);
        }
        text[size++] = '0';
        for (unsigned level = 10; level-- > 0;) {
            text[size++] = (kinds >> level & 1) != 0 ? '}' : ']';
        }
        struct kv_json_facts facts;
        assert_true(is_valid(text, size, &facts));
        text[size - 5] ^= ']' ^ '}';
        assert_false(is_valid(text, size, &facts));
    }
}

static size_t count_members(const char *text)
{
    struct kv_json_facts facts;
    assert_true(is_valid(text, strlen(text), &facts));
    return facts.member_count;
}

static void members_are_counted_at_two_levels(void **state)
{
    (void)state;
    assert_int_equal(count_members("{}"), 0);
    assert_int_equal(count_members("{\"a\":1}"), 1);
    assert_int_equal(count_members("{\"a\":{\"b\":1,\"c\":2},\"d\":{}}"), 4);
    assert_int_equal(count_members("{\"a\":{\"b\":{\"c\":2}}}"), 2);
    assert_int_equal(count_members("{\"a\":{\"b\":[{\"c\":2}]}}"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_counted_at_two_levels),
        cmocka_unit_test(right_texts_are_accepted),
        cmocka_unit_test(wrong_texts_are_refused),
        cmocka_unit_test(beginnings_of_right_texts_are_refused),
        cmocka_unit_test(right_texts_with_a_foreign_byte_behind_are_refused),
        cmocka_unit_test(only_four_bytes_are_white_space),
        cmocka_unit_test(escaped_nul_is_told),
        cmocka_unit_test(longest_number_is_told),
        cmocka_unit_test(nesting_is_followed_to_its_bound),
        cmocka_unit_test(very_deep_nesting_is_refused),
        cmocka_unit_test(nesting_remembers_what_each_level_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
