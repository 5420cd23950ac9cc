/* SPDX-License-Identifier: MIT */

/* A strict reader of JSON. Plain rather than fast. */

#include "json_oracle.h"

#include "fuzz.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool json_oracle_take(struct json_reader *reader, const char *literal)
{
    size_t size = strlen(literal);
    if ((size_t)(reader->end - reader->at) < size ||
        memcmp(reader->at, literal, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

void json_oracle_skip_space(struct json_reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' ||
            *reader->at == '\r')) {
        reader->at++;
    }
}

/* --- Strings --- */

static void put(struct line_text *text, unsigned byte)
{
    text->bytes[text->size++] = (unsigned char)byte;
}

static void put_code(struct line_text *text, uint32_t code)
{
    if (code < 0x80) {
        put(text, code);
    } else if (code < 0x800) {
        put(text, 0xc0 | code >> 6);
        put(text, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(text, 0xe0 | code >> 12);
        put(text, 0x80 | (code >> 6 & 0x3f));
        put(text, 0x80 | (code & 0x3f));
    } else {
        put(text, 0xf0 | code >> 18);
        put(text, 0x80 | (code >> 12 & 0x3f));
        put(text, 0x80 | (code >> 6 & 0x3f));
        put(text, 0x80 | (code & 0x3f));
    }
}

static bool read_hex(struct json_reader *reader, uint32_t *code_out)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    *code_out = 0;
    for (int i = 0; i < 4; i++) {
        const char *digit = reader->at < reader->end && *reader->at != 0
                                ? memchr(digits, *reader->at, sizeof digits - 1)
                                : NULL;
        if (digit == NULL) {
            return false;
        }
        *code_out = *code_out * 16 + (uint32_t)(digit - digits) % 16;
        reader->at++;
    }
    return true;
}

/* Reads what follows a backslash and the letter u. */
static bool read_code(struct json_reader *reader, struct line_text *text)
{
    uint32_t code = 0;
    uint32_t low = 0;
    if (!read_hex(reader, &code) || (code >= 0xdc00 && code < 0xe000)) {
        return false;
    }
    if (code >= 0xd800 && code < 0xdc00) {
        if (!json_oracle_take(reader, "\\u") || !read_hex(reader, &low) ||
            low < 0xdc00 || low >= 0xe000) {
            return false;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_code(text, code);
    return true;
}

/* Reads what follows a backslash. */
static bool read_escape(struct json_reader *reader, struct line_text *text)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (json_oracle_take(reader, "u")) {
        return read_code(reader, text);
    }
    const char *letter = reader->at < reader->end && *reader->at != 0
                             ? strchr(letters, *reader->at)
                             : NULL;
    if (letter == NULL) {
        return false;
    }
    put(text, (unsigned char)meanings[letter - letters]);
    reader->at++;
    return true;
}

/* Reads one character of UTF-8 beyond ASCII: the shortest form, no
 * surrogate. */
static bool read_wide(struct json_reader *reader, struct line_text *text)
{
    unsigned first = *reader->at;
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (first < 0xc2 || first > 0xf4 ||
        (size_t)(reader->end - reader->at) < more + 1) {
        return false;
    }
    uint32_t code = first & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        unsigned byte = reader->at[i];
        if (byte >> 6 != 2) {
            return false;
        }
        code = code << 6 | (byte & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000)) {
        return false;
    }
    put_code(text, code);
    reader->at += more + 1;
    return true;
}

static bool read_inside(struct json_reader *reader, struct line_text *text)
{
    while (reader->at < reader->end) {
        unsigned byte = *reader->at;
        bool is_sound = byte >= 0x20;
        if (byte == '"') {
            reader->at++;
            return true;
        }
        if (byte == '\\') {
            reader->at++;
            is_sound = read_escape(reader, text);
        } else if (byte >= 0x80) {
            is_sound = read_wide(reader, text);
        } else if (is_sound) {
            put(text, byte);
            reader->at++;
        }
        if (!is_sound) {
            return false;
        }
    }
    return false;
}

bool json_oracle_string(struct json_reader *reader, struct line_text *text_out)
{
    struct line_text text = {.is_there = true};
    if (!json_oracle_take(reader, "\"")) {
        return false;
    }
    /* No character takes more bytes than represent it. */
    text.bytes = fuzz_allocate((size_t)(reader->end - reader->at) + 1);
    bool is_sound = read_inside(reader, &text);
    if (is_sound && text_out != NULL) {
        *text_out = text;
    } else {
        free(text.bytes);
    }
    return is_sound;
}

/* --- Values --- */

static bool read_digits(struct json_reader *reader)
{
    const unsigned char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9') {
        reader->at++;
    }
    return reader->at > start;
}

static bool read_number(struct json_reader *reader)
{
    (void)json_oracle_take(reader, "-");
    if (!json_oracle_take(reader, "0") && !read_digits(reader)) {
        return false;
    }
    if (json_oracle_take(reader, ".") && !read_digits(reader)) {
        return false;
    }
    if (json_oracle_take(reader, "e") || json_oracle_take(reader, "E")) {
        if (!json_oracle_take(reader, "+")) {
            (void)json_oracle_take(reader, "-");
        }
        return read_digits(reader);
    }
    return true;
}

/* The containers that are open, by what closes them. */
struct nest {
    unsigned outer; /* Besides these, */
    unsigned count; /* this many are open. */
    char closers[JSON_ORACLE_DEPTH_MAX + 1];
};

static bool read_name(struct json_reader *reader, struct line_text *name_out)
{
    json_oracle_skip_space(reader);
    if (!json_oracle_string(reader, name_out)) {
        return false;
    }
    json_oracle_skip_space(reader);
    if (json_oracle_take(reader, ":")) {
        return true;
    }
    if (name_out != NULL) {
        free(name_out->bytes);
        *name_out = (struct line_text){.is_there = false};
    }
    return false;
}

/* Opens a container; is_empty_out: and closes it again. */
static bool open_container(struct json_reader *reader,
                           struct nest *nest,
                           bool *is_empty_out)
{
    bool is_object = *reader->at == '{';
    if (nest->outer + nest->count >= JSON_ORACLE_DEPTH_MAX) {
        return false;
    }
    reader->at++;
    json_oracle_skip_space(reader);
    *is_empty_out = json_oracle_take(reader, is_object ? "}" : "]");
    if (*is_empty_out) {
        return true;
    }
    nest->closers[nest->count++] = is_object ? '}' : ']';
    return !is_object || read_name(reader, NULL);
}

/* Closes what ends here. goes_on_out: another value follows. */
static bool close_containers(struct json_reader *reader,
                             struct nest *nest,
                             bool *goes_on_out)
{
    *goes_on_out = false;
    while (nest->count > 0) {
        char closer[] = {nest->closers[nest->count - 1], '\0'};
        json_oracle_skip_space(reader);
        if (json_oracle_take(reader, ",")) {
            *goes_on_out = true;
            return closer[0] == ']' || read_name(reader, NULL);
        }
        if (!json_oracle_take(reader, closer)) {
            return false;
        }
        nest->count--;
    }
    return true;
}

static bool read_scalar(struct json_reader *reader)
{
    return *reader->at == '"'
               ? json_oracle_string(reader, NULL)
               : json_oracle_take(reader, "true") ||
                     json_oracle_take(reader, "false") ||
                     json_oracle_take(reader, "null") || read_number(reader);
}

static bool skip_value(struct json_reader *reader, unsigned depth)
{
    struct nest nest;
    nest.outer = depth;
    nest.count = 0;
    bool goes_on = true;
    while (goes_on) {
        json_oracle_skip_space(reader);
        if (reader->at == reader->end) {
            return false;
        }
        bool is_container = *reader->at == '{' || *reader->at == '[';
        bool is_over = true;
        bool is_sound = is_container ? open_container(reader, &nest, &is_over)
                                     : read_scalar(reader);
        if (is_sound && is_over) {
            is_sound = close_containers(reader, &nest, &goes_on);
        }
        if (!is_sound) {
            return false;
        }
    }
    return true;
}

/* --- Objects --- */

static struct json_member *add_member(struct json_members *members)
{
    if (members->count == members->capacity) {
        members->capacity = members->capacity * 2 + 8;
        members->members = realloc(
            members->members, members->capacity * sizeof *members->members);
        if (members->members == NULL) {
            fuzz_fail("there is memory for members");
        }
    }
    struct json_member *member = &members->members[members->count++];
    *member = (struct json_member){.name = {.is_there = false}};
    return member;
}

bool json_oracle_members(struct json_reader *reader,
                         unsigned depth,
                         struct json_members *members_out)
{
    *members_out = (struct json_members){.count = 0};
    if (!json_oracle_take(reader, "{")) {
        return false;
    }
    json_oracle_skip_space(reader);
    if (json_oracle_take(reader, "}")) {
        return true;
    }
    do {
        struct json_member *member = add_member(members_out);
        if (!read_name(reader, &member->name)) {
            return false;
        }
        json_oracle_skip_space(reader);
        member->start = reader->at;
        if (!skip_value(reader, depth)) {
            return false;
        }
        member->end = reader->at;
        json_oracle_skip_space(reader);
    } while (json_oracle_take(reader, ","));
    return json_oracle_take(reader, "}");
}

void json_oracle_release(struct json_members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        free(members->members[i].name.bytes);
    }
    free(members->members);
    *members = (struct json_members){.count = 0};
}

static bool is_name_before(const struct json_members *members, size_t number)
{
    const struct line_text *name = &members->members[number].name;
    for (size_t i = 0; i < number; i++) {
        const struct line_text *other = &members->members[i].name;
        if (fuzz_equal(name->bytes, name->size, other->bytes, other->size)) {
            return true;
        }
    }
    return false;
}

bool json_oracle_has_duplicate(const struct json_members *members)
{
    for (size_t i = 1; i < members->count; i++) {
        if (is_name_before(members, i)) {
            return true;
        }
    }
    return false;
}

const struct json_member *json_oracle_find(const struct json_members *members,
                                           const char *name)
{
    for (size_t i = 0; i < members->count; i++) {
        const struct line_text *own = &members->members[i].name;
        if (fuzz_equal(own->bytes, own->size, name, strlen(name))) {
            return &members->members[i];
        }
    }
    return NULL;
}
