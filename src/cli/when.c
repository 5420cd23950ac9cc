/* SPDX-License-Identifier: MIT */

/* How times are written: the grammar of TIME and WHEN. Not with strtod(), whose
 * decimal point depends on the locale, and which takes what is no decimal
 * number. */

#include "cli/when.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Digits after the point that count as they are; of the rest only whether all
 * are 0. */
#define FRACTION_DIGITS 9
#define FRACTION_ONE 1000000000

/* A decimal number that is not negative. */
struct number {
    int64_t whole;
    int64_t fraction; /* In parts of FRACTION_ONE. */
    bool has_rest;    /* Still smaller parts. */
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Returns the place after the number, or NULL if there is none, or one whose
 * whole part has no room. */
static const char *scan_number(const char *at, struct number *number_out)
{
    struct number number = {0};
    int64_t weight = FRACTION_ONE / 10;
    bool has_digits = is_digit(*at);

    for (; is_digit(*at); at++) {
        int digit = *at - '0';
        if (number.whole > (INT64_MAX - digit) / 10) {
            return NULL;
        }
        number.whole = number.whole * 10 + digit;
    }
    if (*at == '.') {
        at++;
        has_digits = has_digits || is_digit(*at);
    }
    for (; is_digit(*at); at++) {
        number.fraction += weight * (*at - '0');
        number.has_rest = number.has_rest || (weight == 0 && *at != '0');
        weight /= 10;
    }
    *number_out = number;
    return has_digits ? at : NULL;
}

/* False: an int64_t does not hold it. */
static bool scale(const struct number *number,
                  int64_t unit_ms,
                  int64_t *milliseconds_out)
{
    /* A week times FRACTION_ONE fits. */
    int64_t parts = number->fraction * unit_ms;
    int64_t below = parts / FRACTION_ONE;

    below += parts % FRACTION_ONE != 0 || number->has_rest ? 1 : 0;
    if (number->whole > (INT64_MAX - below) / unit_ms) {
        return false;
    }
    *milliseconds_out = number->whole * unit_ms + below;
    return true;
}

bool cli_time_parse(const char *text, int64_t *milliseconds_out)
{
    static const struct {
        const char *name;
        int64_t milliseconds;
    } units[] = {
        {"", 1000},
        {"ms", 1},
        {"s", 1000},
        {"m", INT64_C(60) * 1000},
        {"h", INT64_C(3600) * 1000},
        {"d", INT64_C(86400) * 1000},
        {"w", INT64_C(604800) * 1000},
    };
    struct number number;

    assert(text != NULL);
    const char *unit = scan_number(text, &number);
    for (size_t i = 0; unit != NULL && i < sizeof(units) / sizeof(units[0]);
         i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return scale(&number, units[i].milliseconds, milliseconds_out);
        }
    }
    return false;
}

/* @SECONDS */
static bool parse_moment(const char *text, int64_t *at_ms_out)
{
    struct number number;
    const char *end = scan_number(text, &number);

    return end != NULL && *end == '\0' && scale(&number, 1000, at_ms_out);
}

bool cli_when_parse(const char *text, int64_t now_ms, struct cli_when *when_out)
{
    struct cli_when when = {.kind = CLI_WHEN_AT};
    int64_t from_now_ms = 0;

    assert(text != NULL && now_ms >= 0);
    if (strcmp(text, "never") == 0) {
        when.kind = CLI_WHEN_NEVER;
    } else if (strcmp(text, "keep") == 0) {
        when.kind = CLI_WHEN_KEEP;
    } else if (text[0] == '@') {
        if (!parse_moment(text + 1, &when.at_ms) || when.at_ms <= now_ms) {
            return false;
        }
    } else if (!cli_time_parse(text, &from_now_ms) || from_now_ms == 0 ||
               from_now_ms > INT64_MAX - now_ms) {
        return false;
    } else {
        when.at_ms = now_ms + from_now_ms;
    }
    *when_out = when;
    return true;
}
