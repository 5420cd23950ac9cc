/* SPDX-License-Identifier: MIT */

/* Does record/scan.c do what its header promises, by vectors and by words? Both
 * are compared with the definition, which is written here byte by byte. */

#include "record/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SIZE_MAX_TRIED 200
#define ALIGNMENTS 16

static uint64_t random_state = 0;

/* Returns the same numbers in each run (splitmix64). */
static size_t random_below(size_t bound)
{
    uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

/* RFC 3629 by its definition: decodes, then compares with the shortest form. */
static bool is_character(const unsigned char *bytes, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_mask[] = {0, 0, 0x1f, 0x0f, 0x07};
    static const unsigned char lead_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if ((bytes[0] & ~lead_mask[size] & 0xff) != lead_bits[size]) {
        return false;
    }
    uint32_t code = bytes[0] & lead_mask[size];
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return false;
        }
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code >= smallest[size] && code <= 0x10ffff &&
           (code < 0xd800 || code > 0xdfff);
}

static size_t defined_size(const unsigned char *bytes, size_t left)
{
    if (bytes[0] < 0x80) {
        bool is_plain = bytes[0] >= 0x20 && bytes[0] != '"' && bytes[0] != '\\';
        return is_plain ? 1 : 0;
    }
    for (size_t size = 2; size <= 4 && size <= left; size++) {
        if (is_character(bytes, size)) {
            return size;
        }
    }
    return 0;
}

static size_t defined_stop(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    size_t step = 1;
    while (at < size && step != 0) {
        step = defined_size(bytes + at, size - at);
        at += step;
    }
    return at;
}

/* Scans a copy that ends where its memory ends, so that the address sanitizer
 * sees each read past it; it begins at any alignment, and what is before it
 * would stop a scan. */
static void assert_stops(const char *text, size_t size, size_t alignment)
{
    char *memory = malloc(alignment + size == 0 ? 1 : alignment + size);
    assert_non_null(memory);
    memset(memory, 0xff, alignment);
    char *copy = memory + alignment;
    if (size != 0) {
        memcpy(copy, text, size);
    }
    size_t expected = defined_stop(text, size);
    assert_int_equal(kv_scan_text(copy, copy + size) - copy, expected);
    assert_int_equal(kv_scan_text_by_words(copy, copy + size) - copy, expected);
    free(memory);
}

static void plain_text_is_passed_at_every_length(void **state)
{
    (void)state;
    char text[SIZE_MAX_TRIED];
    memset(text, 'a', sizeof text);
    for (size_t size = 0; size <= sizeof text; size++) {
        for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
            assert_stops(text, size, alignment);
        }
    }
}

static void judge_at_every_place(char byte)
{
    char text[70];
    for (size_t place = 0; place < sizeof text; place++) {
        memset(text, '~', sizeof text);
        text[place] = byte;
        for (size_t size = place + 1; size <= sizeof text; size += 5) {
            assert_stops(text, size, place % ALIGNMENTS);
        }
    }
}

static void every_byte_is_judged_at_every_place(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        judge_at_every_place((char)byte);
    }
}

static void special_byte_is_found_at_every_place_of_every_length(void **state)
{
    (void)state;
    static const char specials[] = {'"', '\\', '\n', '\0', '\x1f', '\x80'};
    char text[SIZE_MAX_TRIED];
    for (size_t size = 1; size <= sizeof text; size++) {
        for (size_t place = 0; place < size; place++) {
            memset(text, ' ', sizeof text);
            text[place] = specials[(size + place) % sizeof specials];
            assert_stops(text, size, size % ALIGNMENTS);
        }
    }
}

/* Sound characters, truncated ones, overlong ones, surrogates, and what is
 * above U+10FFFF. */
static const char *const sequences[] = {
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xec\xbf\xbf",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf3\xbf\xbf\xbf",
    "\xf4\x8f\xbf\xbf",
    "\xc2",
    "\xe2\x82",
    "\xe2",
    "\xf0\x9f\x98",
    "\xf0\x9f",
    "\xf0",
    "\x80",
    "\xbf",
    "\xc0\x80",
    "\xc1\xbf",
    "\xe0\x80\x80",
    "\xe0\x9f\xbf",
    "\xf0\x80\x80\x80",
    "\xf0\x8f\xbf\xbf",
    "\xed\xa0\x80",
    "\xed\xbf\xbf",
    "\xf4\x90\x80\x80",
    "\xf5\x80\x80\x80",
    "\xff",
    "\xfe",
    "\xc2\xc2",
    "\xe2\x41\xac",
    "\xe2\x82\x41",
    "\xf0\x9f\x98\x41",
    "\xf0\x9f\x41\x80",
    "\xf0\x41\x98\x80",
};

/* What surrounds the sequence: text of one byte per character, or of more. */
static const char *const fillings[] = {"a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80"};

static size_t fill(char *text, size_t size, const char *filling)
{
    size_t part = strlen(filling);
    size_t used = 0;
    for (; used + part <= size; used += part) {
        memcpy(text + used, filling, part);
    }
    memset(text + used, 'x', size - used);
    return size;
}

static void check_sequence(const char *sequence, const char *filling)
{
    for (size_t before = 0; before <= 50; before++) {
        for (size_t behind = 0; behind <= 40; behind += 3) {
            char text[128];
            size_t size = fill(text, before, filling);
            memcpy(text + size, sequence, strlen(sequence));
            size += strlen(sequence);
            size += fill(text + size, behind, filling);
            assert_stops(text, size, before % ALIGNMENTS);
        }
    }
}

static void sequences_are_judged_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sequences); i++) {
        for (size_t j = 0; j < COUNT(fillings); j++) {
            check_sequence(sequences[i], fillings[j]);
        }
    }
}

/* Every pair of a lead and a second byte, with the third at its bounds, on the
 * border of two blocks and within one. */
static void lead_and_second_bytes_match_the_definition(void **state)
{
    (void)state;
    static const char tails[][2] = {
        {'\x7f', '\xc0'}, {'\x80', '\xbf'}, {'\xbf', '\x80'}, {'\xbf', 'a'}};
    char text[40];
    for (unsigned pair = 0x8000; pair < 0x10000; pair++) {
        for (size_t i = 0; i < COUNT(tails); i++) {
            size_t place = pair % 18;
            memset(text, 'a', sizeof text);
            text[place] = (char)(pair >> 8);
            text[place + 1] = (char)(pair & 0xff);
            memcpy(text + place + 2, tails[i], 2);
            assert_stops(text, sizeof text, 0);
        }
    }
}

static void random_pieces_are_judged_as_defined(void **state)
{
    (void)state;
    random_state = 1;
    for (int round = 0; round < 60000; round++) {
        char text[SIZE_MAX_TRIED + 8];
        size_t wanted = random_below(SIZE_MAX_TRIED);
        size_t size = 0;
        /* The first ten sequences are sound. */
        size_t choices = random_below(4) == 0 ? COUNT(sequences) : 10;
        while (size < wanted) {
            const char *piece = sequences[random_below(choices)];
            piece = random_below(3) == 0 ? "abcdefg" : piece;
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        size = wanted; /* Cuts the last one off. */
        if (random_below(4) == 0 && size != 0) {
            text[random_below(size)] = "\"\\\n\x7f"[random_below(4)];
        }
        assert_stops(text, size, random_below(ALIGNMENTS));
    }
}

static void random_bytes_are_judged_as_defined(void **state)
{
    (void)state;
    random_state = 2;
    for (int round = 0; round < 60000; round++) {
        char text[64];
        size_t size = random_below(sizeof text);
        fill(text, size, fillings[random_below(COUNT(fillings))]);
        for (uint64_t left = random_below(4); left > 0 && size > 0; left--) {
            text[random_below(size)] = (char)random_below(256);
        }
        assert_stops(text, size, random_below(ALIGNMENTS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_passed_at_every_length),
        cmocka_unit_test(every_byte_is_judged_at_every_place),
        cmocka_unit_test(special_byte_is_found_at_every_place_of_every_length),
        cmocka_unit_test(sequences_are_judged_at_every_place),
        cmocka_unit_test(lead_and_second_bytes_match_the_definition),
        cmocka_unit_test(random_pieces_are_judged_as_defined),
        cmocka_unit_test(random_bytes_are_judged_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
