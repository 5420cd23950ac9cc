/* SPDX-License-Identifier: MIT */

/* The canonical line of a record, planned and laid out. */

#include "record/plan.h"

#include "os/bounds.h"
#include "os/system.h"
#include "record/names.h"
#include "record/sum.h"
#include "record/text_plan.h"

#include <assert.h>
#include <string.h>

#define DIGITS_MAX ((size_t)20)

static inline char *put(char *out, const char *literal, size_t size)
{
    memcpy(out, literal, size);
    return out + size;
}

/* The size of a text's member with one of two names. */
static size_t text_size(struct kv_text_plan plan,
                        size_t name_size,
                        size_t name64_size)
{
    return (plan.form == KV_TEXT_BASE64 ? name64_size : name_size) +
           plan.raw_size + 1; /* The closing quote. */
}

/* The size of a number's member; 0 has no member. */
static size_t number_size(size_t name_size, uint64_t number)
{
    size_t size = number == 0 ? 0 : name_size;
    for (; number != 0; number /= 10) {
        size++;
    }
    return size;
}

static size_t line_size_of(const struct kv_record_plan *plan)
{
    size_t size =
        text_size(
            plan->key_plan, sizeof(KEY_NAME) - 1, sizeof(KEY64_NAME) - 1) +
        number_size(sizeof(EXPIRES_NAME) - 1, (uint64_t)plan->expires_ms) +
        number_size(sizeof(BATCH_NAME) - 1, plan->batch) +
        KV_RECORD_SUM_TAIL_SIZE + 1; /* The newline. */
    if (plan->type == KV_RECORD_REMOVE) {
        return sizeof(REMOVE_HEAD) - 1 + size;
    }
    return sizeof(SET_HEAD) - 1 + size +
           text_size(
               plan->value_plan, sizeof(VAL_NAME) - 1, sizeof(VAL64_NAME) - 1);
}

static void measure_plan(struct kv_record_plan *plan)
{
    plan->line_size = line_size_of(plan);
    if (plan->line_size > KV_TEXT_LINE_SIZE_MAX &&
        plan->value_plan.form == KV_TEXT_ESCAPED) {
        plan->value_plan = kv_text_plan_base64(plan->value_size);
        plan->line_size = line_size_of(plan);
    }
}

/* A key of ours is text whatever its escapes cost, which is little. A longer
 * key is another program's, and must not take more room than in its line. */
static struct kv_text_plan plan_key(const void *key, size_t key_size)
{
    size_t raw_size_max = key_size <= KV_KEY_SIZE_MAX
                              ? SIZE_MAX
                              : kv_text_plan_base64(key_size).raw_size;
    return kv_text_plan(key, key_size, raw_size_max);
}

KV_FLATTENED
struct kv_record_plan kv_record_plan_set(const void *key,
                                         size_t key_size,
                                         const void *value,
                                         size_t value_size)
{
    assert(key != NULL);
    assert(value_size <= KV_VALUE_SIZE_MAX);
    struct kv_record_plan plan = {
        .type = KV_RECORD_SET,
        .key = key,
        .key_size = key_size,
        .value = value,
        .value_size = value_size,
        .key_plan = plan_key(key, key_size),
        .value_plan = kv_text_plan(value, value_size, KV_TEXT_LINE_SIZE_MAX),
    };
    measure_plan(&plan);
    return plan;
}

struct kv_record_plan kv_record_plan_remove(const void *key, size_t key_size)
{
    assert(key != NULL);
    struct kv_record_plan plan = {
        .type = KV_RECORD_REMOVE,
        .key = key,
        .key_size = key_size,
        .key_plan = plan_key(key, key_size),
    };
    measure_plan(&plan);
    return plan;
}

void kv_record_plan_add(struct kv_record_plan *plan,
                        int64_t expires_ms,
                        uint32_t batch)
{
    assert(plan != NULL);
    assert(expires_ms >= 0 && expires_ms <= KV_EXPIRES_MS_MAX);
    assert(expires_ms == 0 || plan->type == KV_RECORD_SET);
    plan->expires_ms = expires_ms;
    plan->batch = batch;
    measure_plan(plan);
}

static char *put_key(char *out, const struct kv_record_plan *plan)
{
    out = plan->key_plan.form == KV_TEXT_BASE64 ? put(out, LITERAL(KEY64_NAME))
                                                : put(out, LITERAL(KEY_NAME));
    out = kv_text_encode(plan->key_plan, plan->key, plan->key_size, out);
    *out++ = '"';
    return out;
}

static char *put_value(char *out, const struct kv_record_plan *plan)
{
    out = plan->value_plan.form == KV_TEXT_BASE64
              ? put(out, LITERAL(VAL64_NAME))
              : put(out, LITERAL(VAL_NAME));
    out = kv_text_encode(plan->value_plan, plan->value, plan->value_size, out);
    *out++ = '"';
    return out;
}

static char *put_number(char *out, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof digits;
    for (; number != 0; number /= 10) {
        digits[--at] = (char)('0' + number % 10);
    }
    return put(out, digits + at, sizeof digits - at);
}

KV_FLATTENED
void kv_record_encode(const struct kv_record_plan *plan, char *line_out)
{
    assert(plan != NULL && line_out != NULL);
    assert(plan->type == KV_RECORD_SET || plan->type == KV_RECORD_REMOVE);
    char *out = line_out;
    if (plan->type == KV_RECORD_SET) {
        out = put(out, LITERAL(SET_HEAD));
        out = put_key(out, plan);
        out = put_value(out, plan);
    } else {
        out = put(out, LITERAL(REMOVE_HEAD));
        out = put_key(out, plan);
    }
    if (plan->expires_ms != 0) {
        out = put(out, LITERAL(EXPIRES_NAME));
        out = put_number(out, (uint64_t)plan->expires_ms);
    }
    if (plan->batch != 0) {
        out = put(out, LITERAL(BATCH_NAME));
        out = put_number(out, plan->batch);
    }
    out = kv_record_put_sum(line_out, out);
    *out++ = '\n';
    assert((size_t)(out - line_out) == plan->line_size);
    (void)out;
}
