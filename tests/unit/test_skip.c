/* SPDX-License-Identifier: MIT */

/* Does log/skip.c skip only lines that cannot matter? Each line here stands
 * before one that has the prefix, which no skip goes past. */

#include "log/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void prefix_ends_before_what_may_be_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        size_t size;
        size_t plain;
    } cases[] = {
        {"plain", 5, 5},
        {"pl\"in", 5, 2},
        {"pl\\in", 5, 2},
        {"pl\nin", 5, 2},
        {"pl\xc3\xa4n", 5, 5},
        {"\"", 1, 0},
        {NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kv_log_skip skip =
            kv_log_skip_for(cases[i].prefix, cases[i].size);
        assert_int_equal(skip.size, cases[i].plain);
    }
}

#define WITH_PREFIX "{\"Set\":{\"key\":\"prefix\",\"val\":\"1\"}}\n"

static void only_sound_looking_lines_of_other_keys_are_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool is_skipped;
    } cases[] = {
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\"}}\n", true},
        {"{\"Remove\":{\"key\":\"other\"}}\n", true},
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\",\"expires\":17}}\n", true},
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\",\"sum\":\"01234567\"}}\n",
         true},
        {"{\"Set\":{\"key\":\"pre\",\"val\":\"1\"}}\n", true},
        /* Of a batch, by our hand or by another's. */
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\",\"batch\":17}}\n", false},
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\",\"batch\":1.}}\n", false},
        {"{\"Set\":{\"key\":\"other\",\"val\":\"1\",\"batch\":1:}}\n", false},
        {"{\"Set\":{\"key\":\"other\",\"expirer\":17}}\n", false},
        {"{\"Set\":{\"key\":\"17}}\n", false},
        {"{\"Set\":{\"key\":\"o}\n", false},
        {"{\"Set\":{\"key\":\"o}}\n", false},
        /* The key may have the prefix. */
        {"{\"Set\":{\"key\":\"pr\\u0065fix\",\"val\":\"1\"}}\n", false},
        {"{\"Set\":{\"val\":\"1\",\"key\":\"prefix\"}}\n", false},
        {"{\"Set\": {\"key\":\"other\",\"val\":\"1\"}}\n", false},
        {"\n", false},
    };
    const struct kv_log_skip skip = kv_log_skip_for("prefix", 6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        size_t last = 0;
        size_t size = (size_t)snprintf(
            text, sizeof text, "%s" WITH_PREFIX, cases[i].line);

        size_t skipped = kv_log_skip_lines(&skip, text, size, &last);

        size_t expected = cases[i].is_skipped ? strlen(cases[i].line) : 0;
        if (skipped != expected) {
            fail_msg("%zu bytes of %s", skipped, cases[i].line);
        }
    }
}

static void line_that_is_cut_is_not_skipped(void **state)
{
    (void)state;
    static const char text[] = "{\"Set\":{\"key\":\"other\",\"val\":\"1\"}}\n";
    const struct kv_log_skip skip = kv_log_skip_for("prefix", 6);
    for (size_t size = 0; size < sizeof text - 1; size++) {
        size_t last = 0;
        assert_int_equal(kv_log_skip_lines(&skip, text, size, &last), 0);
    }
    size_t last = 1;
    assert_int_equal(kv_log_skip_lines(&skip, text, sizeof text - 1, &last),
                     sizeof text - 1);
    assert_int_equal(last, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefix_ends_before_what_may_be_escaped),
        cmocka_unit_test(only_sound_looking_lines_of_other_keys_are_skipped),
        cmocka_unit_test(line_that_is_cut_is_not_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
