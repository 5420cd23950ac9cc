/* SPDX-License-Identifier: MIT */

/* Padded base64 (RFC 4648, section 4), strict both ways: alphabet, padding and
 * zero unused bits. Knows nothing of JSON. Allocates nothing. */

#ifndef KV_RECORD_BASE64_H
#define KV_RECORD_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* How many digits, including padding, encode this many bytes. */
static inline size_t kv_base64_size(size_t size)
{
    return (size / 3 + (size % 3 != 0)) * 4;
}

/* True if [digits, digits + count) is strict base64. Then sets size_out to the
 * number of bytes that it encodes. */
bool kv_base64_measure(const char *digits, size_t count, size_t *size_out);

/* Writes the size bytes that the digits encode. False if they are not strict
 * base64 of that many bytes: they may be in memory that changes after they were
 * measured. Touches nothing but these digits and this room. */
bool kv_base64_decode(const char *digits, size_t count, char *out, size_t size);

/* True if the digits encode exactly these bytes. They may change, as above. */
bool kv_base64_equals(const char *digits,
                      size_t count,
                      const char *bytes,
                      size_t size);

/* Writes the kv_base64_size(size) digits of the bytes, and returns the place
 * after them. */
char *kv_base64_encode(const unsigned char *bytes, size_t size, char *out);

#endif
