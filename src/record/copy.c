/* SPDX-License-Identifier: MIT */

/* Makes a line into what cJSON can parse:
 *
 * - Only strict JSON reaches it.
 * - It would cut a string at an escaped NUL; a character that is not in the
 *   line stands in for that.
 * - It rounds numbers, and some releases fail at one longer than their buffer;
 *   long numbers are replaced.
 * - For an array of small numbers it takes some forty times the memory of the
 *   text. What is in arrays, or in objects deeper than the variant, is never
 *   used: it becomes blanks. The members that are left are counted and
 *   bounded. */

#include "record/copy.h"

#include "os/bounds.h"
#include "record/json.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The longest number that can mean anything here is 2^53 - 1, with 16 digits. A
 * longer one with a fraction may become a whole number as the parser rounds it,
 * and cJSON 1.7.15 has no room for more than 63 characters. */
#define NUMBER_SIZE_MAX ((size_t)16)

/* The place past a string whose opening quote is just before at. */
static char *skip_string(char *at, const char *end)
{
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return at + 1;
}

/* Blanks out the inside of a container whose opening bracket is just before at.
 * Returns the place of its closing bracket. */
static char *blank_inside(char *at, const char *end)
{
    char *start = at;
    size_t depth = 1;
    while (at < end) {
        char character = *at++;
        if (character == '"') {
            at = skip_string(at, end);
        } else if (character == '[' || character == '{') {
            depth++;
        } else if ((character == ']' || character == '}') && --depth == 0) {
            at--;
            break;
        }
    }
    memset(start, ' ', (size_t)(at - start));
    return at;
}

/* Blanks out what is deeper than the members of the outermost object's
 * members. */
static void blank_depths(char *line, size_t size)
{
    char *at = line;
    const char *end = line + size;
    unsigned depth = 0;
    while (at < end) {
        char character = *at++;
        if (character == '"') {
            at = skip_string(at, end);
        } else if (character == '[' || (character == '{' && depth == 2)) {
            at = blank_inside(at, end) + 1;
        } else if (character == '{') {
            depth++;
        } else if (character == '}') {
            depth--;
        }
    }
}

static bool is_in_number(char character)
{
    return memchr("0123456789+-.eE", character, 15) != NULL;
}

/* Replaces each number that is too long by a zero and blanks. A zero is not a
 * valid batch, and does not matter anywhere else. */
static void replace_long_numbers(char *line, size_t size)
{
    char *at = line;
    const char *end = line + size;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at + 1, end);
            continue;
        }
        size_t number_size = 0;
        while (at + number_size < end && is_in_number(at[number_size])) {
            number_size++;
        }
        if (number_size > NUMBER_SIZE_MAX) {
            memset(at, ' ', number_size);
            *at = '0';
        }
        at += number_size == 0 ? 1 : number_size;
    }
}

/* The characters that may stand in for a NUL, U+FDD0 to U+FDDF: noncharacters,
 * reserved for programs' internal use (Unicode, section 23.7). In UTF-8, they
 * differ in the last byte. */
#define STAND_IN_COUNT 16u
#define STAND_IN_FIRST 0x90u
static const char stand_in_start[] = {(char)0xef, (char)0xb7};
static const char stand_in_escape[] = "\\ufdd";
static const char stand_in_digits[] = "0123456789abcdef";

/* Which of them begins here, as itself or escaped; STAND_IN_COUNT if none. */
static unsigned stand_in_at(const char *at, const char *end)
{
    const size_t escape_size = sizeof stand_in_escape - 1;
    if (end - at >= 3 && memcmp(at, stand_in_start, 2) == 0) {
        return (unsigned char)at[2] - STAND_IN_FIRST;
    }
    if ((size_t)(end - at) <= escape_size || *at != '\\') {
        return STAND_IN_COUNT;
    }
    char lower[sizeof stand_in_escape];
    for (size_t i = 0; i <= escape_size; i++) {
        lower[i] = (char)(at[i] | 0x20); /* The backslash is not a letter: */
    }
    lower[0] = *at;
    const char *digit =
        memchr(stand_in_digits, lower[escape_size], STAND_IN_COUNT);
    return digit != NULL && memcmp(lower, stand_in_escape, escape_size) == 0
               ? (unsigned)(digit - stand_in_digits)
               : STAND_IN_COUNT;
}

/* One that is not in the line; STAND_IN_COUNT if all are. */
static unsigned find_stand_in(const char *line, size_t size)
{
    bool is_taken[STAND_IN_COUNT] = {false};
    for (size_t i = 0; i < size; i++) {
        unsigned number = stand_in_at(line + i, line + size);
        if (number < STAND_IN_COUNT) {
            is_taken[number] = true;
        }
    }
    unsigned free_one = 0;
    while (free_one < STAND_IN_COUNT && is_taken[free_one]) {
        free_one++;
    }
    return free_one;
}

/* Every backslash begins an escape, since only strings have any. */
static void replace_nuls(char *line, size_t size, unsigned stand_in)
{
    char *at = line;
    const char *end = line + size;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) {
            memcpy(at, stand_in_escape, sizeof stand_in_escape - 1);
            at[5] = stand_in_digits[stand_in];
        }
        at += 2; /* The escaped character may be a backslash itself. */
    }
}

bool kv_record_copy_prepare(char *line,
                            size_t size,
                            struct kv_record_copy *copy_out)
{
    assert(line != NULL && copy_out != NULL);
    struct kv_json_facts facts;
    copy_out->stand_in = STAND_IN_COUNT;
    if (!kv_json_is_valid(line, size, &facts) ||
        facts.member_count > KV_JSON_MEMBERS_MAX) {
        return false;
    }
    blank_depths(line, size);
    if (facts.longest_number_size > NUMBER_SIZE_MAX) {
        replace_long_numbers(line, size);
    }
    if (facts.has_nul) {
        copy_out->stand_in = find_stand_in(line, size);
        if (copy_out->stand_in == STAND_IN_COUNT) {
            return false;
        }
        replace_nuls(line, size, copy_out->stand_in);
    }
    return true;
}

size_t kv_record_copy_restore(const struct kv_record_copy *copy,
                              char *text,
                              size_t size)
{
    assert(copy != NULL && (text != NULL || size == 0));
    if (copy->stand_in == STAND_IN_COUNT) {
        return size;
    }
    size_t kept = 0;
    for (size_t i = 0; i < size; i++) {
        bool is_nul = text[i] != '\\' &&
                      stand_in_at(text + i, text + size) == copy->stand_in;
        text[kept++] = is_nul ? '\0' : text[i];
        i += is_nul ? 2 : 0;
    }
    return kept;
}
