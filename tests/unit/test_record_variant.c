/* SPDX-License-Identifier: MIT */

/* Does kv_record_name_variant() tell what a newer version calls a record? */

#include "record/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void variant_is_the_first_name_if_it_is_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *name;
    } cases[] = {
        {"{\"Rename\":{\"key\":\"a\"}}", "Rename"},
        {" { \"zZaA\" : 1 }", "zZaA"},
        {"{\"Exactly\":1}", "Exactly"},
        {"{\"TooLong8\":1}", ""}, /* There is room for seven letters. */
        {"{\"Not a word\":1}", ""},
        {"{\"[\":1}", ""},
        {"{\"{\":1}", ""},
        {"{\"\":1}", ""},
        {"{\"NoEnd", ""},
        {"{\"", ""},
        {"no quote", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[8] = "unset";
        kv_record_name_variant(
            cases[i].line, strlen(cases[i].line), name, sizeof name);
        assert_string_equal(name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variant_is_the_first_name_if_it_is_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
