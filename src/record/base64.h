/* SPDX-License-Identifier: MIT */

/* Padded base64 (RFC 4648, section 4), strict both ways: alphabet, padding and
 * zero unused bits. Knows nothing of JSON. Allocates nothing. */

#ifndef KV_RECORD_BASE64_H
#define KV_RECORD_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Digits, padding included, that stand for so many bytes. */
static inline size_t kv_base64_size(size_t size)
{
    return (size / 3 + (size % 3 != 0)) * 4;
}

/* Is [digits, digits + count) strict base64? Sets size_out to the bytes that
 * it means, if so. */
bool kv_base64_measure(const char *digits, size_t count, size_t *size_out);

/* Writes what the digits mean, which is so many bytes. False where they are not
 * strict base64 of as many: they may stand in memory that changes after they were
 * measured. Touches nothing but these digits and this room. */
bool kv_base64_decode(const char *digits, size_t count, char *out, size_t size);

/* True if the digits mean exactly these bytes. They may change as above. */
bool kv_base64_equals(const char *digits,
                      size_t count,
                      const char *bytes,
                      size_t size);

/* Writes the kv_base64_size(size) digits of the bytes, and returns the place
 * behind them. */
char *kv_base64_encode(const unsigned char *bytes, size_t size, char *out);

#endif
