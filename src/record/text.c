/* SPDX-License-Identifier: MIT */

/* How the bytes of a key or a value are held in a line: JSON strings and
 * base64, checked, measured and read. Knows nothing of records.
 *
 * What is read may be in a mapping that a hostile process changes at any
 * moment, even between two reads of one byte. So each pass is bounded by what
 * it was given, whatever an earlier pass has found there, and nothing of those
 * bytes is ever asserted. */

#include "record/text.h"

#include "record/base64.h"
#include "record/scan.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The longest character, in bytes, that an escape can stand for. */
#define CHARACTER_SIZE_MAX 4

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}

/* Reads \u and four hex digits. -1 where they are not there. */
static int32_t read_unit(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
        return -1;
    }
    int32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Writes a code point as UTF-8 and returns its size. */
static size_t write_character(int32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* An escape: its bytes in the line, and the character that it means. */
struct escape {
    size_t raw_size;
    size_t size;
    char bytes[CHARACTER_SIZE_MAX];
};

/* Reads one such unit, or two where they are a surrogate pair. */
static bool read_unicode_escape(const char *at,
                                const char *end,
                                struct escape *escape_out)
{
    int32_t code = read_unit(at, end);
    if (code < 0 || (code >= 0xdc00 && code <= 0xdfff)) {
        return false;
    }
    escape_out->raw_size = 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        int32_t low = read_unit(at + 6, end);
        if (low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
        escape_out->raw_size = 12;
    }
    escape_out->size = write_character(code, escape_out->bytes);
    return true;
}

/* What the letters of the short escapes mean; 0: no such escape. */
static const char short_meanings[256] = {
    ['"'] = '"',
    ['\\'] = '\\',
    ['/'] = '/',
    ['b'] = '\b',
    ['f'] = '\f',
    ['n'] = '\n',
    ['r'] = '\r',
    ['t'] = '\t',
};

static char read_short_escape(char letter)
{
    return short_meanings[(unsigned char)letter];
}

/* Counts the short escapes that follow each other from a place on. */
static size_t count_short_escapes(const char *at, const char *end)
{
    const char *start = at;
    while (end - at >= 2 && at[0] == '\\' && read_short_escape(at[1]) != 0) {
        at += 2;
    }
    return (size_t)(at - start) / 2;
}

/* Reads the escape whose backslash was seen at a place. False if it is
 * wrong. */
static bool read_escape(const char *at,
                        const char *end,
                        struct escape *escape_out)
{
    assert(at < end);
    if (end - at < 2) {
        return false;
    }
    char meaning = read_short_escape(at[1]);
    if (meaning == 0) {
        return read_unicode_escape(at, end, escape_out);
    }
    escape_out->raw_size = 2;
    escape_out->size = 1;
    escape_out->bytes[0] = meaning;
    return true;
}

const char *kv_text_scan_string(const char *at,
                                const char *end,
                                struct kv_text *text_out)
{
    assert(at != NULL && end >= at && text_out != NULL);
    const char *start = at;
    size_t saved_size = 0; /* Not 0 where there is an escape. */
    at = kv_scan_text(at, end);
    while (at != end && *at == '\\') {
        size_t count = count_short_escapes(at, end);
        struct escape escape = {.raw_size = 2 * count, .size = count};
        if (count == 0 && !read_escape(at, end, &escape)) {
            return NULL;
        }
        saved_size += escape.raw_size - escape.size;
        at = kv_scan_text(at + escape.raw_size, end);
    }
    if (at == end || *at != '"') {
        return NULL;
    }
    size_t raw_size = (size_t)(at - start);
    *text_out = (struct kv_text){
        .raw = start,
        .raw_size = raw_size,
        .size = raw_size - saved_size,
        .form = saved_size > 0 ? KV_TEXT_ESCAPED : KV_TEXT_PLAIN,
    };
    return at + 1;
}

bool kv_text_from_base64(const char *bytes,
                         size_t size,
                         struct kv_text *text_out)
{
    assert((bytes != NULL || size == 0) && text_out != NULL);
    size_t meant_size = 0;
    if (!kv_base64_measure(bytes, size, &meant_size)) {
        return false;
    }
    *text_out = (struct kv_text){
        .raw = size == 0 ? "" : bytes,
        .raw_size = size,
        .size = meant_size,
        .form = KV_TEXT_BASE64,
    };
    return true;
}

const char *kv_text_scan_base64(const char *at,
                                const char *end,
                                struct kv_text *text_out)
{
    assert(at != NULL && end >= at && text_out != NULL);
    if (at == end) {
        return NULL;
    }
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (quote == NULL ||
        !kv_text_from_base64(at, (size_t)(quote - at), text_out)) {
        return NULL;
    }
    return quote + 1;
}

struct kv_text kv_text_plain(const void *bytes, size_t size)
{
    assert(bytes != NULL || size == 0);
    return (struct kv_text){
        .raw = size == 0 ? "" : bytes,
        .raw_size = size,
        .size = size,
        .form = KV_TEXT_PLAIN,
    };
}

/* What the next bytes of an escaped text mean: a run that means itself, or the
 * character of one escape. */
struct piece {
    const char *bytes;
    size_t size;
    struct escape escape;
};

/* Reads the next piece of an escaped text. Returns the place past it, or NULL
 * where there is none: the bytes have changed since a scan checked them. */
static const char *read_piece(const char *at,
                              const char *end,
                              struct piece *piece_out)
{
    assert(at < end);
    if (*at == '\\') {
        if (!read_escape(at, end, &piece_out->escape)) {
            return NULL;
        }
        piece_out->bytes = piece_out->escape.bytes;
        piece_out->size = piece_out->escape.size;
        return at + piece_out->escape.raw_size;
    }
    const char *backslash = memchr(at, '\\', (size_t)(end - at));
    const char *next = backslash == NULL ? end : backslash;
    piece_out->bytes = at;
    piece_out->size = (size_t)(next - at);
    return next;
}

/* Decodes the short escapes that follow each other from a place on, as far as
 * there is room. Returns their number. */
static size_t decode_short_escapes(const char *at,
                                   const char *end,
                                   char *out,
                                   size_t room)
{
    size_t count = 0;
    while (count < room && end - at >= 2 && at[0] == '\\') {
        char meaning = read_short_escape(at[1]);
        if (meaning == 0) {
            break;
        }
        out[count++] = meaning;
        at += 2;
    }
    return count;
}

static bool decode_escaped(const struct kv_text *text, char *out)
{
    const char *at = text->raw;
    const char *end = text->raw + text->raw_size;
    size_t room = text->size;
    while (at < end) {
        struct piece piece;
        size_t count = decode_short_escapes(at, end, out, room);
        at += 2 * count;
        out += count;
        room -= count;
        if (at == end) {
            break;
        }
        at = read_piece(at, end, &piece);
        if (at == NULL || piece.size > room) {
            return false;
        }
        memcpy(out, piece.bytes, piece.size);
        out += piece.size;
        room -= piece.size;
    }
    return room == 0;
}

bool kv_text_decode(const struct kv_text *text, void *out)
{
    assert(text != NULL && (out != NULL || text->size == 0));
    if (text->size == 0) {
        return true;
    }
    switch (text->form) {
    case KV_TEXT_PLAIN:
        memcpy(out, text->raw, text->size);
        return true;
    case KV_TEXT_ESCAPED:
        return decode_escaped(text, out);
    case KV_TEXT_BASE64:
        return kv_base64_decode(text->raw, text->raw_size, out, text->size);
    }
    return false;
}

static bool equals_escaped(const struct kv_text *text, const char *bytes)
{
    const char *at = text->raw;
    const char *end = text->raw + text->raw_size;
    size_t left = text->size;
    while (at < end) {
        struct piece piece;
        at = read_piece(at, end, &piece);
        if (at == NULL || piece.size > left ||
            memcmp(piece.bytes, bytes, piece.size) != 0) {
            return false;
        }
        bytes += piece.size;
        left -= piece.size;
    }
    return left == 0;
}

bool kv_text_equals(const struct kv_text *text, const void *bytes, size_t size)
{
    assert(text != NULL && (bytes != NULL || size == 0));
    if (text->size != size || size == 0) {
        return text->size == size;
    }
    switch (text->form) {
    case KV_TEXT_PLAIN:
        return memcmp(text->raw, bytes, size) == 0;
    case KV_TEXT_ESCAPED:
        return equals_escaped(text, bytes);
    case KV_TEXT_BASE64:
        return kv_base64_equals(text->raw, text->raw_size, bytes, size);
    }
    return false;
}
