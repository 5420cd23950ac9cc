/* SPDX-License-Identifier: MIT */

/* Reads a record from a JSON line. It is checked as a whole, strictly, and then
 * read in place: so a value that is no string is what stands there, and a number
 * keeps all of its digits. */

#include "cli/read_json.h"

#include "cli/object.h"
#include "cli/output.h"
#include "record/json.h"
#include "record/sum.h"
#include "record/text.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the members of an object say. */
struct fields {
    bool has_key;
    bool has_value;
    bool has_expiry;
    bool has_sum;
    struct kv_text key;
    struct kv_text value;
    int64_t expires_ms;
    int condition; /* KVSTORE_IF_ANY: none. */
    /* An object that is a member, of a line that has no key. */
    enum cli_change_kind variant_kind;
    struct cli_member variant; /* value NULL: none. */
};

static const char twice[] = "a member is there twice";

static bool is_string(const struct cli_member *member)
{
    return member->value[0] == '"';
}

static bool is_word(const struct cli_member *member, const char *word)
{
    return member->value_size == strlen(word) &&
           memcmp(member->value, word, member->value_size) == 0;
}

/* Reads a member that is a string. */
static bool read_string(const struct cli_member *member,
                        bool is_base64,
                        struct kv_text *text_out)
{
    const char *at = member->value + 1;
    const char *end = member->value + member->value_size;

    return is_string(member) &&
           (is_base64 ? kv_text_scan_base64(at, end, text_out)
                      : kv_text_scan_string(at, end, text_out)) != NULL;
}

static const char *read_key(const struct cli_member *member,
                            bool is_base64,
                            struct fields *fields)
{
    if (fields->has_key) {
        return "there is more than one key";
    }
    fields->has_key = true;
    if (read_string(member, is_base64, &fields->key)) {
        return NULL;
    }
    return is_base64 ? "key64 is no padded base64" : "the key is no string";
}

static const char *read_value(const struct cli_member *member,
                              bool is_base64,
                              struct fields *fields)
{
    if (fields->has_value) {
        return "there is more than one value";
    }
    fields->has_value = true;
    if (is_base64) {
        return read_string(member, true, &fields->value)
                   ? NULL
                   : "value64 is no padded base64";
    }
    if (is_word(member, "null")) {
        return "the value is null";
    }
    if (!is_string(member)) {
        fields->value = kv_text_plain(member->value, member->value_size);
        return NULL;
    }
    return read_string(member, false, &fields->value)
               ? NULL
               : "the value is no string";
}

/* The latest time has as many characters. A longer number with a fraction may
 * become a whole one as it is rounded; in a log it is damage, too. */
#define EXPIRY_SIZE_MAX ((size_t)16)

/* A whole number of milliseconds; null is none. */
static const char *read_expiry(const struct cli_member *member,
                               struct fields *fields)
{
    static const char wrong[] = "expires is no time in milliseconds since 1970";
    char digits[EXPIRY_SIZE_MAX + 1];

    if (fields->has_expiry) {
        return twice;
    }
    fields->has_expiry = true;
    if (is_word(member, "null")) {
        return NULL;
    }
    if (is_string(member) || member->value_size > EXPIRY_SIZE_MAX) {
        return wrong;
    }
    memcpy(digits, member->value, member->value_size);
    digits[member->value_size] = '\0';
    char *end = NULL;
    double number = strtod(digits, &end);
    if (*end != '\0' || !(number >= 1.0) ||
        !(number <= (double)KVSTORE_EXPIRES_MAX) ||
        (double)(int64_t)number != number) {
        return wrong;
    }
    fields->expires_ms = (int64_t)number;
    return NULL;
}

static const char *read_condition(const struct cli_member *member,
                                  int condition,
                                  struct fields *fields)
{
    if (!is_word(member, "true")) {
        return "a condition is not true";
    }
    if (fields->condition != KVSTORE_IF_ANY) {
        return twice;
    }
    fields->condition = condition;
    return NULL;
}

/* Takes in a member that every kind of record may have. */
static const char *take_member(const struct cli_member *member,
                               struct fields *fields)
{
    if (cli_member_is(member, "key")) {
        return read_key(member, false, fields);
    }
    if (cli_member_is(member, "value") || cli_member_is(member, "val")) {
        return read_value(member, false, fields);
    }
    if (cli_member_is(member, "key64")) {
        return read_key(member, true, fields);
    }
    if (cli_member_is(member, "value64") || cli_member_is(member, "val64")) {
        return read_value(member, true, fields);
    }
    if (cli_member_is(member, "expires")) {
        return read_expiry(member, fields);
    }
    fields->has_sum = fields->has_sum || cli_member_is(member, "sum");
    return NULL;
}

/* Takes in a member that is a record itself, of a log or a condition. */
static const char *take_variant(const struct cli_member *member,
                                struct fields *fields)
{
    static const struct {
        const char *name;
        enum cli_change_kind kind;
    } variants[] = {{"Set", CLI_CHANGE_SET},
                    {"Remove", CLI_CHANGE_REMOVE},
                    {"Require", CLI_CHANGE_REQUIRE}};

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        if (member->value[0] != '{' ||
            !cli_member_is(member, variants[i].name)) {
            continue;
        }
        if (fields->variant.value != NULL) {
            return "there is more than one record in the line";
        }
        fields->variant = *member;
        fields->variant_kind = variants[i].kind;
    }
    return NULL;
}

static const char *read_line(const char *line,
                             size_t size,
                             struct fields *fields)
{
    struct cli_object object = cli_object_of(line, size);
    struct cli_member member;
    const char *wrong = NULL;
    const char *wrong_flat = NULL;

    while (wrong == NULL && cli_object_next(&object, &member)) {
        const char *wrong_member = take_member(&member, fields);
        wrong_flat = wrong_flat == NULL ? wrong_member : wrong_flat;
        wrong = take_variant(&member, fields);
    }
    /* Beside a record of a log, other members mean nothing. */
    bool is_of_log = fields->variant.value != NULL && !fields->has_key;
    return wrong == NULL && !is_of_log ? wrong_flat : wrong;
}

/* True if a record of a log, or a condition, may have the member; others mean
 * nothing there. */
static bool is_of_variant(const struct cli_member *member,
                          enum cli_change_kind kind)
{
    switch (kind) {
    case CLI_CHANGE_SET:
        return !cli_member_is(member, "value64");
    case CLI_CHANGE_REMOVE:
        return cli_member_is(member, "key") || cli_member_is(member, "key64") ||
               cli_member_is(member, "sum");
    default:
        return true;
    }
}

static const char *read_variant(const struct cli_member *variant,
                                enum cli_change_kind kind,
                                struct fields *fields)
{
    bool is_condition = kind == CLI_CHANGE_REQUIRE;
    struct cli_object object =
        cli_object_of(variant->value, variant->value_size);
    struct cli_member member;
    const char *wrong = NULL;

    while (wrong == NULL && cli_object_next(&object, &member)) {
        if (is_condition && cli_member_is(&member, "absent")) {
            wrong = read_condition(&member, KVSTORE_IF_ABSENT, fields);
        } else if (is_condition && cli_member_is(&member, "present")) {
            wrong = read_condition(&member, KVSTORE_IF_PRESENT, fields);
        } else if (is_of_variant(&member, kind)) {
            wrong = take_member(&member, fields);
        }
    }
    return wrong;
}

/* Decodes a text to where the change can point at it; a plain one is in the
 * line. There is room for it. */
static const void *decode(const struct kv_text *text,
                          struct cli_decoded *decoded)
{
    if (text->form == KV_TEXT_PLAIN) {
        return text->raw;
    }
    char *start = decoded->bytes + decoded->size;
    /* It was scanned, and is in memory that nobody else writes. */
    (void)kv_text_decode(text, start);
    decoded->size += text->size;
    return start;
}

static bool reserve(struct cli_decoded *decoded, size_t size)
{
    decoded->size = 0;
    if (size <= decoded->capacity) {
        return true;
    }
    free(decoded->bytes);
    decoded->bytes = malloc(size);
    decoded->capacity = decoded->bytes == NULL ? 0 : size;
    return decoded->bytes != NULL;
}

/* Checks what the fields say together, and makes the change of it. */
static const char *make_change(const struct fields *fields,
                               enum cli_change_kind kind,
                               struct cli_decoded *decoded,
                               struct cli_change *change_out)
{
    bool has_value = fields->has_value;

    if (!fields->has_key) {
        return "there is no key: jq -c 'to_entries[]' makes records of an "
               "object's members";
    }
    if (kind == CLI_CHANGE_SET && !has_value) {
        return "there is no value";
    }
    if (kind == CLI_CHANGE_REQUIRE &&
        has_value == (fields->condition != KVSTORE_IF_ANY)) {
        return "a condition is one of absent, present and value";
    }
    if (kind == CLI_CHANGE_REMOVE) {
        has_value = false;
    }
    const char *wrong = cli_change_check_sizes(
        fields->key.size, has_value ? fields->value.size : 0);
    if (wrong != NULL) {
        return wrong;
    }
    if (!reserve(decoded, fields->key.size + fields->value.size)) {
        return "there is no memory for it";
    }
    *change_out = (struct cli_change){.kind = kind,
                                      .key = decode(&fields->key, decoded),
                                      .key_size = fields->key.size,
                                      .expires_ms = fields->expires_ms,
                                      .condition = fields->condition};
    if (has_value) {
        change_out->value = decode(&fields->value, decoded);
        change_out->value_size = fields->value.size;
    }
    if (has_value && kind == CLI_CHANGE_REQUIRE) {
        change_out->condition = KVSTORE_IF_VALUE;
    }
    return NULL;
}

/* Says why a line is no JSON object. */
static const char *explain(const char *line, size_t size)
{
    char last = line[size - 1];

    if (memchr(line, '\0', size) == NULL && !cli_is_text(line, size)) {
        return "it is not UTF-8: bytes that are no text go in base64, as "
               "value64";
    }
    if (line[0] == '[') {
        return "it is an array: jq -c '.[]' prints its items one a line";
    }
    if (line[0] == '{' && last != '}') {
        return "an object does not end in its line: jq -c prints one a line";
    }
    return "it is no JSON object";
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

const char *cli_read_json(const char *line,
                          size_t size,
                          struct cli_decoded *decoded,
                          struct cli_change *change_out)
{
    struct kv_json_facts facts;
    struct fields fields = {.has_key = false};

    while (size > 0 && is_space(line[0])) {
        line++;
        size--;
    }
    while (size > 0 && is_space(line[size - 1])) {
        size--;
    }
    if (size == 0) {
        *change_out = (struct cli_change){.kind = CLI_CHANGE_NOTHING};
        return NULL;
    }
    if (line[0] != '{' || !kv_json_is_valid(line, size, &facts)) {
        return explain(line, size);
    }
    const char *wrong = read_line(line, size, &fields);
    if (wrong != NULL) {
        return wrong;
    }
    if (fields.has_key || fields.variant.value == NULL) {
        return make_change(&fields, CLI_CHANGE_SET, decoded, change_out);
    }
    struct fields inner = {.has_key = false};
    wrong = read_variant(&fields.variant, fields.variant_kind, &inner);
    if (wrong == NULL && inner.has_sum &&
        !kv_record_has_fitting_sum(line, line + size)) {
        wrong = "its sum does not fit";
    }
    if (wrong == NULL) {
        wrong = make_change(&inner, fields.variant_kind, decoded, change_out);
        change_out->is_replayed = true;
    }
    return wrong;
}
