/* SPDX-License-Identifier: MIT */

/* A plain model of the log. */

#include "log_model.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define KEY_SIZE_MAX 65535u

/* --- Lines --- */

/* Returns where the line at an offset ends, its LF counted. text_size_out: its
 * size without it. A run of NULs is a line of its own, and a line that has its
 * LF ends at a NUL before a brace. */
static size_t line_end(const struct log_model *model,
                       size_t offset,
                       size_t *text_size_out)
{
    const char *bytes = model->bytes;
    size_t end = offset;
    bool has_lf = memchr(bytes + offset, '\n', model->size - offset) != NULL;
    while (end < model->size && bytes[end] == '\0') {
        end++;
    }
    if (end == offset) {
        while (end < model->size && bytes[end] != '\n' &&
               !(has_lf && end > offset && bytes[end] == '{' &&
                 bytes[end - 1] == '\0')) {
            end++;
        }
    }
    *text_size_out = end - offset;
    return end + (end < model->size && bytes[end] == '\n' ? 1 : 0);
}

static struct log_line *add_line(struct log_model *model, size_t *capacity)
{
    if (model->count == *capacity) {
        *capacity = *capacity * 2 + 16;
        model->lines = realloc(model->lines, *capacity * sizeof *model->lines);
        if (model->lines == NULL) {
            fuzz_fail("there is memory for lines");
        }
    }
    return &model->lines[model->count++];
}

/* True if there is a brace after a NUL in the last line, which lacks its LF. */
static bool hides_record(const struct log_model *model, size_t offset)
{
    const char *bytes = model->bytes;
    bool is_hidden = false;
    for (size_t i = offset + 1; i < model->size; i++) {
        is_hidden |= bytes[i] == '{' && bytes[i - 1] == '\0';
    }
    return is_hidden && bytes[model->size - 1] != '\n';
}

/* True if a record may begin at a place in a line: at its beginning, or after a
 * NUL where no LF ends the line, which would be another line if one did. */
static bool may_begin(const struct log_model *model,
                      const struct log_line *line,
                      size_t at)
{
    const char *text = model->bytes + line->offset;
    return at == 0 || (text[at - 1] == '\0' && text[at] == '{' &&
                       line->offset + line->size == model->size);
}

/* Looks, from a place in a line on, for a record that the line goes on after, or
 * that is hidden by its NULs. at: its place. False: there is none. */
static bool read_hidden(const struct log_model *model,
                        const struct log_line *line,
                        size_t *at,
                        struct line_verdict *verdict_out)
{
    const char *text = model->bytes + line->offset;
    for (; *at < line->size; (*at)++) {
        if (!may_begin(model, line, *at)) {
            continue;
        }
        size_t last = *at == 0 ? line->size - 1 : line->size;
        for (size_t end = *at + 1; end <= last; end++) {
            if (text[end - 1] != '}') {
                continue;
            }
            line_oracle_read(text + *at, end - *at, verdict_out);
            if (verdict_out->kind == LINE_SET ||
                verdict_out->kind == LINE_REMOVE) {
                return true;
            }
            line_oracle_release(verdict_out);
        }
    }
    return false;
}

static bool is_unended(const struct log_model *model,
                       const struct log_line *line)
{
    struct line_verdict verdict;
    size_t at = 0;
    bool is_there = read_hidden(model, line, &at, &verdict);
    if (is_there) {
        line_oracle_release(&verdict);
    }
    return is_there;
}

static void split(struct log_model *model)
{
    size_t capacity = 0;
    for (size_t offset = 0; offset < model->size;) {
        struct log_line *line = add_line(model, &capacity);
        *line = (struct log_line){.offset = offset};
        offset = line_end(model, offset, &line->size);
        model->hides_record |=
            offset == model->size && hides_record(model, line->offset);
        model->hides_record |= is_unended(model, line);
        line_oracle_read(
            model->bytes + line->offset, line->size, &line->verdict);
    }
}

/* --- Batches --- */

static bool is_record(const struct log_line *line)
{
    return line->verdict.kind == LINE_SET || line->verdict.kind == LINE_REMOVE;
}

/* A record of a newer version counts in its batch. */
static bool counts_in_batch(const struct log_line *line)
{
    return line->verdict.batch != 0 &&
           (is_record(line) || line->verdict.kind == LINE_UNKNOWN);
}

/* Returns how many lines from one on count down. is_whole_out: to 1. */
static size_t count_down(const struct log_model *model,
                         size_t first,
                         bool *is_whole_out)
{
    uint32_t expected = model->lines[first].verdict.batch;
    size_t i = first;
    *is_whole_out = false;
    while (i < model->count && !*is_whole_out &&
           counts_in_batch(&model->lines[i]) &&
           model->lines[i].verdict.batch == expected) {
        *is_whole_out = expected == 1;
        expected--;
        i++;
    }
    return i - first;
}

static void judge_batches(struct log_model *model)
{
    bool follows_damage = false;
    for (size_t i = 0; i < model->count;) {
        struct log_line *line = &model->lines[i];
        size_t count = 1;
        bool is_whole = is_record(line);
        if (counts_in_batch(line)) {
            count = count_down(model, i, &is_whole);
            is_whole = is_whole && !follows_damage;
        }
        for (size_t j = i; j < i + count; j++) {
            struct log_line *one = &model->lines[j];
            bool is_newer = one->verdict.kind == LINE_UNKNOWN;
            one->is_applied = is_whole && is_record(one);
            one->is_newer = is_newer && (is_whole || one->verdict.batch == 0);
        }
        follows_damage = line->verdict.kind == LINE_DAMAGED;
        i += count;
    }
}

/* True if this line was written whole for certain, whatever precedes it. */
static bool is_anchor(const struct log_line *line)
{
    return line->verdict.batch == 0 &&
           (is_record(line) || line->verdict.kind == LINE_UNKNOWN);
}

static bool is_unread(const struct log_line *line)
{
    return !line->is_applied && !line->is_newer &&
           line->verdict.kind != LINE_BLANK;
}

static void settle(struct log_model *model)
{
    bool is_settled = false;
    bool has_batch = false;
    for (size_t i = model->count; i-- > 0;) {
        struct log_line *line = &model->lines[i];
        is_settled = is_settled || is_anchor(line);
        line->is_settled = is_settled;
        model->has_unknown |= line->verdict.kind == LINE_UNKNOWN;
        model->has_damage |= is_unread(line);
        has_batch |= line->verdict.batch != 0;
        model->is_ambiguous |= is_unread(line) && !is_settled && has_batch;
        /* A record of a newer version may be a part of a batch. */
        model->is_ambiguous |=
            line->verdict.kind == LINE_UNKNOWN && line->verdict.batch != 0;
    }
}

void log_model_read(struct log_model *model, const void *bytes, size_t size)
{
    *model = (struct log_model){.bytes = fuzz_copy(bytes, size), .size = size};
    split(model);
    judge_batches(model);
    settle(model);
}

void log_model_release(struct log_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        line_oracle_release(&model->lines[i].verdict);
    }
    free(model->lines);
    free(model->bytes);
    *model = (struct log_model){.count = 0};
}

/* --- Answers --- */

static bool has_key(const struct line_verdict *verdict,
                    const void *key,
                    size_t size)
{
    const struct line_text *own = &verdict->key;
    return own->is_there && fuzz_equal(own->bytes, own->size, key, size);
}

static bool is_live(const struct log_line *line)
{
    int64_t expires_ms = line->verdict.expires_ms;
    return line->verdict.kind == LINE_SET &&
           (expires_ms == 0 || expires_ms > LOG_MODEL_NOW_MS);
}

struct log_answer log_model_ask(const struct log_model *model,
                                const void *key,
                                size_t key_size)
{
    struct log_answer answer = {.newest = NULL};
    for (size_t i = 0; i < model->count; i++) {
        const struct log_line *line = &model->lines[i];
        if (!has_key(&line->verdict, key, key_size)) {
            continue;
        }
        if (line->is_applied) {
            answer =
                (struct log_answer){.newest = line, .has_value = is_live(line)};
        } else {
            answer.is_refused |= line->is_settled;
            answer.may_be_refused = true;
        }
    }
    return answer;
}

static bool gives(const struct line_verdict *verdict,
                  const struct line_text *key,
                  const void *value,
                  size_t value_size)
{
    return verdict->kind == LINE_SET &&
           has_key(verdict, key->bytes, key->size) &&
           fuzz_equal(
               verdict->value.bytes, verdict->value.size, value, value_size);
}

bool log_model_ever_had(const struct log_model *model,
                        const struct line_text *key,
                        const void *value,
                        size_t value_size)
{
    bool has_had = false;
    for (size_t i = 0; i < model->count && !has_had; i++) {
        has_had = model->lines[i].is_applied &&
                  gives(&model->lines[i].verdict, key, value, value_size);
    }
    return has_had;
}

bool log_model_has_in_batch(const struct log_model *model,
                            const struct line_text *key,
                            const void *value,
                            size_t value_size)
{
    bool has_it = false;
    for (size_t i = 0; i < model->count && !has_it; i++) {
        has_it = model->lines[i].verdict.batch != 0 &&
                 gives(&model->lines[i].verdict, key, value, value_size);
    }
    return has_it;
}

/* True if one of a line's hidden records gives the key this value. */
static bool hides(const struct log_model *model,
                  const struct log_line *line,
                  const struct line_text *key,
                  const void *value,
                  size_t value_size)
{
    bool has_it = false;
    struct line_verdict verdict;
    for (size_t at = 0; !has_it && read_hidden(model, line, &at, &verdict);
         at++) {
        has_it = gives(&verdict, key, value, value_size);
        line_oracle_release(&verdict);
    }
    return has_it;
}

bool log_model_has_hidden(const struct log_model *model,
                          const struct line_text *key,
                          const void *value,
                          size_t value_size)
{
    bool has_it = false;
    for (size_t i = 0; i < model->count && !has_it; i++) {
        has_it = hides(model, &model->lines[i], key, value, value_size);
    }
    return has_it;
}

bool log_model_is_key(const struct line_text *key)
{
    return key->is_there && key->size >= 1 && key->size <= KEY_SIZE_MAX;
}
