/* SPDX-License-Identifier: MIT */

/* Says what a line means, sentence by sentence as docs/format.md has it. */

#include "line_oracle.h"

#include "fuzz.h"
#include "json_oracle.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

#define SUM_TAIL_SIZE (sizeof(",\"sum\":\"xxxxxxxx\"}}") - 1)

/* Longer numbers mean nothing. */
#define NUMBER_SIZE_MAX 16u

#define EXPIRES_MAX ((double)((INT64_C(1) << 53) - 1))

void line_oracle_sum(const void *bytes, size_t size, char digits_out[8])
{
    uint32_t sum = (uint32_t)XXH3_64bits(bytes, size);
    for (int i = 0; i < 8; i++) {
        digits_out[i] = "0123456789abcdef"[sum >> (28 - 4 * i) & 15];
    }
}

/* True if the line ends in a sum that fits. */
static bool has_fitting_sum(const unsigned char *line, size_t size)
{
    static const char name[] = ",\"sum\":\"";
    if (size > 0 && line[size - 1] == '\r') {
        size--;
    }
    if (size < SUM_TAIL_SIZE) {
        return false;
    }
    const unsigned char *comma = line + size - SUM_TAIL_SIZE;
    const unsigned char *start = memchr(line, '{', (size_t)(comma - line));
    if (start == NULL || memcmp(comma, name, sizeof name - 1) != 0 ||
        memcmp(line + size - 3, "\"}}", 3) != 0) {
        return false;
    }
    char digits[8];
    line_oracle_sum(start, (size_t)(comma + 1 - start), digits);
    return memcmp(digits, comma + sizeof name - 1, sizeof digits) == 0;
}

/* --- Texts --- */

static int digit_of(unsigned char byte)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
                                 "tuvwxyz0123456789+/";
    const char *digit = byte == 0 ? NULL : strchr(digits, byte);
    return digit == NULL ? -1 : (int)(digit - digits);
}

/* Replaces strict base64 with what it means. */
static bool decode_base64(struct line_text *text)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->size &&
           text->bytes[text->size - 1 - padding] == '=') {
        padding++;
    }
    size_t count = text->size - padding;
    if (text->size % 4 != 0) {
        return false;
    }
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = digit_of(text->bytes[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            text->bytes[size++] = (unsigned char)(bits >> bit_count);
            bits &= (1u << bit_count) - 1;
        }
    }
    text->size = size;
    return bits == 0 && padding == bit_count / 2;
}

static void release_text(struct line_text *text)
{
    free(text->bytes);
    *text = (struct line_text){.is_there = false};
}

/* Reads a member that must be a string, or one in base64. */
static bool read_text(const struct json_member *plain,
                      const struct json_member *base64,
                      struct line_text *text_out)
{
    const struct json_member *member = plain != NULL ? plain : base64;
    if (member == NULL || (plain != NULL && base64 != NULL)) {
        return false;
    }
    struct json_reader reader = {member->start, member->end};
    if (!json_oracle_string(&reader, text_out)) {
        return false;
    }
    if (base64 != NULL && !decode_base64(text_out)) {
        release_text(text_out);
        return false;
    }
    return true;
}

static bool read_key(const struct json_members *variant,
                     struct line_verdict *verdict)
{
    return read_text(json_oracle_find(variant, "key"),
                     json_oracle_find(variant, "key64"),
                     &verdict->key);
}

static bool read_value(const struct json_members *variant,
                       struct line_verdict *verdict)
{
    const struct json_member *val = json_oracle_find(variant, "val");
    const struct json_member *value = json_oracle_find(variant, "value");
    return (val == NULL || value == NULL) &&
           read_text(val != NULL ? val : value,
                     json_oracle_find(variant, "val64"),
                     &verdict->value);
}

/* --- Numbers --- */

/* True if a number of JSON, without a sign, is whole to the last digit. */
static bool is_whole(const char *text)
{
    long behind_point = 0; /* Digits after the point. */
    long zeros = 0;        /* At the end of all digits. */
    bool has_point = false;
    const char *at = text;
    for (; *at != '\0' && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        zeros = *at == '0' ? zeros + 1 : 0;
        behind_point += has_point ? 1 : 0;
    }
    long exponent = *at == '\0' ? 0 : strtol(at + 1, NULL, 10);
    return exponent >= behind_point - zeros;
}

/* Reads a whole number from 1 on; an absent one is 0. */
static bool read_number(const struct json_member *member,
                        double most,
                        double *number_out)
{
    char text[NUMBER_SIZE_MAX + 1];
    *number_out = 0;
    if (member == NULL) {
        return true;
    }
    size_t size = (size_t)(member->end - member->start);
    if (size > NUMBER_SIZE_MAX ||
        (*member->start != '-' &&
         (*member->start < '0' || *member->start > '9'))) {
        return false;
    }
    memcpy(text, member->start, size);
    text[size] = '\0';
    double number = strtod(text, NULL);
    if (!(number >= 1 && number <= most) || !is_whole(text)) {
        return false;
    }
    *number_out = number;
    return true;
}

static bool read_numbers(const struct json_members *variant,
                         enum line_kind kind,
                         struct line_verdict *verdict)
{
    double batch = 0;
    double expires = 0;
    bool are_sound =
        read_number(json_oracle_find(variant, "batch"), UINT32_MAX, &batch);
    if (kind == LINE_SET) {
        are_sound = read_number(json_oracle_find(variant, "expires"),
                                EXPIRES_MAX,
                                &expires) &&
                    are_sound;
    }
    if (are_sound) {
        verdict->batch = (uint32_t)batch;
        verdict->expires_ms = (int64_t)expires;
    }
    return are_sound;
}

/* --- Records --- */

/* A sum must be the last member of the last member, and fit. */
static bool is_sum_sound(const struct json_members *root,
                         const struct json_member *member,
                         const struct json_members *variant,
                         bool has_sum)
{
    const struct json_member *sum = json_oracle_find(variant, "sum");
    return sum == NULL ||
           (has_sum && sum == &variant->members[variant->count - 1] &&
            member == &root->members[root->count - 1]);
}

static void read_known(const struct json_members *root,
                       const struct json_member *member,
                       enum line_kind kind,
                       struct line_verdict *verdict)
{
    struct json_reader reader = {member->start, member->end};
    struct json_members variant;
    if (json_oracle_members(&reader, 2, &variant) &&
        !json_oracle_has_duplicate(&variant)) {
        bool is_sound = read_key(&variant, verdict);
        is_sound =
            is_sum_sound(root, member, &variant, verdict->has_fitting_sum) &&
            is_sound;
        is_sound = is_sound && read_numbers(&variant, kind, verdict);
        if (is_sound && kind == LINE_SET) {
            is_sound = read_value(&variant, verdict);
        }
        verdict->kind = is_sound ? kind : LINE_DAMAGED;
    }
    json_oracle_release(&variant);
}

/* Reads one member. False: it has two members of one name, and spoils the
 * line. */
static bool read_variant(const struct json_members *root,
                         const struct json_member *member,
                         bool *is_sound,
                         struct line_verdict *verdict)
{
    struct json_reader reader = {member->start, member->end};
    struct json_members variant;
    bool are_unique = json_oracle_members(&reader, 2, &variant) &&
                      !json_oracle_has_duplicate(&variant);
    if (are_unique && !verdict->key.is_there) {
        (void)read_key(&variant, verdict);
    }
    bool has_sum = json_oracle_find(&variant, "sum") != NULL;
    if (are_unique) {
        double batch = 0;
        (void)read_number(
            json_oracle_find(&variant, "batch"), UINT32_MAX, &batch);
        verdict->batch = (uint32_t)batch;
    }
    bool is_sum_fine =
        is_sum_sound(root, member, &variant, verdict->has_fitting_sum);
    /* What ends in a sum that fits is of a newer version. */
    *is_sound = has_sum && is_sum_fine;
    json_oracle_release(&variant);
    return are_unique;
}

/* The key is that of the first object that has one, up to one that spoils the
 * line. */
static void read_unknown(const struct json_members *root,
                         struct line_verdict *verdict)
{
    bool has_variant = false;
    bool is_sound = true;
    bool are_unique = true;
    for (size_t i = 0; i < root->count && are_unique; i++) {
        const struct json_member *member = &root->members[i];
        if (*member->start == '{') {
            has_variant = true;
            are_unique = read_variant(root, member, &is_sound, verdict);
        }
    }
    if (is_sound && has_variant && are_unique) {
        verdict->kind = LINE_UNKNOWN;
    }
}

static void read_record(const struct json_members *root,
                        struct line_verdict *verdict)
{
    const struct json_member *set = json_oracle_find(root, "Set");
    const struct json_member *remove = json_oracle_find(root, "Remove");
    if (set != NULL && remove != NULL) {
        return;
    }
    if (set != NULL) {
        read_known(root, set, LINE_SET, verdict);
    } else if (remove != NULL) {
        read_known(root, remove, LINE_REMOVE, verdict);
    } else {
        read_unknown(root, verdict);
    }
}

/* --- The canonical layout --- */

/* Passes over the name of one of two members, and reads its text. */
static bool take_text(struct json_reader *reader,
                      const char *plain,
                      const char *base64,
                      struct line_text *text_out)
{
    bool is_plain = json_oracle_take(reader, plain);
    if (!is_plain && !json_oracle_take(reader, base64)) {
        return false;
    }
    const unsigned char *start = reader->at;
    if (!json_oracle_string(reader, text_out)) {
        return false;
    }
    if (!is_plain &&
        (memchr(start, '\\', (size_t)(reader->at - start)) != NULL ||
         !decode_base64(text_out))) {
        release_text(text_out);
        return false;
    }
    return true;
}

static bool take_head(struct json_reader *reader,
                      enum line_kind *kind_out,
                      struct line_text *key_out)
{
    bool is_set = json_oracle_take(reader, "{\"Set\":{");
    *kind_out = is_set ? LINE_SET : LINE_REMOVE;
    return (is_set || json_oracle_take(reader, "{\"Remove\":{")) &&
           take_text(reader, "\"key\":", "\"key64\":", key_out);
}

static bool take_number(struct json_reader *reader, const char *name)
{
    if (!json_oracle_take(reader, name)) {
        return true;
    }
    const unsigned char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9') {
        reader->at++;
    }
    return reader->at > start && *start != '0';
}

/* True if a line that is known to be a record is laid out as the grammar has
 * it. */
static bool is_canonical(const unsigned char *line, size_t size)
{
    struct json_reader reader = {line, line + size};
    struct line_text key = {.is_there = false};
    struct line_text value = {.is_there = false};
    enum line_kind kind = LINE_SET;
    bool is_so = take_head(&reader, &kind, &key);
    if (is_so && kind == LINE_SET) {
        is_so = take_text(&reader, ",\"val\":", ",\"val64\":", &value) ||
                take_text(&reader, ",\"value\":", ",\"val64\":", &value);
        is_so = is_so && take_number(&reader, ",\"expires\":");
    }
    is_so = is_so && take_number(&reader, ",\"batch\":");
    if (is_so && json_oracle_take(&reader, ",\"sum\":\"")) {
        is_so = reader.end - reader.at >= 9;
        reader.at += is_so ? 8 : 0;
        is_so = is_so && json_oracle_take(&reader, "\"");
    }
    is_so = is_so && json_oracle_take(&reader, "}}") && reader.at == reader.end;
    free(key.bytes);
    free(value.bytes);
    return is_so;
}

/* Reads the key of a damaged line that begins as the canonical form does. */
static void tell_key(const unsigned char *line,
                     size_t size,
                     struct line_verdict *verdict)
{
    struct json_reader reader = {line, line + size};
    struct line_text key = {.is_there = false};
    enum line_kind kind = LINE_SET;
    bool is_told = take_head(&reader, &kind, &key) && reader.at < reader.end &&
                   (*reader.at == ',' || *reader.at == '}');
    if (is_told && !verdict->key.is_there) {
        verdict->key = key;
    } else {
        free(key.bytes);
    }
}

/* --- Lines --- */

static bool is_blank(const unsigned char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t' ||
                        line[size - 1] == '\r')) {
        size--;
    }
    return size == 0;
}

void line_oracle_read(const void *line,
                      size_t size,
                      struct line_verdict *verdict_out)
{
    *verdict_out = (struct line_verdict){.kind = LINE_BLANK};
    if (is_blank(line, size)) {
        return;
    }
    verdict_out->kind = LINE_DAMAGED;
    verdict_out->has_fitting_sum = has_fitting_sum(line, size);
    const unsigned char *start = line;
    struct json_reader reader = {start, start + size};
    struct json_members root;
    json_oracle_skip_space(&reader);
    bool is_object = json_oracle_members(&reader, 1, &root);
    json_oracle_skip_space(&reader);
    if (is_object && reader.at == reader.end &&
        !json_oracle_has_duplicate(&root)) {
        read_record(&root, verdict_out);
    }
    json_oracle_release(&root);
    if (verdict_out->kind == LINE_SET || verdict_out->kind == LINE_REMOVE) {
        verdict_out->is_canonical = is_canonical(line, size);
    }
    if (verdict_out->kind == LINE_DAMAGED) {
        tell_key(line, size, verdict_out);
    }
}

void line_oracle_release(struct line_verdict *verdict)
{
    release_text(&verdict->key);
    release_text(&verdict->value);
    verdict->kind = LINE_BLANK;
}
