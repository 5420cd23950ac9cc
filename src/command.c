/* SPDX-License-Identifier: MIT */

/* The canonical line of a record, both ways, and its sum:
 *
 *   {"Set":{KEY,VALUE[,"batch":N][,"sum":"xxxxxxxx"]}}
 *   {"Remove":{KEY[,"batch":N][,"sum":"xxxxxxxx"]}}
 *
 * where KEY is "key":"..." or "key64":"...", VALUE is "val", "value" or
 * "val64" likewise, and no white space stands anywhere. Whatever else a line
 * holds is for command_foreign.c. */

#include "command.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include "bounds.h"
#include "command_foreign.h"
#include "io.h"

#include <xxhash.h>

/* A constant text, and its size without the NUL. */
#define LITERAL(text) (text), (sizeof(text) - 1)

#define SET_HEAD "{\"Set\":{"
#define REMOVE_HEAD "{\"Remove\":{"
#define KEY_NAME "\"key\":\""
#define KEY64_NAME "\"key64\":\""
#define VAL_NAME ",\"val\":\""
#define VALUE_NAME ",\"value\":\""
#define VAL64_NAME ",\"val64\":\""
#define BATCH_NAME ",\"batch\":"
#define SUM_NAME ",\"sum\":\""
#define SUM_TAIL "\"}}"
#define TAIL "}}"

#define SUM_DIGITS ((size_t)8)
/* What stands behind the comma up to which the sum reaches. */
#define SUM_MEMBER_SIZE (sizeof(SUM_NAME) - 1 + SUM_DIGITS + 1)
#define SUM_TAIL_SIZE (SUM_MEMBER_SIZE + sizeof(TAIL) - 1)

/* Passes over a literal. False, and at unmoved, where it does not stand. */
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

static inline char *put(char *out, const char *literal, size_t size)
{
    memcpy(out, literal, size);
    return out + size;
}

/* One of the eight digits of a sum. */
static char sum_digit(uint64_t sum, size_t number)
{
    static const char hex_digits[] = "0123456789abcdef";
    assert(number < SUM_DIGITS);
    return hex_digits[sum >> (4 * (SUM_DIGITS - 1 - number)) & 15];
}

/* Of the line from its first brace on, up to and including the comma. */
static uint64_t hash_line(const char *start, const char *comma)
{
    return XXH3_64bits(start, (size_t)(comma + 1 - start));
}

/* Does the line end as only a line with a sum does? */
static bool has_sum_tail(const char *line, const char *end)
{
    if ((size_t)(end - line) < SUM_TAIL_SIZE) {
        return false;
    }
    const char *name = end - SUM_TAIL_SIZE;
    const char *digits = name + sizeof(SUM_NAME) - 1;
    return take_literal(&name, end, LITERAL(SUM_NAME)) &&
           memcmp(digits + SUM_DIGITS, LITERAL(SUM_TAIL)) == 0;
}

/* Does the sum of a line with such an end fit? Start is the line's first
 * brace. Only lower-case digits can fit. */
static bool is_sum_fitting(const char *start, const char *end)
{
    const char *comma = end - SUM_TAIL_SIZE;
    const char *digits = comma + sizeof(SUM_NAME) - 1;
    assert(start <= comma && *start == '{');
    uint64_t sum = hash_line(start, comma);
    int difference = 0;
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        difference |= digits[i] ^ sum_digit(sum, i);
    }
    return difference == 0;
}

/* Does a line of any layout end in a sum, and does it fit? */
static bool has_fitting_sum(const char *line, const char *end)
{
    if (!has_sum_tail(line, end)) {
        return false;
    }
    const char *before = end - SUM_TAIL_SIZE;
    const char *start = memchr(line, '{', (size_t)(before - line));
    return start != NULL && is_sum_fitting(start, end);
}

/* Reads the type and the key, with which every canonical line begins. Returns
 * the place behind them, or NULL. */
static const char *scan_head(const char *line,
                             const char *end,
                             struct kv_command *command)
{
    const char *at = line;
    enum kv_command_type type = KV_COMMAND_SET;
    if (!take_literal(&at, end, LITERAL(SET_HEAD))) {
        if (!take_literal(&at, end, LITERAL(REMOVE_HEAD))) {
            return NULL;
        }
        type = KV_COMMAND_REMOVE;
    }
    if (take_literal(&at, end, LITERAL(KEY_NAME))) {
        at = kv_text_scan_string(at, end, &command->key);
    } else if (take_literal(&at, end, LITERAL(KEY64_NAME))) {
        at = kv_text_scan_base64(at, end, &command->key);
    } else {
        return NULL;
    }
    command->type = type;
    command->has_key = at != NULL;
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

/* Reads the batch member if there is one. NULL where it is not canonical. */
static const char *scan_batch(const char *at,
                              const char *end,
                              uint32_t *batch_out)
{
    if (!take_literal(&at, end, LITERAL(BATCH_NAME))) {
        return at;
    }
    uint64_t batch = 0;
    while (at < end && *at >= '0' && *at <= '9') {
        batch = batch * 10 + (uint64_t)(*at - '0');
        if (batch == 0 || batch > UINT32_MAX) {
            return NULL;
        }
        at++;
    }
    *batch_out = (uint32_t)batch;
    return batch == 0 ? NULL : at;
}

/* Sets every member by itself: this runs for each line that is read, and
 * compilers clear a whole struct slowly. */
static void reset(struct kv_command *command, enum kv_command_type type)
{
    static const struct kv_text no_text = {.raw = "", .form = KV_TEXT_PLAIN};
    command->type = type;
    command->has_key = false;
    command->key = no_text;
    command->value = no_text;
    command->batch = 0;
    command->damage =
        type == KV_COMMAND_DAMAGED ? KVSTORE_BAD_JSON : KVSTORE_OK;
    command->owned = NULL;
}

/* Reads the members of a canonical line that come before its sum. Returns the
 * place behind them, or NULL. */
static const char *scan_members(const char *line,
                                const char *end,
                                struct kv_command *command)
{
    const char *at = scan_head(line, end, command);
    if (at != NULL && command->type == KV_COMMAND_SET) {
        at = scan_value(at, end, &command->value);
    }
    return at == NULL ? NULL : scan_batch(at, end, &command->batch);
}

/* Decodes a canonical line, also one whose sum does not fit. False for every
 * other line; what command_out holds is then without meaning. */
static bool decode_canonical(const char *line,
                             const char *end,
                             struct kv_command *command_out)
{
    const char *at = scan_members(line, end, command_out);
    if (at == NULL) {
        return false;
    }
    size_t left = (size_t)(end - at);
    if (left == sizeof(TAIL) - 1) {
        return memcmp(at, LITERAL(TAIL)) == 0;
    }
    if (left != SUM_TAIL_SIZE || !has_sum_tail(line, end)) {
        return false;
    }
    if (!is_sum_fitting(line, end)) {
        struct kv_text key = command_out->key;
        reset(command_out, KV_COMMAND_DAMAGED);
        command_out->has_key = true;
        command_out->key = key;
        command_out->damage = KVSTORE_CORRUPT;
    }
    return true;
}

size_t kv_command_decode_ahead(const char *bytes,
                               size_t size,
                               struct kv_command *command_out)
{
    assert(bytes != NULL && command_out != NULL);
    const char *end =
        bytes + (size < KV_LINE_SIZE_MAX ? size : KV_LINE_SIZE_MAX);
    reset(command_out, KV_COMMAND_BLANK);
    const char *at = scan_members(bytes, end, command_out);
    if (at == NULL) {
        return 0;
    }
    bool has_sum = (size_t)(end - at) > SUM_TAIL_SIZE &&
                   has_sum_tail(bytes, at + SUM_TAIL_SIZE);
    if (has_sum) {
        at += SUM_TAIL_SIZE;
    } else if (!take_literal(&at, end, LITERAL(TAIL))) {
        return 0;
    }
    if (at == end || *at != '\n' || (has_sum && !is_sum_fitting(bytes, at))) {
        return 0;
    }
    return (size_t)(at + 1 - bytes);
}

/* A damaged line that begins like a canonical one still tells its key. */
static void tell_key(const char *line,
                     const char *end,
                     struct kv_command *command)
{
    struct kv_command told = {.has_key = false};
    const char *at = scan_head(line, end, &told);
    if (at != NULL && at < end && (*at == ',' || *at == '}')) {
        command->key = told.key;
        command->has_key = true;
    }
}

static bool is_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) {
        at++;
    }
    return at == end;
}

kvstore_status kv_command_decode(const char *line,
                                 size_t size,
                                 struct kv_command *command_out)
{
    assert(line != NULL && command_out != NULL);
    const char *end = line + size;
    bool is_too_long = size >= KV_LINE_SIZE_MAX; /* The newline counts. */
    reset(command_out, KV_COMMAND_BLANK);
    if (!is_too_long &&
        (is_blank(line, end) || decode_canonical(line, end, command_out))) {
        return KVSTORE_OK;
    }
    reset(command_out, KV_COMMAND_DAMAGED);
    if (!is_too_long) {
        kvstore_status status = kv_command_decode_foreign(
            line, size, has_fitting_sum(line, end), command_out);
        if (status != KVSTORE_OK) {
            reset(command_out, KV_COMMAND_BLANK);
            return status;
        }
    }
    if (command_out->type == KV_COMMAND_DAMAGED && !command_out->has_key) {
        tell_key(line, end, command_out);
    }
    return KVSTORE_OK;
}

void kv_command_tell_key(const char *head,
                         size_t size,
                         struct kv_command *command_out)
{
    assert(head != NULL && command_out != NULL);
    reset(command_out, KV_COMMAND_DAMAGED);
    tell_key(head, head + size, command_out);
}

void kv_command_release(struct kv_command *command)
{
    assert(command != NULL);
    if (command->owned != NULL) {
        kv_io_free(command->owned);
        reset(command, KV_COMMAND_BLANK);
    }
}

/* The size of a member with one of two names; the names hold the opening
 * quote, not the closing one. */
static size_t member_size(struct kv_text_plan plan,
                          size_t name_size,
                          size_t name64_size)
{
    return (plan.form == KV_TEXT_BASE64 ? name64_size : name_size) +
           plan.raw_size + 1;
}

static size_t key_member_size(struct kv_text_plan plan)
{
    return member_size(plan, sizeof(KEY_NAME) - 1, sizeof(KEY64_NAME) - 1);
}

static size_t value_member_size(struct kv_text_plan plan)
{
    return member_size(plan, sizeof(VAL_NAME) - 1, sizeof(VAL64_NAME) - 1);
}

struct kv_command_plan kv_command_plan_set(const void *key,
                                           size_t key_size,
                                           const void *value,
                                           size_t value_size)
{
    assert(key != NULL);
    assert(value_size <= KV_VALUE_SIZE_MAX);
    struct kv_text_plan key_plan = kv_text_plan(key, key_size);
    struct kv_text_plan value_plan = kv_text_plan(value, value_size);
    return (struct kv_command_plan){
        .type = KV_COMMAND_SET,
        .key = key,
        .key_size = key_size,
        .value = value,
        .value_size = value_size,
        .key_plan = key_plan,
        .value_plan = value_plan,
        .line_size = sizeof(SET_HEAD) - 1 + key_member_size(key_plan) +
                     value_member_size(value_plan) + SUM_TAIL_SIZE + 1,
    };
}

struct kv_command_plan kv_command_plan_remove(const void *key, size_t key_size)
{
    assert(key != NULL);
    struct kv_text_plan key_plan = kv_text_plan(key, key_size);
    return (struct kv_command_plan){
        .type = KV_COMMAND_REMOVE,
        .key = key,
        .key_size = key_size,
        .key_plan = key_plan,
        .line_size = sizeof(REMOVE_HEAD) - 1 + key_member_size(key_plan) +
                     SUM_TAIL_SIZE + 1,
    };
}

static char *put_key(char *out, const struct kv_command_plan *plan)
{
    out = plan->key_plan.form == KV_TEXT_BASE64 ? put(out, LITERAL(KEY64_NAME))
                                                : put(out, LITERAL(KEY_NAME));
    out = kv_text_encode(plan->key_plan, plan->key, plan->key_size, out);
    *out++ = '"';
    return out;
}

static char *put_value(char *out, const struct kv_command_plan *plan)
{
    out = plan->value_plan.form == KV_TEXT_BASE64
              ? put(out, LITERAL(VAL64_NAME))
              : put(out, LITERAL(VAL_NAME));
    out = kv_text_encode(plan->value_plan, plan->value, plan->value_size, out);
    *out++ = '"';
    return out;
}

void kv_command_encode(const struct kv_command_plan *plan, char *line_out)
{
    assert(plan != NULL && line_out != NULL);
    assert(plan->type == KV_COMMAND_SET || plan->type == KV_COMMAND_REMOVE);
    char *out = line_out;
    if (plan->type == KV_COMMAND_SET) {
        out = put(out, LITERAL(SET_HEAD));
        out = put_key(out, plan);
        out = put_value(out, plan);
    } else {
        out = put(out, LITERAL(REMOVE_HEAD));
        out = put_key(out, plan);
    }
    const char *comma = out;
    out = put(out, LITERAL(SUM_NAME));
    uint64_t sum = hash_line(line_out, comma);
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        *out++ = sum_digit(sum, i);
    }
    out = put(out, LITERAL(SUM_TAIL "\n"));
    assert((size_t)(out - line_out) == plan->line_size);
    (void)out;
}
