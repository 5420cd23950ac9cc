/* SPDX-License-Identifier: MIT */

/* The sum at a record's end: how it stands there, whether it fits, and how it
 * is written. Part of the module record.
 *
 *   ...,"sum":"xxxxxxxx"}}
 *
 * It reaches from the line's first brace to the comma before its name. */

#ifndef KV_RECORD_SUM_H
#define KV_RECORD_SUM_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes from that comma to the line's last brace. */
#define KV_RECORD_SUM_TAIL_SIZE ((size_t)19)

/* True if the bytes [line, end) end as only those of a line with a sum do. */
bool kv_record_has_sum_tail(const char *line, const char *end);

/* True if the sum of a line with such an end fits. Start is the line's first
 * brace. Only lower-case digits can fit. */
bool kv_record_is_sum_fitting(const char *start, const char *end);

/* True if a line of any layout ends in a sum, and that fits. */
bool kv_record_has_fitting_sum(const char *line, const char *end);

/* Writes the tail, sum included, of a line that has been laid out from its first
 * brace up to the place of that comma. Returns the place past it. */
char *kv_record_put_sum(const char *start, char *comma);

#endif
