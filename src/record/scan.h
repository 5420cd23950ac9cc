/* SPDX-License-Identifier: MIT */

/* Scans text as JSON strings hold it, many bytes at a time: with vector
 * instructions if the compiler may use them, else by words. Knows neither
 * escapes nor records. Touches no byte outside the given ones. */

#ifndef KV_RECORD_SCAN_H
#define KV_RECORD_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* The first place in [at, end) of anything but a character that a JSON string
 * may hold unescaped: a quote, a backslash, a control character, or a byte that
 * does not begin a valid UTF-8 character (RFC 3629) that ends before end.
 * Returns end if there is none. */
const char *kv_scan_text(const char *at, const char *end);

/* True if the bytes [at, end) are ASCII characters that a JSON string may hold
 * unescaped: nearly as fast as memory. */
bool kv_scan_is_plain(const char *at, const char *end);

/* True if the bytes [at, end) hold neither a quote nor a backslash nor a control
 * character. */
bool kv_scan_is_bare(const char *at, const char *end);

/* The first place in [at, end) of a byte up to the newline: the end of a line,
 * or a byte that no canonical line holds. Returns end if there is none. */
const char *kv_scan_line_end(const char *at, const char *end);

/* The same as kv_scan_text() by words: what it does if there are no vector
 * instructions, and for the rest of a text that is shorter than a vector. */
const char *kv_scan_text_by_words(const char *at, const char *end);

#endif
