/* SPDX-License-Identifier: MIT */

/* Does the fold judge a batch that has lost something as docs/format.md says?
 * Every bit of a batch is flipped, every run of its bytes zeroed, every end cut
 * off, at the end of a log, in the middle, and before another batch; and the
 * verdicts are compared with the rules written plainly. */

#include "log/fold.h"
#include "log_text.h"
#include "record/decode.h"
#include "store_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES_MAX 600u

/* --- The rules --- */

struct line {
    size_t offset;
    size_t length;
    enum kv_record_type type;
    uint32_t batch;
    bool is_closed;
};

struct model {
    struct line lines[LINES_MAX];
    size_t count;
    char verdicts[LINES_MAX + 2];
};

static size_t piece_length(const char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && bytes[i] == '\0') {
        i++;
    }
    if (i > 0) {
        return i < size && bytes[i] == '\n' ? i + 1 : i;
    }
    const char *newline = memchr(bytes, '\n', size);
    if (newline == NULL) {
        return size;
    }
    size_t length = (size_t)(newline - bytes) + 1;
    for (i = 1; i < length; i++) {
        if (bytes[i - 1] == '\0' && bytes[i] == '{') {
            return i;
        }
    }
    return length;
}

/* There are no tabs here, so there is no padding. */
static bool is_closed(const struct log_text *text, size_t offset, size_t length)
{
    const char *bytes = text->bytes + offset;
    if (bytes[length - 1] != '\n') {
        return false;
    }
    bool is_suspect =
        offset > 0 && offset % 512 == 0 && text->bytes[offset - 1] == '\0';
    return length > 2 && bytes[0] == '{' && bytes[length - 2] == '}' &&
           memchr(bytes, '\0', length) == NULL && !is_suspect;
}

static void read_lines(struct model *model, const struct log_text *text)
{
    model->count = 0;
    for (size_t offset = 0; offset < text->size;) {
        const char *bytes = text->bytes + offset;
        size_t length = piece_length(bytes, text->size - offset);
        size_t size = length - (bytes[length - 1] == '\n' ? 1 : 0);
        struct kv_record record;
        assert_int_equal(kv_record_decode(bytes, size, &record), KVSTORE_OK);
        assert_true(model->count < LINES_MAX);
        model->lines[model->count++] =
            (struct line){.offset = offset,
                          .length = length,
                          .type = record.type,
                          .batch = record.batch,
                          .is_closed = is_closed(text, offset, length)};
        kv_record_release(&record);
        offset += length;
    }
}

static bool is_of_batch(const struct line *line)
{
    return line->type != KV_RECORD_DAMAGED && line->batch != 0;
}

static bool is_damaged(const struct model *model, size_t i)
{
    return model->lines[i].type == KV_RECORD_DAMAGED;
}

static bool is_anchor(const struct model *model, size_t i)
{
    const struct line *line = &model->lines[i];
    if (line->type == KV_RECORD_BLANK) {
        return false;
    }
    if (is_damaged(model, i)) {
        return line->is_closed;
    }
    if (line->batch == 0) {
        return true;
    }
    size_t before = i;
    while (before > 0 && is_of_batch(&model->lines[before - 1]) &&
           model->lines[before - 1].batch != 1) {
        before--;
    }
    return before == 0 || !is_damaged(model, before - 1);
}

static bool has_anchor_from(const struct model *model, size_t i)
{
    while (i < model->count && !is_anchor(model, i)) {
        i++;
    }
    return i < model->count;
}

/* Returns where the batch that begins with a line ends, and whether it is
 * whole. */
static size_t batch_end(const struct model *model,
                        size_t first,
                        bool *is_whole_out)
{
    const struct line *lines = model->lines;
    size_t i = first + 1;
    while (i < model->count && is_of_batch(&lines[i]) &&
           lines[i - 1].batch != 1 &&
           lines[i].batch + 1 == lines[i - 1].batch) {
        i++;
    }
    *is_whole_out = lines[i - 1].batch == 1 &&
                    (first == 0 || !is_damaged(model, first - 1));
    return i;
}

static void judge(struct model *model, const struct log_text *text)
{
    static const char letters[] = {[KV_RECORD_BLANK] = '.',
                                   [KV_RECORD_SET] = 'S',
                                   [KV_RECORD_REMOVE] = 'R',
                                   [KV_RECORD_UNKNOWN] = 'U',
                                   [KV_RECORD_DAMAGED] = 'D'};
    read_lines(model, text);
    memset(model->verdicts, 0, sizeof model->verdicts);
    for (size_t i = 0; i < model->count;) {
        size_t end = i + 1;
        bool is_sound = !is_damaged(model, i);
        bool is_kept = is_sound || has_anchor_from(model, i);
        if (is_of_batch(&model->lines[i])) {
            end = batch_end(model, i, &is_sound);
            is_kept = is_sound || (i > 0 && is_damaged(model, i - 1)) ||
                      has_anchor_from(model, end);
        }
        if (!is_kept) {
            model->verdicts[i] = '|';
            return;
        }
        for (; i < end; i++) {
            model->verdicts[i] = is_sound ? letters[model->lines[i].type] : 'D';
        }
    }
}

/* --- The fold --- */

struct seen {
    const struct model *model;
    size_t count;
};

static kvstore_status compare(void *context, const struct kv_fold_item *item)
{
    static const char letters[] = {[KV_RECORD_BLANK] = '.',
                                   [KV_RECORD_SET] = 'S',
                                   [KV_RECORD_REMOVE] = 'R',
                                   [KV_RECORD_UNKNOWN] = 'U',
                                   [KV_RECORD_DAMAGED] = 'D'};
    struct seen *seen = context;
    const struct line *line = &seen->model->lines[seen->count];
    assert_int_equal(item->pointer.offset, line->offset);
    assert_int_equal(letters[item->type], seen->model->verdicts[seen->count]);
    seen->count++;
    return KVSTORE_OK;
}

/* Writes in place: some file systems flush a file that replaces another. */
static void write_log(const struct store_dir *dir, const struct log_text *text)
{
    if (!store_dir_has(dir, KV_LOG_NAME)) {
        store_dir_write_log(dir, text);
        return;
    }
    store_dir_overwrite(dir, KV_LOG_NAME, 0, text->bytes, text->size);
    store_dir_truncate(dir, KV_LOG_NAME, text->size);
}

static void assert_judged(const struct store_dir *dir,
                          const struct log_text *text,
                          struct model *model)
{
    struct seen seen = {.model = model};
    struct kv_log log;
    struct kv_fold_range range = {.end = text->size};
    struct kv_fold_result result;
    judge(model, text);
    write_log(dir, text);
    assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);
    assert_int_equal(kv_fold(&log, range, compare, &seen, &result), KVSTORE_OK);
    kv_log_close(&log);
    assert_int_equal(result.is_torn, strchr(model->verdicts, '|') != NULL);
    assert_int_equal(seen.count,
                     strlen(model->verdicts) - (result.is_torn ? 1 : 0));
    assert_true(result.batch_end == 0 || result.is_torn);
}

/* --- Logs with a batch --- */

enum after { NOTHING, SET, BATCH, BLANK_AND_BATCH, GARBAGE, AFTER_COUNT };

struct place {
    size_t begin; /* Of the batch. */
    size_t end;
    size_t lines; /* Before the batch, all of them sound. */
};

/* Puts so many bytes before the batch. */
static struct log_text make_log(size_t before,
                                enum after after,
                                struct place *place)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char value[1024] = "";
    memset(value, 'x', before > 200 ? before - 200 : 1);
    log_text_set(&text, "a", "old");
    log_text_set(&text, "b", value);
    place->begin = text.size;
    place->lines = 2;
    log_text_batch_set(&text, "a", "new", 3);
    log_text_batch_remove(&text, "b", 2);
    log_text_batch_set(&text, "c", "new", 1);
    place->end = text.size;
    if (after == SET) {
        log_text_set(&text, "d", "1");
    } else if (after == GARBAGE) {
        log_text_add(&text, "{\"Set\":{\"key\":\"d");
    } else if (after != NOTHING) {
        log_text_add(&text, after == BLANK_AND_BATCH ? "\n" : "");
        log_text_batch_set(&text, "d", "1", 2);
        log_text_batch_set(&text, "e", "1", 1);
    }
    return text;
}

/* Asserts what must hold whatever an acknowledged batch has lost. */
static void assert_sane(const struct model *model, const struct place *place)
{
    bool has_closed = false;
    for (size_t i = 0; i < model->count; i++) {
        if (model->lines[i].offset < place->begin) {
            assert_int_equal(model->verdicts[i], 'S');
        } else if (model->lines[i].offset < place->end) {
            has_closed |= is_damaged(model, i) && model->lines[i].is_closed;
        }
    }
    if (!has_closed) {
        return;
    }
    /* Nothing of it is cut off, so no older value comes back; and none of it is
     * applied. */
    for (size_t i = place->lines; i < model->count; i++) {
        assert_int_not_equal(model->verdicts[i], '|');
        if (model->lines[i].offset < place->end) {
            assert_int_equal(model->verdicts[i], 'D');
        }
        if (model->lines[i].offset + model->lines[i].length >= place->end) {
            break;
        }
    }
}

static void check(const struct store_dir *dir,
                  const struct log_text *text,
                  const struct place *place)
{
    static struct model model;
    assert_judged(dir, text, &model);
    assert_sane(&model, place);
}

/* The batch begins anywhere, or such that a line of it begins at a sector. */
static const size_t befores[] = {100, 512 + 83};

/* Does something to the byte at each place of the batch, in a log. */
typedef void (*spoil_at)(const struct store_dir *dir,
                         struct log_text *text,
                         const struct place *place,
                         size_t i);

static void spoil_each_log(const struct store_dir *dir, spoil_at spoil)
{
    for (int at = 0; at < 2 * AFTER_COUNT; at++) {
        struct place place;
        enum after after = (enum after)(at / 2);
        struct log_text text = make_log(befores[at % 2], after, &place);
        for (size_t i = place.begin; i < place.end; i++) {
            spoil(dir, &text, &place, i);
        }
        log_text_release(&text);
    }
}

static void flip_each_bit(const struct store_dir *dir,
                          struct log_text *text,
                          const struct place *place,
                          size_t i)
{
    for (unsigned bit = 0; bit < 8; bit++) {
        text->bytes[i] = (char)(text->bytes[i] ^ (1 << bit));
        check(dir, text, place);
        text->bytes[i] = (char)(text->bytes[i] ^ (1 << bit));
    }
}

static void any_flipped_bit_is_judged_by_the_rules(void **state)
{
    spoil_each_log(*state, flip_each_bit);
}

static void zero_runs(const struct store_dir *dir,
                      struct log_text *text,
                      const struct place *place,
                      size_t i)
{
    static const size_t sizes[] = {1, 2, 3, 40, 100, 512};
    for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
        char saved[512];
        size_t left = text->size - i;
        size_t size = sizes[j] < left ? sizes[j] : left;
        memcpy(saved, text->bytes + i, size);
        memset(text->bytes + i, '\0', size);
        check(dir, text, place);
        memcpy(text->bytes + i, saved, size);
    }
}

static void any_zeroed_run_is_judged_by_the_rules(void **state)
{
    spoil_each_log(*state, zero_runs);
}

/* Cuts it off at the end of the log, or loses it from its middle. */
static void lose_the_end(const struct store_dir *dir,
                         struct log_text *text,
                         const struct place *place,
                         size_t i)
{
    struct log_text cut = LOG_TEXT_EMPTY;
    log_text_add_bytes(&cut, text->bytes, i);
    log_text_add_bytes(&cut, text->bytes + place->end, text->size - place->end);
    check(dir, &cut, place);
    log_text_release(&cut);
}

static void any_lost_end_is_judged_by_the_rules(void **state)
{
    spoil_each_log(*state, lose_the_end);
}

/* The result says where the last whole record of a torn batch ends. */
static void result_tells_where_a_torn_batch_ends(void **state)
{
    const struct store_dir *dir = *state;
    static struct model model;
    struct place place;
    struct log_text text = make_log(100, NOTHING, &place);
    for (size_t size = place.begin + 1; size < place.end - 1; size++) {
        size_t lost = text.size - size;
        struct kv_log log;
        struct kv_fold_range range = {.end = size};
        struct kv_fold_result result;
        struct seen seen = {.model = &model};
        size_t end = 0; /* Of its last whole record. */
        log_text_chop(&text, lost);
        judge(&model, &text);
        for (size_t i = place.lines; i < model.count; i++) {
            end = model.lines[i].type == KV_RECORD_DAMAGED
                      ? end
                      : model.lines[i].offset + model.lines[i].length;
        }
        write_log(dir, &text);
        assert_int_equal(kv_log_open(&dir->directory, true, &log), KVSTORE_OK);

        assert_int_equal(kv_fold(&log, range, compare, &seen, &result),
                         KVSTORE_OK);

        assert_true(result.is_torn);
        assert_int_equal(result.offset, place.begin);
        assert_int_equal(result.batch_end, end);
        kv_log_close(&log);
        text.size += lost;
    }
    log_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(any_flipped_bit_is_judged_by_the_rules),
        STORE_TEST(any_zeroed_run_is_judged_by_the_rules),
        STORE_TEST(any_lost_end_is_judged_by_the_rules),
        STORE_TEST(result_tells_where_a_torn_batch_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
