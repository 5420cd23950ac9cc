/* SPDX-License-Identifier: MIT */

/* A strict acceptor for JSON. It builds nothing and keeps its place in nested
 * arrays and objects as one bit each. Strings are checked by text.c. */

#include "record/json.h"

#include "os/bounds.h"
#include "record/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* Invariant: the lowest bits of is_object, as many as depth, say what the open
 * containers are, from the outside in. */
struct reader {
    const char *at;
    const char *end;
    struct kv_json_facts facts;
    uint32_t depth;
    uint8_t is_object[(KV_JSON_DEPTH_MAX + 7) / 8];
};

static bool next_is(const struct reader *reader, char character)
{
    return reader->at < reader->end && *reader->at == character;
}

static bool take(struct reader *reader, char character)
{
    if (!next_is(reader, character)) {
        return false;
    }
    reader->at++;
    return true;
}

static void skip_space(struct reader *reader)
{
    while (next_is(reader, ' ') || next_is(reader, '\t') ||
           next_is(reader, '\n') || next_is(reader, '\r')) {
        reader->at++;
    }
}

static bool push(struct reader *reader, bool is_object)
{
    if (reader->depth == KV_JSON_DEPTH_MAX) {
        return false;
    }
    uint8_t *byte = &reader->is_object[reader->depth / 8];
    uint8_t bit = (uint8_t)(1u << reader->depth % 8);
    *byte = (uint8_t)(is_object ? *byte | bit : *byte & ~bit);
    reader->depth++;
    return true;
}

static bool is_in_object(const struct reader *reader)
{
    assert(reader->depth > 0 && reader->depth <= KV_JSON_DEPTH_MAX);
    uint32_t top = reader->depth - 1;
    return (reader->is_object[top / 8] >> top % 8 & 1) != 0;
}

/* True if a string, whose escapes are sound, has an escaped NUL. */
static bool has_nul_escape(const struct kv_text *text)
{
    const char *at = text->raw;
    const char *end = text->raw + text->raw_size;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        if (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0) {
            return true;
        }
        at += 2; /* The escaped character may be a backslash itself. */
    }
    return false;
}

static bool read_string(struct reader *reader)
{
    struct kv_text text;
    if (!take(reader, '"')) {
        return false;
    }
    const char *next = kv_text_scan_string(reader->at, reader->end, &text);
    if (next == NULL) {
        return false;
    }
    if (text.form == KV_TEXT_ESCAPED && has_nul_escape(&text)) {
        reader->facts.has_nul = true;
    }
    reader->at = next;
    return true;
}

/* Reads one digit or more. */
static bool read_digits(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9') {
        reader->at++;
    }
    return reader->at != start;
}

static bool read_number(struct reader *reader)
{
    const char *start = reader->at;
    (void)take(reader, '-');
    if (!take(reader, '0') && !read_digits(reader)) {
        return false;
    }
    if (take(reader, '.') && !read_digits(reader)) {
        return false;
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+')) {
            (void)take(reader, '-');
        }
        if (!read_digits(reader)) {
            return false;
        }
    }
    size_t size = (size_t)(reader->at - start);
    if (size > reader->facts.longest_number_size) {
        reader->facts.longest_number_size = size;
    }
    return true;
}

static bool read_word(struct reader *reader, const char *word, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size ||
        memcmp(reader->at, word, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

static bool read_scalar(struct reader *reader)
{
    if (reader->at == reader->end) {
        return false;
    }
    switch (*reader->at) {
    case '"':
        return read_string(reader);
    case 't':
        return read_word(reader, "true", 4);
    case 'f':
        return read_word(reader, "false", 5);
    case 'n':
        return read_word(reader, "null", 4);
    default:
        return read_number(reader);
    }
}

/* Reads a member's name, and what is between it and the value. */
static bool read_name(struct reader *reader)
{
    if (reader->depth <= 2) {
        reader->facts.member_count++;
    }
    skip_space(reader);
    if (!read_string(reader)) {
        return false;
    }
    skip_space(reader);
    return take(reader, ':');
}

/* Reads up to the end of the next scalar or empty container, and opens the
 * containers on the way to it. */
static bool read_inward(struct reader *reader)
{
    for (;;) {
        skip_space(reader);
        bool is_object = next_is(reader, '{');
        if (!is_object && !next_is(reader, '[')) {
            return read_scalar(reader);
        }
        reader->at++;
        if (!push(reader, is_object)) {
            return false;
        }
        skip_space(reader);
        if (next_is(reader, is_object ? '}' : ']')) {
            return true; /* Closed by read_outward. */
        }
        if (is_object && !read_name(reader)) {
            return false;
        }
    }
}

/* Called after a value: closes the containers that end here, and reads up to
 * the place of the next value, if depth says that there must be one. */
static bool read_outward(struct reader *reader)
{
    for (;;) {
        skip_space(reader);
        if (reader->depth == 0) {
            return true;
        }
        bool is_object = is_in_object(reader);
        if (take(reader, ',')) {
            return !is_object || read_name(reader);
        }
        if (!take(reader, is_object ? '}' : ']')) {
            return false;
        }
        reader->depth--;
    }
}

bool kv_json_is_valid(const char *text,
                      size_t size,
                      struct kv_json_facts *facts_out)
{
    assert(text != NULL && facts_out != NULL);
    struct reader reader = {.at = text, .end = text + size};
    *facts_out = (struct kv_json_facts){.has_nul = false};
    do {
        if (!read_inward(&reader) || !read_outward(&reader)) {
            return false;
        }
    } while (reader.depth > 0);
    assert(reader.at <= reader.end);
    *facts_out = reader.facts;
    return reader.at == reader.end;
}
