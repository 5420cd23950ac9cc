/* SPDX-License-Identifier: MIT */

/* Checks, reads and writes base64. */

#include "record/base64.h"

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

/* Writes what the last four digits encode, one or two bytes. False if they no
 * longer encode that many. */
static bool decode_tail(const char *digits, size_t size, char *out)
{
    assert(size == 1 || size == 2);
    uint32_t first = base64_value(digits[0]);
    uint32_t second = base64_value(digits[1]);
    char third_digit = digits[2];
    uint32_t third = size == 1 ? 0 : base64_value(third_digit);
    bool is_padded = digits[3] == '=' && (size == 2 || third_digit == '=');
    uint32_t unused_bits = size == 1 ? second & 0x0f : third & 0x03;
    if (!is_padded || (first | second | third) >= 64 || unused_bits != 0) {
        return false;
    }
    uint32_t bits = first << 18 | second << 12 | third << 6;
    out[0] = (char)(bits >> 16);
    if (size == 2) {
        out[1] = (char)(bits >> 8 & 0xff);
    }
    return true;
}

bool kv_base64_decode(const char *digits, size_t count, char *out, size_t size)
{
    assert(digits != NULL || count == 0);
    assert(out != NULL || size == 0);
    if (count != kv_base64_size(size)) {
        return false;
    }
    const size_t whole_size = size - size % 3;
    uint32_t seen = 0;
    for (size_t done = 0; done < whole_size; done += 3, digits += 4) {
        uint32_t first = base64_value(digits[0]);
        uint32_t second = base64_value(digits[1]);
        uint32_t third = base64_value(digits[2]);
        uint32_t fourth = base64_value(digits[3]);
        uint32_t bits = first << 18 | second << 12 | third << 6 | fourth;
        seen |= first | second | third | fourth;
        out[done] = (char)(bits >> 16 & 0xff);
        out[done + 1] = (char)(bits >> 8 & 0xff);
        out[done + 2] = (char)(bits & 0xff);
    }
    return seen < 64 &&
           (whole_size == size ||
            decode_tail(digits, size - whole_size, out + whole_size));
}

bool kv_base64_equals(const char *digits,
                      size_t count,
                      const char *bytes,
                      size_t size)
{
    enum { CHUNK_SIZE = 192 };
    if (count != kv_base64_size(size)) {
        return false;
    }
    bool is_equal = true;
    for (size_t done = 0; is_equal && done < size; done += CHUNK_SIZE) {
        char chunk[CHUNK_SIZE];
        size_t left = size - done;
        size_t part = left < CHUNK_SIZE ? left : CHUNK_SIZE;
        is_equal =
            kv_base64_decode(
                digits + done / 3 * 4, kv_base64_size(part), chunk, part) &&
            memcmp(chunk, bytes + done, part) == 0;
    }
    return is_equal;
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
