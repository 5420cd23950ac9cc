/* SPDX-License-Identifier: MIT */

/* The sum at a record's end: where it is, whether it matches, and how it is
 * written. Part of the module record.
 *
 *   ...,"sum":"xxxxxxxx"}}
 *
 * It covers the line from its first brace to the comma before the sum's
 * name. */

#ifndef KV_RECORD_SUM_H
#define KV_RECORD_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes from that comma to the line's last brace. */
#define KV_RECORD_SUM_TAIL_SIZE ((size_t)19)

/* What is before its digits, and after them. */
#define KV_RECORD_SUM_NAME ",\"sum\":\""
#define KV_RECORD_SUM_END "\"}}"

/* True if the bytes [line, end) end as only a line with a sum does. */
static inline bool kv_record_has_sum_tail(const char *line, const char *end)
{
    return (size_t)(end - line) >= KV_RECORD_SUM_TAIL_SIZE &&
           memcmp(end - KV_RECORD_SUM_TAIL_SIZE,
                  KV_RECORD_SUM_NAME,
                  sizeof(KV_RECORD_SUM_NAME) - 1) == 0 &&
           memcmp(end - (sizeof(KV_RECORD_SUM_END) - 1),
                  KV_RECORD_SUM_END,
                  sizeof(KV_RECORD_SUM_END) - 1) == 0;
}

/* If they do, sets digits_out to its eight digits, as they are in memory. */
static inline bool kv_record_get_sum_digits(const char *line,
                                            const char *end,
                                            uint64_t *digits_out)
{
    if (!kv_record_has_sum_tail(line, end)) {
        return false;
    }
    memcpy(digits_out,
           end - KV_RECORD_SUM_TAIL_SIZE + sizeof(KV_RECORD_SUM_NAME) - 1,
           sizeof *digits_out);
    return true;
}

/* True if the sum of a line with such an end matches. Start is the line's first
 * brace. Only lower-case digits can match. */
bool kv_record_is_sum_fitting(const char *start, const char *end);

/* True if a line of any layout ends in a sum that matches. */
bool kv_record_has_fitting_sum(const char *line, const char *end);

/* Writes the tail, including the sum, of a line that has been laid out from its
 * first brace up to the place of that comma. Returns the place past the
 * tail. */
char *kv_record_put_sum(const char *start, char *comma);

#endif
