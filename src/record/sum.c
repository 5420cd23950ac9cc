/* SPDX-License-Identifier: MIT */

/* The sum of a line: the low 32 bits of XXH3-64 as eight lower-case digits. */

#include "record/sum.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SUM_NAME ",\"sum\":\""
#define SUM_NAME_SIZE (sizeof(SUM_NAME) - 1)
#define SUM_END "\"}}"
#define SUM_END_SIZE (sizeof(SUM_END) - 1)
#define SUM_DIGITS ((size_t)8)

static_assert(SUM_NAME_SIZE + SUM_DIGITS + SUM_END_SIZE ==
                  KV_RECORD_SUM_TAIL_SIZE,
              "the tail is what its parts are");

/* Writes the eight digits of the sum over [start, comma]. */
static void format_sum(const char *start, const char *comma, char *digits_out)
{
    static const char hex_digits[] = "0123456789abcdef";
    uint64_t sum = XXH3_64bits(start, (size_t)(comma + 1 - start));
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        digits_out[i] = hex_digits[sum >> (4 * (SUM_DIGITS - 1 - i)) & 15];
    }
}

bool kv_record_has_sum_tail(const char *line, const char *end)
{
    assert(line <= end);
    if ((size_t)(end - line) < KV_RECORD_SUM_TAIL_SIZE) {
        return false;
    }
    const char *tail = end - KV_RECORD_SUM_TAIL_SIZE;
    return memcmp(tail, SUM_NAME, SUM_NAME_SIZE) == 0 &&
           memcmp(end - SUM_END_SIZE, SUM_END, SUM_END_SIZE) == 0;
}

bool kv_record_is_sum_fitting(const char *start, const char *end)
{
    assert((size_t)(end - start) >= KV_RECORD_SUM_TAIL_SIZE);
    const char *comma = end - KV_RECORD_SUM_TAIL_SIZE;
    char digits[SUM_DIGITS];
    format_sum(start, comma, digits);
    return memcmp(comma + SUM_NAME_SIZE, digits, SUM_DIGITS) == 0;
}

bool kv_record_has_fitting_sum(const char *line, const char *end)
{
    if (!kv_record_has_sum_tail(line, end)) {
        return false;
    }
    const char *comma = end - KV_RECORD_SUM_TAIL_SIZE;
    const char *start = memchr(line, '{', (size_t)(comma - line));
    return start != NULL && kv_record_is_sum_fitting(start, end);
}

char *kv_record_put_sum(const char *start, char *comma)
{
    assert(start < comma);
    memcpy(comma, SUM_NAME, SUM_NAME_SIZE);
    format_sum(start, comma, comma + SUM_NAME_SIZE);
    memcpy(comma + SUM_NAME_SIZE + SUM_DIGITS, SUM_END, SUM_END_SIZE);
    return comma + KV_RECORD_SUM_TAIL_SIZE;
}
