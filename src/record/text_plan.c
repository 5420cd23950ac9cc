/* SPDX-License-Identifier: MIT */

/* Chooses the form in which bytes are written to a line, and writes them. The
 * bytes are the caller's own and do not change in between. */

#include "record/text_plan.h"

#include "record/base64.h"
#include "record/scan.h"

#include <assert.h>
#include <string.h>

/* The letters of the bytes that have a short escape. */
static const char escape_letters[0x80] = {
    ['"'] = '"',
    ['\\'] = '\\',
    ['\b'] = 'b',
    ['\f'] = 'f',
    ['\n'] = 'n',
    ['\r'] = 'r',
    ['\t'] = 't',
};

static bool is_ascii(char character)
{
    return (unsigned char)character < 0x80;
}

/* Returns how many bytes an ASCII character other than NUL takes up in a
 * string. */
static size_t escaped_size_of(char character)
{
    if (escape_letters[(unsigned char)character] != 0) {
        return 2;
    }
    return character < 0x20 ? 6 : 1;
}

/* How many bytes are examined one by one before the next escape is searched
 * for: where escapes are close together, a search costs more than that. It is
 * one, the escape itself, and doubles whenever a search has not gone far. */
#define STRETCH_MAX ((ptrdiff_t)32)
#define NEAR_SIZE ((ptrdiff_t)4)

static ptrdiff_t next_stretch(ptrdiff_t stretch, ptrdiff_t searched)
{
    if (searched > NEAR_SIZE) {
        return 1;
    }
    return stretch < STRETCH_MAX ? 2 * stretch : stretch;
}

static const char *end_of_stretch(const char *at,
                                  const char *end,
                                  ptrdiff_t stretch)
{
    return end - at > stretch ? at + stretch : end;
}

struct kv_text_plan kv_text_plan_base64(size_t size)
{
    return (struct kv_text_plan){KV_TEXT_BASE64, kv_base64_size(size)};
}

/* A text of up to this many bytes is looked through once before it is examined:
 * most texts need no more. */
#define PLAIN_SIZE_MAX ((size_t)4096)

struct kv_text_plan kv_text_plan(const void *bytes,
                                 size_t size,
                                 size_t raw_size_max)
{
    assert(bytes != NULL || size == 0);
    if (size == 0) {
        return (struct kv_text_plan){KV_TEXT_PLAIN, 0};
    }
    const char *start = bytes;
    const char *end = start + size;
    if (size <= PLAIN_SIZE_MAX && size <= raw_size_max &&
        kv_scan_is_plain(start, end)) {
        return (struct kv_text_plan){KV_TEXT_PLAIN, size};
    }
    size_t escaped_size = size;
    const char *at = kv_scan_text(start, end);
    ptrdiff_t stretch = 1;
    while (at < end && escaped_size <= raw_size_max) {
        if (*at == 0 || !is_ascii(*at)) {
            return kv_text_plan_base64(size);
        }
        const char *stop = end_of_stretch(at, end, stretch);
        while (at < stop && *at != 0 && is_ascii(*at)) {
            escaped_size += escaped_size_of(*at++) - 1;
        }
        stop = at;
        at = kv_scan_text(at, end);
        stretch = next_stretch(stretch, at - stop);
    }
    if (escaped_size > raw_size_max) {
        return kv_text_plan_base64(size);
    }
    return (struct kv_text_plan){
        escaped_size == size ? KV_TEXT_PLAIN : KV_TEXT_ESCAPED,
        escaped_size,
    };
}

/* Writes an ASCII character other than NUL. */
static char *write_escaped(char character, char *out)
{
    static const char hex_digits[] = "0123456789abcdef";
    char letter = escape_letters[(unsigned char)character];
    if (letter != 0) {
        out[0] = '\\';
        out[1] = letter;
        return out + 2;
    }
    if (character >= 0x20) {
        *out = character;
        return out + 1;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hex_digits[(unsigned char)character >> 4];
    out[5] = hex_digits[(unsigned char)character & 15];
    return out + 6;
}

/* Writes text that has been planned: every byte that cannot be in it as it is
 * has an escape. */
static char *encode_escaped(const char *at, const char *end, char *out)
{
    ptrdiff_t stretch = 1;
    while (at < end) {
        const char *next = kv_scan_text(at, end);
        memcpy(out, at, (size_t)(next - at));
        out += next - at;
        stretch = next_stretch(stretch, next - at);
        const char *stop = end_of_stretch(next, end, stretch);
        at = next;
        while (at < stop && is_ascii(*at)) {
            out = write_escaped(*at++, out);
        }
    }
    return out;
}

char *kv_text_encode(struct kv_text_plan plan,
                     const void *bytes,
                     size_t size,
                     char *out)
{
    assert((bytes != NULL || size == 0) && out != NULL);
    if (size == 0) {
        return out;
    }
    char *end = out;
    switch (plan.form) {
    case KV_TEXT_PLAIN:
        memcpy(out, bytes, size);
        end = out + size;
        break;
    case KV_TEXT_ESCAPED:
        end = encode_escaped(bytes, (const char *)bytes + size, out);
        break;
    case KV_TEXT_BASE64:
        end = kv_base64_encode(bytes, size, out);
        break;
    }
    assert((size_t)(end - out) == plan.raw_size);
    return end;
}
