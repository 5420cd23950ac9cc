/* SPDX-License-Identifier: MIT */

/* Scans text.
 *
 * Invariants:
 * 1. Between steps every scan is at the first byte of a character, and all
 *    characters before it are sound.
 * 2. A load of a word or block lies within the bytes that the scan was given.
 *
 * The vectors are those that every machine of an architecture has, SSE2 and
 * NEON, so nothing has to be detected at run time. KV_NO_SIMD leaves them
 * out. */

#include "record/scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(KV_NO_SIMD)
#define HAS_BLOCKS 0
#elif defined(__SSE2__)
#define HAS_BLOCKS 1
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define HAS_BLOCKS 1
#include <arm_neon.h>
#else
#define HAS_BLOCKS 0
#endif

/* --- One character --- */

/* True if a byte needs a closer check: it ends the text, or begins a character
 * of more than one byte. */
static bool is_special(unsigned char byte)
{
    return (byte < 0x20) | (byte >= 0x80) | (byte == '"') | (byte == '\\');
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
 * if by RFC 3629 there is none: nothing overlong, no surrogates, nothing above
 * U+10FFFF. */
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

/* Skips sound characters of more than one byte. */
static const char *skip_characters(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at >= 0x80) {
        size_t size = measure_character(at, end);
        if (size == 0) {
            break;
        }
        at += size;
    }
    return at;
}

/* --- By words --- */

#define WORD_SIZE ((ptrdiff_t)sizeof(uint64_t))
#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

/* Loads eight bytes, the first one lowest on every machine; compilers make this
 * a single load. */
static inline uint64_t load_word(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 |
           (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24 |
           (uint64_t)bytes[4] << 32 | (uint64_t)bytes[5] << 40 |
           (uint64_t)bytes[6] << 48 | (uint64_t)bytes[7] << 56;
}

/* The high bit of each special byte of the word. A borrow can mark bytes above
 * the first special one, too, so only zero and the lowest mark are reliable. */
static inline uint64_t mark_special(uint64_t word)
{
    /* Flipping this bit moves the quote, 0x22, to just after the control
     * characters, which it permutes among themselves. */
    uint64_t control_or_quote = (word ^ EACH_BYTE * 0x02) - EACH_BYTE * 0x21;
    uint64_t backslash = (word ^ EACH_BYTE * '\\') - EACH_BYTE;
    return (control_or_quote | backslash | word) & HIGH_BITS;
}

/* The first special byte at or after a place in [start, end); or end. */
static const char *skip_plain(const char *start,
                              const char *at,
                              const char *end)
{
    for (; end - at >= WORD_SIZE; at += WORD_SIZE) {
        uint64_t marks = mark_special(load_word(at));
        if (marks != 0) {
            return at + __builtin_ctzll(marks) / 8;
        }
    }
    if (at < end && end - start >= WORD_SIZE) {
        /* The last word begins before at. The bytes shifted in are special. */
        ptrdiff_t known = WORD_SIZE - (end - at);
        uint64_t word = load_word(end - WORD_SIZE) >> (8 * known);
        return at + __builtin_ctzll(mark_special(word)) / 8;
    }
    while (at < end && !is_special((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* Continues a scan from a place in [start, end). */
static const char *scan_words(const char *start,
                              const char *at,
                              const char *end)
{
    const char *before = NULL;
    while (at != before) {
        at = skip_plain(start, at, end);
        before = at;
        at = skip_characters(at, end);
    }
    return at;
}

const char *kv_scan_text_by_words(const char *at, const char *end)
{
    assert(at <= end);
    return scan_words(at, at, end);
}

static bool is_bare_byte(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

static bool is_bare_by_bytes(const char *at, const char *end)
{
    while (at < end && is_bare_byte((unsigned char)*at)) {
        at++;
    }
    return at == end;
}

static const char *line_end_by_bytes(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at > '\n') {
        at++;
    }
    return at;
}

static bool is_plain_by_words(const char *at, const char *end)
{
    return skip_plain(at, at, end) == end;
}

/* --- By blocks --- */

#if HAS_BLOCKS

#define BLOCK_SIZE 16

typedef unsigned char block __attribute__((vector_size(BLOCK_SIZE)));
typedef signed char signed_block __attribute__((vector_size(BLOCK_SIZE)));

#if defined(__SSE2__)

static inline block load_block(const char *at)
{
    return (block)_mm_loadu_si128((const __m128i *)(const void *)at);
}

/* A block of bytes that are all ones or all zeros, as bits. */
#define MARK_BITS 1
static inline uint64_t mark_block(block bytes)
{
    return (uint64_t)_mm_movemask_epi8((__m128i)bytes);
}

/* A block whose bytes are those that many places before in this one; 0 if there
 * are none. */
#define BLOCK_BEFORE(bytes, count) \
    ((block)_mm_slli_si128((__m128i)(bytes), (count)))

#else

static inline block load_block(const char *at)
{
    return (block)vld1q_u8((const uint8_t *)at);
}

#define MARK_BITS 4
static inline uint64_t mark_block(block bytes)
{
    uint8x8_t halves = vshrn_n_u16(vreinterpretq_u16_u8((uint8x16_t)bytes), 4);
    return vget_lane_u64(vreinterpret_u64_u8(halves), 0);
}

#define BLOCK_BEFORE(bytes, count) \
    ((block)vextq_u8(vdupq_n_u8(0), (uint8x16_t)(bytes), BLOCK_SIZE - (count)))

#endif

/* The place of the first byte with a mark; BLOCK_SIZE if there is none. */
static inline ptrdiff_t first_mark(uint64_t marks)
{
    return marks == 0 ? BLOCK_SIZE : __builtin_ctzll(marks) / MARK_BITS;
}

static inline block special_bytes(block bytes)
{
    /* As signed numbers, bytes from 0x80 on are below 0. */
    return (block)(((signed_block)bytes < 0x20) | (bytes == '"') |
                   (bytes == '\\'));
}

static inline block ending_bytes(block bytes)
{
    return (block)((bytes < 0x20) | (bytes == '"') | (bytes == '\\'));
}

/* The bytes that are invalid where they are, in a block that begins with a
 * character. A character that the block cuts off is sound as far as it goes. */
static inline block wrong_bytes(block bytes)
{
    block before = BLOCK_BEFORE(bytes, 1);
    block second_before = BLOCK_BEFORE(bytes, 2);
    block third_before = BLOCK_BEFORE(bytes, 3);
    block is_due = (block)((before >= 0xc2) | (second_before >= 0xe0) |
                           (third_before >= 0xf0));
    block is_there = (block)((bytes & 0xc0) == 0x80);
    block no_lead = (block)(((bytes & 0xfe) == 0xc0) | (bytes >= 0xf5));
    block too_low = (block)(((before == 0xe0) & (bytes < 0xa0)) |
                            ((before == 0xf0) & (bytes < 0x90)));
    block too_high = (block)(((before == 0xed) & (bytes >= 0xa0)) |
                             ((before == 0xf4) & (bytes >= 0x90)));
    return (is_due ^ is_there) | no_lead | too_low | too_high;
}

/* How many bytes at the end of a sound block belong to a character that
 * continues after it. */
static inline ptrdiff_t cut_off(const char *at)
{
    const unsigned char *last = (const unsigned char *)at + BLOCK_SIZE - 1;
    return last[0] >= 0xc0    ? 1
           : last[-1] >= 0xe0 ? 2
           : last[-2] >= 0xf0 ? 3
                              : 0;
}

/* Returns the end of the text, or the end of the first block without characters
 * of more than one byte, or the beginning of a block with a wrong character or
 * with too few bytes, whichever comes first. */
static const char *skip_character_blocks(const char *at, const char *end)
{
    while (end - at >= BLOCK_SIZE) {
        block bytes = load_block(at);
        uint64_t ends = mark_block(ending_bytes(bytes));
        uint64_t wrong = mark_block(wrong_bytes(bytes));
        ptrdiff_t count = first_mark(ends);
        if (wrong != 0 && first_mark(wrong) <= count) {
            return at;
        }
        if (ends != 0) {
            return at + count;
        }
        at += BLOCK_SIZE - cut_off(at);
        if (mark_block((block)(bytes >= 0x80)) == 0) {
            return at;
        }
    }
    return at;
}

const char *kv_scan_text(const char *at, const char *end)
{
    assert(at <= end);
    const char *start = at;
    while (end - at >= BLOCK_SIZE) {
        uint64_t marks = mark_block(special_bytes(load_block(at)));
        at += first_mark(marks);
        if (marks == 0) {
            continue;
        }
        if ((unsigned char)*at < 0x80) {
            return at;
        }
        const char *next = skip_character_blocks(at, end);
        next = next == at ? skip_characters(at, end) : next;
        if (next == at) {
            return at;
        }
        at = next;
    }
    return scan_words(start, at, end);
}

/* The last block may overlap the one before it. */
bool kv_scan_is_plain(const char *at, const char *end)
{
    assert(at <= end);
    if (end - at < BLOCK_SIZE) {
        return is_plain_by_words(at, end);
    }
    block found = special_bytes(load_block(end - BLOCK_SIZE));
    for (; end - at > BLOCK_SIZE; at += BLOCK_SIZE) {
        found |= special_bytes(load_block(at));
    }
    return mark_block(found) == 0;
}

bool kv_scan_is_bare(const char *at, const char *end)
{
    assert(at <= end);
    if (end - at < BLOCK_SIZE) {
        return is_bare_by_bytes(at, end);
    }
    block found = ending_bytes(load_block(end - BLOCK_SIZE));
    for (; end - at > BLOCK_SIZE; at += BLOCK_SIZE) {
        found |= ending_bytes(load_block(at));
    }
    return mark_block(found) == 0;
}

static inline block line_end_bytes(const char *at)
{
    return (block)(load_block(at) <= '\n');
}

const char *kv_scan_line_end(const char *at, const char *end)
{
    const ptrdiff_t step = 2 * (ptrdiff_t)BLOCK_SIZE;
    assert(at <= end);
    for (; end - at >= step; at += step) {
        block first = line_end_bytes(at);
        block second = line_end_bytes(at + BLOCK_SIZE);
        if (mark_block(first | second) != 0) {
            ptrdiff_t count = first_mark(mark_block(first));
            return count < BLOCK_SIZE
                       ? at + count
                       : at + BLOCK_SIZE + first_mark(mark_block(second));
        }
    }
    return line_end_by_bytes(at, end);
}

#else

const char *kv_scan_line_end(const char *at, const char *end)
{
    return line_end_by_bytes(at, end);
}

bool kv_scan_is_plain(const char *at, const char *end)
{
    return is_plain_by_words(at, end);
}

bool kv_scan_is_bare(const char *at, const char *end)
{
    return is_bare_by_bytes(at, end);
}

const char *kv_scan_text(const char *at, const char *end)
{
    return kv_scan_text_by_words(at, end);
}

#endif
