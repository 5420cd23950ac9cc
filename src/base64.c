/* SPDX-License-Identifier: MIT */

/* Base64, checked, read and written. */

#include "base64.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The value of each base64 digit; 255: none. */
static const uint8_t base64_values[256] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 62,  255,
    255, 255, 63,  52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  255, 255,
    255, 255, 255, 255, 255, 0,   1,   2,   3,   4,   5,   6,   7,   8,   9,
    10,  11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,  22,  23,  24,
    25,  255, 255, 255, 255, 255, 255, 26,  27,  28,  29,  30,  31,  32,  33,
    34,  35,  36,  37,  38,  39,  40,  41,  42,  43,  44,  45,  46,  47,  48,
    49,  50,  51,  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255,
};

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t base64_value(char digit)
{
    return base64_values[(unsigned char)digit];
}

static bool are_base64_digits(const char *digits, size_t count)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen |= base64_value(digits[i]);
    }
    return seen < 64;
}

bool kv_base64_measure(const char *digits, size_t count, size_t *size_out)
{
    assert((digits != NULL || count == 0) && size_out != NULL);
    size_t padding = 0;
    if (count % 4 != 0) {
        return false;
    }
    if (count != 0 && digits[count - 1] == '=') {
        padding = digits[count - 2] == '=' ? 2 : 1;
        uint32_t unused_bits = padding == 2 ? 0x0f : 0x03;
        if ((base64_value(digits[count - padding - 1]) & unused_bits) != 0) {
            return false;
        }
    }
    if (!are_base64_digits(digits, count - padding)) {
        return false;
    }
    *size_out = count / 4 * 3 - padding;
    return true;
}

size_t kv_base64_decode(const char *digits, size_t count, char *out)
{
    assert(count % 4 == 0);
    size_t size = 0;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t bits = base64_value(digits[i]) << 18 |
                        base64_value(digits[i + 1]) << 12 |
                        (base64_value(digits[i + 2]) & 63) << 6 |
                        (base64_value(digits[i + 3]) & 63);
        out[size++] = (char)(bits >> 16);
        if (digits[i + 2] != '=') {
            out[size++] = (char)(bits >> 8 & 0xff);
        }
        if (digits[i + 3] != '=') {
            out[size++] = (char)(bits & 0xff);
        }
    }
    return size;
}

bool kv_base64_equals(const char *digits, size_t count, const char *bytes)
{
    enum { CHUNK_SIZE = 256 };
    for (size_t done = 0; done < count; done += CHUNK_SIZE) {
        char chunk[CHUNK_SIZE / 4 * 3];
        size_t left = count - done;
        size_t size = kv_base64_decode(
            digits + done, left < CHUNK_SIZE ? left : CHUNK_SIZE, chunk);
        if (memcmp(chunk, bytes, size) != 0) {
            return false;
        }
        bytes += size;
    }
    return true;
}

/* Writes the last one or two bytes, padded. */
static char *encode_base64_tail(const unsigned char *bytes,
                                size_t size,
                                char *out)
{
    assert(size == 1 || size == 2);
    uint32_t bits = (uint32_t)bytes[0] << 16;
    if (size == 2) {
        bits |= (uint32_t)bytes[1] << 8;
    }
    out[0] = base64_digits[bits >> 18];
    out[1] = base64_digits[bits >> 12 & 63];
    out[2] = size == 2 ? base64_digits[bits >> 6 & 63] : '=';
    out[3] = '=';
    return out + 4;
}

char *kv_base64_encode(const unsigned char *bytes, size_t size, char *out)
{
    size_t i = 0;
    for (; size - i >= 3; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 |
                        bytes[i + 2];
        out[0] = base64_digits[bits >> 18];
        out[1] = base64_digits[bits >> 12 & 63];
        out[2] = base64_digits[bits >> 6 & 63];
        out[3] = base64_digits[bits & 63];
        out += 4;
    }
    return i == size ? out : encode_base64_tail(bytes + i, size - i, out);
}
