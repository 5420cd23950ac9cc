/* SPDX-License-Identifier: MIT */

/* What a line sets. Of a JSON object with a key it makes the line of a log that
 * says the same, and asks the oracle for those. */

#include "input_oracle.h"

#include "fuzz.h"
#include "json_oracle.h"

#include <stdlib.h>
#include <string.h>

/* A member, and the name that it has in a log. */
struct alias {
    const char *name;
    const char *log_name;
};

static const struct alias keys[] = {{"key", "key"}, {"key64", "key64"}};
static const struct alias values[] = {{"value", "val"},
                                      {"val", "val"},
                                      {"value64", "val64"},
                                      {"val64", "val64"}};

/* The member under one of these names, and how many there are. */
static const struct json_member *find(const struct json_members *members,
                                      const struct alias *aliases,
                                      size_t alias_count,
                                      const char **log_name_out,
                                      size_t *count_out)
{
    const struct json_member *found = NULL;

    *count_out = 0;
    for (size_t i = 0; i < alias_count; i++) {
        const struct json_member *member =
            json_oracle_find(members, aliases[i].name);
        if (member != NULL) {
            found = member;
            *log_name_out = aliases[i].log_name;
            (*count_out)++;
        }
    }
    return found;
}

/* --- A line of a log --- */

static void take_log_verdict(const char *line,
                             size_t size,
                             struct input_verdict *verdict)
{
    struct line_verdict log;

    line_oracle_read(line, size, &log);
    bool is_record = log.kind == LINE_SET || log.kind == LINE_REMOVE;
    if (is_record && log.key.size == 0) {
        verdict->kind = INPUT_BAD;
    } else if (is_record) {
        verdict->kind = log.kind == LINE_SET ? INPUT_SET : INPUT_REMOVE;
        verdict->key = log.key;
        verdict->value = log.value;
        verdict->expires_ms = log.expires_ms;
        log.key = (struct line_text){.is_there = false};
        log.value = log.key;
    }
    line_oracle_release(&log);
}

static char *put(char *out, const char *text)
{
    size_t size = strlen(text);

    memcpy(out, text, size);
    return out + size;
}

static char *put_member(char *out,
                        const char *name,
                        const struct json_member *member)
{
    size_t size = (size_t)(member->end - member->start);

    out = put(put(put(out, "\""), name), "\":");
    memcpy(out, member->start, size);
    return out + size;
}

static bool is_null(const struct json_member *member)
{
    return fuzz_equal(
        member->start, (size_t)(member->end - member->start), "null", 4);
}

/* --- An object with a key --- */

/* Gives the set the text that stands there for its value. */
static void take_text(struct input_verdict *verdict,
                      const struct json_member *value)
{
    size_t size = (size_t)(value->end - value->start);

    free(verdict->value.bytes);
    verdict->value = (struct line_text){
        .is_there = true, .bytes = fuzz_copy(value->start, size), .size = size};
}

static void read_set(const struct json_members *members,
                     size_t size,
                     struct input_verdict *verdict)
{
    const char *key_name = NULL;
    const char *value_name = NULL;
    size_t key_count = 0;
    size_t value_count = 0;
    const struct json_member *key =
        find(members, keys, 2, &key_name, &key_count);
    const struct json_member *value =
        find(members, values, 4, &value_name, &value_count);
    const struct json_member *expires = json_oracle_find(members, "expires");

    verdict->kind = INPUT_BAD;
    if (key_count != 1 || value_count != 1) {
        return;
    }
    bool is_text = *value->start != '"' && strcmp(value_name, "val") == 0;
    if (is_text && is_null(value)) {
        return;
    }
    char *line = fuzz_allocate(size + 64);
    char *out = put_member(put(line, "{\"Set\":{"), key_name, key);
    out = put(out, ",");
    out =
        is_text ? put(out, "\"val\":\"\"") : put_member(out, value_name, value);
    if (expires != NULL && !is_null(expires)) {
        out = put_member(put(out, ","), "expires", expires);
    }
    out = put(out, "}}");
    take_log_verdict(line, (size_t)(out - line), verdict);
    free(line);
    if (is_text && verdict->kind == INPUT_SET) {
        take_text(verdict, value);
    }
}

static bool is_record(const struct json_members *members, const char *name)
{
    const struct json_member *member = json_oracle_find(members, name);

    return member != NULL && *member->start == '{';
}

static void read_object(const struct json_members *members,
                        const char *line,
                        size_t size,
                        struct input_verdict *verdict)
{
    bool has_key = json_oracle_find(members, "key") != NULL ||
                   json_oracle_find(members, "key64") != NULL;

    if (json_oracle_has_duplicate(members)) {
        verdict->kind = INPUT_UNSAID;
    } else if (!has_key &&
               (is_record(members, "Set") || is_record(members, "Remove") ||
                is_record(members, "Require"))) {
        verdict->kind = INPUT_UNSAID;
        verdict->is_of_log = true;
        take_log_verdict(line, size, verdict);
    } else {
        read_set(members, size, verdict);
    }
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static void read_json(const char *line,
                      size_t size,
                      struct input_verdict *verdict_out)
{
    struct json_members members = {.count = 0};

    while (size > 0 && is_space(line[0])) {
        line++;
        size--;
    }
    while (size > 0 && is_space(line[size - 1])) {
        size--;
    }
    if (size == 0) {
        return;
    }
    struct json_reader reader = {
        .at = (const unsigned char *)line,
        .end = (const unsigned char *)line + size,
    };
    bool is_object =
        json_oracle_members(&reader, 1, &members) && reader.at == reader.end;
    verdict_out->kind = INPUT_BAD;
    if (is_object) {
        read_object(&members, line, size, verdict_out);
    }
    json_oracle_release(&members);
}

/* --- A line of key, tab and value --- */

/* The byte that an escape of two stands for, or -1. */
static int letter_meaning(char letter)
{
    return letter == '\\'  ? '\\'
           : letter == 't' ? '\t'
           : letter == 'n' ? '\n'
           : letter == 'r' ? '\r'
                           : -1;
}

static int digit_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

/* Takes what follows a backslash. Returns the byte, or -1. */
static int take_escape(const char **at, const char *end)
{
    const char *letter = (*at)++;
    int byte = letter < end ? letter_meaning(*letter) : -1;

    if (byte < 0 && end - letter >= 3 && *letter == 'x' &&
        digit_value(letter[1]) >= 0 && digit_value(letter[2]) >= 0) {
        byte = digit_value(letter[1]) * 16 + digit_value(letter[2]);
        *at += 2;
    }
    return byte;
}

/* False: a backslash begins no escape. */
static bool read_field(const char *at, const char *end, struct line_text *text)
{
    text->bytes = fuzz_allocate((size_t)(end - at));
    while (at < end) {
        int byte = (unsigned char)*at++;
        byte = byte == '\\' ? take_escape(&at, end) : byte;
        if (byte < 0) {
            return false;
        }
        text->bytes[text->size++] = (unsigned char)byte;
    }
    return true;
}

static void read_tsv(const char *line,
                     size_t size,
                     struct input_verdict *verdict_out)
{
    const char *end = line + size - (size > 0 && line[size - 1] == '\r');
    const char *tab = end == line ? NULL : memchr(line, '\t', size);

    if (end == line) {
        return;
    }
    verdict_out->kind = INPUT_BAD;
    if (tab != NULL && tab > line &&
        memchr(tab + 1, '\t', (size_t)(end - tab - 1)) == NULL &&
        read_field(line, tab, &verdict_out->key) &&
        read_field(tab + 1, end, &verdict_out->value)) {
        verdict_out->kind = INPUT_SET;
    }
}

void input_oracle_read(enum cli_data data,
                       const char *line,
                       size_t size,
                       struct input_verdict *verdict_out)
{
    *verdict_out = (struct input_verdict){.kind = INPUT_NOTHING};
    if (data == CLI_DATA_TSV) {
        read_tsv(line, size, verdict_out);
    } else {
        read_json(line, size, verdict_out);
    }
}

void input_oracle_release(struct input_verdict *verdict)
{
    free(verdict->key.bytes);
    free(verdict->value.bytes);
    *verdict = (struct input_verdict){.kind = INPUT_NOTHING};
}
