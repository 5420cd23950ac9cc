/* SPDX-License-Identifier: MIT */

/* The sum of a line: the low 32 bits of XXH3-64 as eight lower-case digits. */

#include "record/sum.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SUM_NAME KV_RECORD_SUM_NAME
#define SUM_NAME_SIZE (sizeof(SUM_NAME) - 1)
#define SUM_END KV_RECORD_SUM_END
#define SUM_END_SIZE (sizeof(SUM_END) - 1)
#define SUM_DIGITS ((size_t)8)

static_assert(SUM_DIGITS == sizeof(uint64_t), "digits fill a word");
static_assert(SUM_NAME_SIZE + SUM_DIGITS + SUM_END_SIZE ==
                  KV_RECORD_SUM_TAIL_SIZE,
              "the tail is what its parts are");

/* Returns the eight digits of the sum over [start, comma], as they are in
 * memory. */
static uint64_t sum_digits(const char *start, const char *comma)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t sum = XXH3_64bits(start, (size_t)(comma + 1 - start));
    /* One in each byte, the first one in the highest. */
    uint64_t digits = sum & UINT32_MAX;
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t are_letters = (digits + each * 6) >> 4 & each;
    digits += each * '0' + are_letters * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    return digits;
}

bool kv_record_is_sum_fitting(const char *start, const char *end)
{
    assert((size_t)(end - start) >= KV_RECORD_SUM_TAIL_SIZE);
    const char *comma = end - KV_RECORD_SUM_TAIL_SIZE;
    uint64_t digits = 0;
    memcpy(&digits, comma + SUM_NAME_SIZE, sizeof digits);
    return digits == sum_digits(start, comma);
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
    uint64_t digits = sum_digits(start, comma);
    memcpy(comma + SUM_NAME_SIZE, &digits, sizeof digits);
    memcpy(comma + SUM_NAME_SIZE + SUM_DIGITS, SUM_END, SUM_END_SIZE);
    return comma + KV_RECORD_SUM_TAIL_SIZE;
}
