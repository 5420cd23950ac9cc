/* SPDX-License-Identifier: MIT */

/* How times are written, for options, variables and operands alike: lengths of
 * time (TIME) and moments (WHEN). Knows neither. */

#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* What a TIME looks like, for messages. */
#define CLI_TIME_EXAMPLES "10, 0.5, 200ms, 1.5s, 5m, 2h, 7d or 1w"

/* What a WHEN names. */
struct cli_when {
    enum { CLI_WHEN_AT, CLI_WHEN_NEVER, CLI_WHEN_KEEP } kind;
    int64_t at_ms; /* CLI_WHEN_AT: milliseconds since 1970. */
};

/* Reads a TIME: a decimal number with one of the units ms, s, m, h, d, w, or
 * seconds without a unit. Rounded up to a millisecond, so that a small number
 * does not become 0. False: no such text, or more than an int64_t holds. */
bool cli_time_parse(const char *text, int64_t *milliseconds_out);

/* Reads a WHEN: a TIME from now on, @SECONDS since 1970, "never" or "keep".
 * False: no such text, or a moment that is not after now. */
bool cli_when_parse(const char *text,
                    int64_t now_ms,
                    struct cli_when *when_out);

#endif
