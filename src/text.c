/* SPDX-License-Identifier: MIT */

/* How the bytes of a key or a value stand in a line: JSON strings and base64,
 * checked, measured, read and written. Knows nothing of records.
 *
 * The loops over ordinary text take eight bytes at a time, as one word, and
 * never touch a byte at or past the end that they were given. */

#include "text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define WORD_SIZE ((ptrdiff_t)sizeof(uint64_t))
#define BLOCK_SIZE (2 * WORD_SIZE)
#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

/* The longest character, in bytes, that an escape can stand for. */
#define CHARACTER_SIZE_MAX 4

/* Eight bytes, the first one lowest on every machine; compilers make this one
 * load. */
static inline uint64_t load_word(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 |
           (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24 |
           (uint64_t)bytes[4] << 32 | (uint64_t)bytes[5] << 40 |
           (uint64_t)bytes[6] << 48 | (uint64_t)bytes[7] << 56;
}

/* The high bit of each special byte of the word. A borrow can mark bytes above
 * the first special one too, so only zero and the lowest mark mean anything. */
static inline uint64_t mark_special(uint64_t word)
{
    /* Flipping this bit puts the quote, 0x22, right behind the control
     * characters, and changes places only among those. */
    uint64_t control_or_quote = (word ^ EACH_BYTE * 0x02) - EACH_BYTE * 0x21;
    uint64_t backslash = (word ^ EACH_BYTE * '\\') - EACH_BYTE;
    return (control_or_quote | backslash | word) & HIGH_BITS;
}

/* The number of the byte that holds the lowest mark. */
static size_t lowest_mark(uint64_t marks)
{
    assert(marks != 0);
    return (size_t)((((marks - 1) & ~marks & EACH_BYTE) * EACH_BYTE) >> 56) - 1;
}

/* The same for one byte. */
static bool is_special(char character)
{
    unsigned char byte = (unsigned char)character;
    return (byte < 0x20) | (byte >= 0x80) | (byte == '"') | (byte == '\\');
}

/* Does a special byte occur in a block? Compilers make vector instructions of
 * this where there are any. */
static bool has_special(const char *bytes)
{
    typedef signed char block __attribute__((vector_size(BLOCK_SIZE)));
    block at;
    memcpy(&at, bytes, sizeof at);
    /* As signed numbers, bytes from 0x80 on are below 0. */
    block marks = (block)(at < 0x20) | (block)(at == '"') | (block)(at == '\\');
    uint64_t halves[2];
    memcpy(halves, &marks, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* The first byte that cannot just stand in a JSON string (a quote, a backslash,
 * a control character) or that begins more than one byte; or end. */
static const char *skip_plain(const char *at, const char *end)
{
    if (end - at < WORD_SIZE) {
        while (at < end && !is_special(*at)) {
            at++;
        }
        return at;
    }
    while (end - at >= BLOCK_SIZE && !has_special(at)) {
        at += BLOCK_SIZE;
    }
    const char *last_word = end - WORD_SIZE;
    for (; at < last_word; at += WORD_SIZE) {
        uint64_t marks = mark_special(load_word(at));
        if (marks != 0) {
            return at + lowest_mark(marks);
        }
    }
    /* This word may begin before at, with bytes already found plain. */
    uint64_t marks = mark_special(load_word(last_word));
    return marks == 0 ? end : last_word + lowest_mark(marks);
}

static bool is_within(unsigned char byte,
                      unsigned char first,
                      unsigned char last)
{
    return byte >= first && byte <= last;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The size of the character of two to four bytes that begins at a place, or 0
 * where RFC 3629 knows none: not the overlong ones, no surrogates, nothing
 * above U+10FFFF. */
static size_t measure_character(const char *at, const char *end)
{
    const unsigned char *bytes = (const unsigned char *)at;
    ptrdiff_t left = end - at;
    if (left >= 2 && is_within(bytes[0], 0xc2, 0xdf)) {
        return is_continuation(bytes[1]) ? 2 : 0;
    }
    if (left >= 3 && is_within(bytes[0], 0xe0, 0xef)) {
        unsigned char first = bytes[0] == 0xe0 ? 0xa0 : 0x80;
        unsigned char last = bytes[0] == 0xed ? 0x9f : 0xbf;
        return is_within(bytes[1], first, last) && is_continuation(bytes[2])
                   ? 3
                   : 0;
    }
    if (left >= 4 && is_within(bytes[0], 0xf0, 0xf4)) {
        unsigned char first = bytes[0] == 0xf0 ? 0x90 : 0x80;
        unsigned char last = bytes[0] == 0xf4 ? 0x8f : 0xbf;
        return is_within(bytes[1], first, last) && is_continuation(bytes[2]) &&
                       is_continuation(bytes[3])
                   ? 4
                   : 0;
    }
    return 0;
}

/* Skips characters of more than one byte. NULL at the first wrong one. */
static const char *skip_characters(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at >= 0x80) {
        size_t size = measure_character(at, end);
        if (size == 0) {
            return NULL;
        }
        at += size;
    }
    return at;
}

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

/* Reads \uXXXX. -1 where there is none. */
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

/* Reads \uXXXX, or two of them where they are a surrogate pair. */
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

/* What a letter behind a backslash means, or 0. */
static char read_short_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* Reads the escape whose backslash stands at a place. False if it is wrong. */
static bool read_escape(const char *at,
                        const char *end,
                        struct escape *escape_out)
{
    assert(at < end && *at == '\\');
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

/* Passes over an escape, or over characters of more than one byte. Adds the
 * bytes by which the escape is longer than its meaning. NULL where it is wrong,
 * and at a control character. */
static const char *skip_special(const char *at,
                                const char *end,
                                size_t *saved_size)
{
    assert(at < end && is_special(*at) && *at != '"');
    if (*at == '\\') {
        struct escape escape;
        if (!read_escape(at, end, &escape)) {
            return NULL;
        }
        *saved_size += escape.raw_size - escape.size;
        return at + escape.raw_size;
    }
    const char *next = skip_characters(at, end);
    return next == at ? NULL : next;
}

const char *kv_text_scan_string(const char *at,
                                const char *end,
                                struct kv_text *text_out)
{
    assert(at != NULL && end >= at && text_out != NULL);
    const char *start = at;
    size_t saved_size = 0; /* Not 0 where there is an escape. */
    at = skip_plain(at, end);
    while (at != end && *at != '"') {
        at = skip_special(at, end, &saved_size);
        if (at == NULL) {
            return NULL;
        }
        at = skip_plain(at, end);
    }
    if (at == end) {
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

static bool is_base64_digits(const char *digits, size_t count)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen |= base64_value(digits[i]);
    }
    return seen < 64;
}

bool kv_text_from_base64(const char *bytes,
                         size_t size,
                         struct kv_text *text_out)
{
    assert((bytes != NULL || size == 0) && text_out != NULL);
    size_t padding = 0;
    if (size % 4 != 0) {
        return false;
    }
    if (size != 0 && bytes[size - 1] == '=') {
        padding = bytes[size - 2] == '=' ? 2 : 1;
        uint32_t unused_bits = padding == 2 ? 0x0f : 0x03;
        if ((base64_value(bytes[size - padding - 1]) & unused_bits) != 0) {
            return false;
        }
    }
    if (!is_base64_digits(bytes, size - padding)) {
        return false;
    }
    *text_out = (struct kv_text){
        .raw = size == 0 ? "" : bytes,
        .raw_size = size,
        .size = size / 4 * 3 - padding,
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

/* Reads the next piece of an escaped text that a scan has checked. Returns the
 * place behind it. */
static const char *read_piece(const char *at,
                              const char *end,
                              struct piece *piece_out)
{
    assert(at < end);
    if (*at == '\\') {
        /* If it were not sound, it would be the last. */
        piece_out->escape =
            (struct escape){.raw_size = (size_t)(end - at), .size = 0};
        bool is_sound = read_escape(at, end, &piece_out->escape);
        assert(is_sound);
        (void)is_sound;
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

/* Decodes base64 that has been checked; returns the bytes written. */
static size_t decode_base64(const char *raw, size_t raw_size, char *out)
{
    assert(raw_size % 4 == 0);
    size_t size = 0;
    for (size_t i = 0; i < raw_size; i += 4) {
        uint32_t bits = base64_value(raw[i]) << 18 |
                        base64_value(raw[i + 1]) << 12 |
                        (base64_value(raw[i + 2]) & 63) << 6 |
                        (base64_value(raw[i + 3]) & 63);
        out[size++] = (char)(bits >> 16);
        if (raw[i + 2] != '=') {
            out[size++] = (char)(bits >> 8 & 0xff);
        }
        if (raw[i + 3] != '=') {
            out[size++] = (char)(bits & 0xff);
        }
    }
    return size;
}

static void decode_escaped(const struct kv_text *text, char *out)
{
    const char *at = text->raw;
    const char *end = text->raw + text->raw_size;
    while (at < end) {
        struct piece piece;
        at = read_piece(at, end, &piece);
        memcpy(out, piece.bytes, piece.size);
        out += piece.size;
    }
}

void kv_text_decode(const struct kv_text *text, void *out)
{
    assert(text != NULL && (out != NULL || text->size == 0));
    if (text->size == 0) {
        return;
    }
    switch (text->form) {
    case KV_TEXT_PLAIN:
        memcpy(out, text->raw, text->size);
        break;
    case KV_TEXT_ESCAPED:
        decode_escaped(text, out);
        break;
    case KV_TEXT_BASE64:
        decode_base64(text->raw, text->raw_size, out);
        break;
    }
}

static bool equals_escaped(const struct kv_text *text, const char *bytes)
{
    const char *at = text->raw;
    const char *end = text->raw + text->raw_size;
    while (at < end) {
        struct piece piece;
        at = read_piece(at, end, &piece);
        if (memcmp(piece.bytes, bytes, piece.size) != 0) {
            return false;
        }
        bytes += piece.size;
    }
    return true;
}

static bool equals_base64(const struct kv_text *text, const char *bytes)
{
    enum { CHUNK_SIZE = 256 };
    for (size_t done = 0; done < text->raw_size; done += CHUNK_SIZE) {
        char chunk[CHUNK_SIZE / 4 * 3];
        size_t left = text->raw_size - done;
        size_t size = decode_base64(
            text->raw + done, left < CHUNK_SIZE ? left : CHUNK_SIZE, chunk);
        if (memcmp(chunk, bytes, size) != 0) {
            return false;
        }
        bytes += size;
    }
    return true;
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
        return equals_base64(text, bytes);
    }
    return false;
}

bool kv_text_is_utf8(const char *bytes, size_t size)
{
    assert(bytes != NULL || size == 0);
    if (size == 0) {
        return true;
    }
    const char *at = bytes;
    const char *end = bytes + size;
    while (at < end) {
        while (end - at >= WORD_SIZE && (load_word(at) & HIGH_BITS) == 0) {
            at += WORD_SIZE;
        }
        while (at < end && (unsigned char)*at < 0x80) {
            at++;
        }
        at = skip_characters(at, end);
        if (at == NULL) {
            return false;
        }
    }
    return true;
}

/* The letter of a byte's short escape, or 0. */
static char short_escape_letter(char character)
{
    switch (character) {
    case '"':
    case '\\':
        return character;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

struct kv_text_plan kv_text_plan(const void *bytes, size_t size)
{
    assert(bytes != NULL || size == 0);
    if (size == 0) {
        return (struct kv_text_plan){KV_TEXT_PLAIN, 0};
    }
    const char *start = bytes;
    const char *end = start + size;
    struct kv_text_plan base64 = {
        KV_TEXT_BASE64,
        (size / 3 + (size % 3 != 0)) * 4,
    };
    size_t escaped_size = size;
    const char *at = skip_plain(start, end);
    while (at < end) {
        const char *next = skip_characters(at, end);
        if (next == at) {
            escaped_size += short_escape_letter(*at) != 0 ? 1 : 5;
            next = *at == 0 ? NULL : at + 1;
        }
        if (next == NULL || escaped_size > base64.raw_size) {
            return base64;
        }
        at = skip_plain(next, end);
    }
    return (struct kv_text_plan){
        escaped_size == size ? KV_TEXT_PLAIN : KV_TEXT_ESCAPED,
        escaped_size,
    };
}

static char *write_escape(char character, char *out)
{
    static const char hex_digits[] = "0123456789abcdef";
    char letter = short_escape_letter(character);
    *out++ = '\\';
    if (letter != 0) {
        *out++ = letter;
        return out;
    }
    memcpy(out, "u00", 3);
    out[3] = hex_digits[(unsigned char)character >> 4];
    out[4] = hex_digits[(unsigned char)character & 15];
    return out + 5;
}

static char *encode_escaped(const char *at, const char *end, char *out)
{
    while (at < end) {
        const char *next = skip_plain(at, end);
        while (next < end && (unsigned char)*next >= 0x80) {
            next++;
        }
        memcpy(out, at, (size_t)(next - at));
        out += next - at;
        at = next;
        if (at < end && is_special(*at)) {
            out = write_escape(*at, out);
            at++;
        }
    }
    return out;
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

static char *encode_base64(const unsigned char *bytes, size_t size, char *out)
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
        end = encode_base64(bytes, size, out);
        break;
    }
    assert((size_t)(end - out) == plan.raw_size);
    return end;
}
