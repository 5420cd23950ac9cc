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

/* Bytes from that comma to the line's last brace. */
#define KV_RECORD_SUM_TAIL_SIZE ((size_t)19)

/* True if the bytes [line, end) end as only a line with a sum does. */
bool kv_record_has_sum_tail(const char *line, const char *end);

/* True if the sum of a line with such an end matches. Start is the line's first
 * brace. Only lower-case digits can match. */
bool kv_record_is_sum_fitting(const char *start, const char *end);

/* True if a line of any layout ends in a sum that matches. */
bool kv_record_has_fitting_sum(const char *line, const char *end);

/* If the bytes [line, end) end as only a line with a sum does, sets digits_out
 * to its eight digits, as they are in memory. */
bool kv_record_get_sum_digits(const char *line,
                              const char *end,
                              uint64_t *digits_out);

/* Writes the tail, including the sum, of a line that has been laid out from its
 * first brace up to the place of that comma. Returns the place past the
 * tail. */
char *kv_record_put_sum(const char *start, char *comma);

#endif
