/* SPDX-License-Identifier: MIT */

/* Decoding: lines as we write them first, then as others may. */

#include "record/decode.h"

#include "os/bounds.h"
#include "os/system.h"
#include "record/foreign.h"
#include "record/names.h"
#include "record/scan.h"
#include "record/sum.h"
#include "record/text.h"

#include <assert.h>
#include <string.h>

/* Moves at past a literal. False, with at unmoved, if the literal is not
 * there. */
static inline bool take_literal(const char **at,
                                const char *end,
                                const char *literal,
                                size_t size)
{
    if ((size_t)(end - *at) < size || memcmp(*at, literal, size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

/* Reads the type and the key, with which every canonical line begins. Returns
 * the place after them, or NULL. */
static const char *scan_head(const char *line,
                             const char *end,
                             struct kv_record *record)
{
    const char *at = line;
    enum kv_record_type type = KV_RECORD_SET;
    if (!take_literal(&at, end, LITERAL(SET_HEAD))) {
        if (!take_literal(&at, end, LITERAL(REMOVE_HEAD))) {
            return NULL;
        }
        type = KV_RECORD_REMOVE;
    }
    if (take_literal(&at, end, LITERAL(KEY_NAME))) {
        at = kv_text_scan_string(at, end, &record->key);
    } else if (take_literal(&at, end, LITERAL(KEY64_NAME))) {
        at = kv_text_scan_base64(at, end, &record->key);
    } else {
        return NULL;
    }
    record->type = type;
    record->has_key = at != NULL;
    return at;
}

static const char *scan_value(const char *at,
                              const char *end,
                              struct kv_text *value_out)
{
    if (take_literal(&at, end, LITERAL(VAL_NAME)) ||
        take_literal(&at, end, LITERAL(VALUE_NAME))) {
        return kv_text_scan_string(at, end, value_out);
    }
    if (take_literal(&at, end, LITERAL(VAL64_NAME))) {
        return kv_text_scan_base64(at, end, value_out);
    }
    return NULL;
}

/* Reads a whole number from 1 to a maximum. NULL if there is none in canonical
 * form. */
static const char *scan_number(const char *at,
                               const char *end,
                               uint64_t most,
                               uint64_t *number_out)
{
    uint64_t number = 0;
    while (at < end && *at >= '0' && *at <= '9') {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number == 0 || number > most) {
            return NULL;
        }
        at++;
    }
    *number_out = number;
    return number == 0 ? NULL : at;
}

/* Reads the members that are numbers, if there are any. NULL if one is not
 * canonical. A Remove does not expire: in it, "expires" is an unknown
 * member. */
static const char *scan_numbers(const char *at,
                                const char *end,
                                struct kv_record *record)
{
    uint64_t number = 0;
    if (record->type == KV_RECORD_SET &&
        take_literal(&at, end, LITERAL(EXPIRES_NAME))) {
        at = scan_number(at, end, KV_EXPIRES_MS_MAX, &number);
        if (at == NULL) {
            return NULL;
        }
        record->expires_ms = (int64_t)number;
    }
    if (take_literal(&at, end, LITERAL(BATCH_NAME))) {
        at = scan_number(at, end, UINT32_MAX, &number);
        record->batch = at == NULL ? 0 : (uint32_t)number;
    }
    return at;
}

/* Sets the members one by one: this runs for each line that is read, and
 * compilers clear a whole struct slowly. */
static void reset(struct kv_record *record, enum kv_record_type type)
{
    static const struct kv_text no_text = {.raw = "", .form = KV_TEXT_PLAIN};
    record->type = type;
    record->has_key = false;
    record->key = no_text;
    record->value = no_text;
    record->expires_ms = 0;
    record->batch = 0;
    record->damage = type == KV_RECORD_DAMAGED ? KVSTORE_BAD_JSON : KVSTORE_OK;
    record->owned = NULL;
}

/* Reads the members of a canonical line that come before its sum. Returns the
 * place after them, or NULL. */
static const char *scan_members(const char *line,
                                const char *end,
                                struct kv_record *record)
{
    const char *at = scan_head(line, end, record);
    if (at != NULL && record->type == KV_RECORD_SET) {
        at = scan_value(at, end, &record->value);
    }
    return at == NULL ? NULL : scan_numbers(at, end, record);
}

/* Decodes a canonical line, even one whose sum does not match. False for every
 * other line; what record_out holds then has no meaning. */
static bool decode_canonical(const char *line,
                             const char *end,
                             struct kv_record *record_out)
{
    const char *at = scan_members(line, end, record_out);
    if (at == NULL) {
        return false;
    }
    end -= at < end && end[-1] == '\r' ? 1 : 0;
    size_t left = (size_t)(end - at);
    if (left == sizeof(TAIL) - 1) {
        return memcmp(at, LITERAL(TAIL)) == 0;
    }
    if (left != KV_RECORD_SUM_TAIL_SIZE || !kv_record_has_sum_tail(line, end)) {
        return false;
    }
    if (!kv_record_is_sum_fitting(line, end)) {
        struct kv_text key = record_out->key;
        reset(record_out, KV_RECORD_DAMAGED);
        record_out->has_key = true;
        record_out->key = key;
        record_out->damage = KVSTORE_CORRUPT;
    }
    return true;
}

/* Decodes what most lines are: a Set whose key has no escapes, whose value is plain
 * ASCII, and whose sum fits. The line's end is found first, so that the value need
 * not be searched for its own. Returns the line's length, or 0. */
static size_t decode_plain_set(const char *line,
                               const char *limit,
                               struct kv_record *record)
{
    const char *at = line;
    if (!take_literal(&at, limit, LITERAL(SET_HEAD KEY_NAME))) {
        return 0;
    }
    const char *end = kv_scan_line_end(at, limit);
    if (end == limit || *end != '\n' ||
        (size_t)(end - at) <= KV_RECORD_SUM_TAIL_SIZE ||
        !kv_record_has_sum_tail(at, end)) {
        return 0;
    }
    const char *value_end = end - KV_RECORD_SUM_TAIL_SIZE - 1;
    const char *key_end = kv_scan_text(at, value_end);
    const char *value = key_end;
    if (!take_literal(&value, value_end, LITERAL("\"" VAL_NAME)) ||
        *value_end != '"' || !kv_scan_is_plain(value, value_end) ||
        !kv_record_is_sum_fitting(line, end)) {
        return 0;
    }
    record->type = KV_RECORD_SET;
    record->has_key = true;
    record->key = kv_text_plain(at, (size_t)(key_end - at));
    record->value = kv_text_plain(value, (size_t)(value_end - value));
    return (size_t)(end + 1 - line);
}

size_t kv_record_decode_ahead(const char *bytes,
                              size_t size,
                              struct kv_record *record_out)
{
    assert(bytes != NULL && record_out != NULL);
    const char *end =
        bytes + (size < KV_LINE_SIZE_MAX ? size : KV_LINE_SIZE_MAX);
    reset(record_out, KV_RECORD_BLANK);
    size_t length = decode_plain_set(bytes, end, record_out);
    if (length != 0) {
        return length;
    }
    const char *at = scan_members(bytes, end, record_out);
    if (at == NULL) {
        return 0;
    }
    bool has_sum = (size_t)(end - at) > KV_RECORD_SUM_TAIL_SIZE &&
                   kv_record_has_sum_tail(bytes, at + KV_RECORD_SUM_TAIL_SIZE);
    if (has_sum) {
        at += KV_RECORD_SUM_TAIL_SIZE;
    } else if (!take_literal(&at, end, LITERAL(TAIL))) {
        return 0;
    }
    if (at == end || *at != '\n' ||
        (has_sum && !kv_record_is_sum_fitting(bytes, at))) {
        return 0;
    }
    return (size_t)(at + 1 - bytes);
}

/* Reads the key of a damaged line that begins like a canonical one. */
static void tell_key(const char *line,
                     const char *end,
                     struct kv_record *record)
{
    struct kv_record told = {.has_key = false};
    const char *at = scan_head(line, end, &told);
    if (at != NULL && at < end && (*at == ',' || *at == '}')) {
        record->key = told.key;
        record->has_key = true;
    }
}

/* JSON's white space, without the newline, which is never in a line. */
static bool is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static bool is_blank(const char *at, const char *end)
{
    while (at < end && is_space(*at)) {
        at++;
    }
    return at == end;
}

/* False for most lines that are not a JSON object: these are not copied. */
static bool looks_like_object(const char *at, const char *end)
{
    while (at < end && is_space(*at)) {
        at++;
    }
    while (at < end && is_space(end[-1])) {
        end--;
    }
    return end - at >= 2 && *at == '{' && end[-1] == '}';
}

/* Decodes a line of foreign layout. Only a private copy is read: the line may
 * be in a mapping that a hostile process changes between two reads. */
static kvstore_status decode_copy(const char *line,
                                  size_t size,
                                  struct kv_record *record)
{
    char *copy = kv_io_allocate(size);
    if (copy == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memcpy(copy, line, size);
    kvstore_status status = kv_record_decode_foreign(copy, size, record);
    kv_io_free(copy);
    return status;
}

kvstore_status kv_record_decode(const char *line,
                                size_t size,
                                struct kv_record *record_out)
{
    assert(line != NULL && record_out != NULL);
    const char *end = line + size;
    bool is_too_long = size >= KV_LINE_SIZE_MAX; /* The newline counts. */
    reset(record_out, KV_RECORD_BLANK);
    if (!is_too_long &&
        (is_blank(line, end) || decode_canonical(line, end, record_out))) {
        return KVSTORE_OK;
    }
    reset(record_out, KV_RECORD_DAMAGED);
    if (!is_too_long && looks_like_object(line, end)) {
        kvstore_status status = decode_copy(line, size, record_out);
        if (status != KVSTORE_OK) {
            reset(record_out, KV_RECORD_BLANK);
            return status;
        }
    }
    if (record_out->type == KV_RECORD_DAMAGED && !record_out->has_key) {
        tell_key(line, end, record_out);
    }
    return KVSTORE_OK;
}

void kv_record_tell_key(const char *head,
                        size_t size,
                        struct kv_record *record_out)
{
    assert(head != NULL && record_out != NULL);
    reset(record_out, KV_RECORD_DAMAGED);
    tell_key(head, head + size, record_out);
}

void kv_record_release(struct kv_record *record)
{
    assert(record != NULL);
    if (record->owned != NULL) {
        kv_io_free(record->owned);
        reset(record, KV_RECORD_BLANK);
    }
}
