/* SPDX-License-Identifier: MIT */

/* Prints what each argument means as a TIME and as a WHEN, when it is one second
 * past 1970; "no" for what is none. For time_and_when_have_one_grammar.sh. */

#include "cli/when.h"

#include <inttypes.h>
#include <stdio.h>

static void print_when(const struct cli_when *when)
{
    switch (when->kind) {
    case CLI_WHEN_AT:
        (void)printf("at %" PRId64 "\n", when->at_ms);
        break;
    case CLI_WHEN_NEVER:
        (void)printf("never\n");
        break;
    case CLI_WHEN_KEEP:
        (void)printf("keep\n");
        break;
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int64_t milliseconds = 0;
        struct cli_when when;
        if (cli_time_parse(argv[i], &milliseconds)) {
            (void)printf("%s: %" PRId64 " ms, ", argv[i], milliseconds);
        } else {
            (void)printf("%s: no, ", argv[i]);
        }
        if (cli_when_parse(argv[i], 1000, &when)) {
            print_when(&when);
        } else {
            (void)printf("no\n");
        }
    }
    return 0;
}
