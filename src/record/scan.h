/* SPDX-License-Identifier: MIT */

/* Runs over text as JSON strings hold it, many bytes at a time: with vector
 * instructions where the compiler may use them, else by words. Knows neither
 * escapes nor records. Touches no byte outside of what it is given. */

#ifndef KV_RECORD_SCAN_H
#define KV_RECORD_SCAN_H

#include <stddef.h>

/* The first place in [at, end) where something else stands than a character
 * that a JSON string may hold as it is: a quote, a backslash, a control
 * character, or a byte that begins no valid UTF-8 character (RFC 3629) before
 * end. There is none: end. */
const char *kv_scan_text(const char *at, const char *end);

/* The same by words: what the one above is where there are no vector
 * instructions, and for the rest of a text that is shorter than a vector. */
const char *kv_scan_text_by_words(const char *at, const char *end);

#endif
