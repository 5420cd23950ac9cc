/* SPDX-License-Identifier: MIT */

/* Takes any bytes as a line of the log: the decoder never fails on them, its
 * own way for the canonical form and the one by cJSON agree, and both agree
 * with the oracle. The input is the log from the line's beginning on: the line
 * ends at its first LF, or with the input. */

#include "fuzz.h"
#include "line_oracle.h"
#include "record/decode.h"
#include "record/foreign.h"
#include "record/plan.h"
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

/* What must be the same about a line, whichever way it was read. */
struct meaning {
    enum line_kind kind;
    struct line_text key;
    struct line_text value;
    uint32_t batch;
    int64_t expires_ms;
};

static bool decode_text(const struct kv_text *text, void *out)
{
    return kv_text_decode(text, out);
}

static int64_t expiry_of(const struct kv_record *record)
{
    return record->expires_ms;
}

static kvstore_status decode_foreign(const char *line,
                                     size_t size,
                                     bool has_fitting_sum,
                                     struct kv_record *record)
{
    (void)has_fitting_sum;
    char *copy = fuzz_copy(line, size);
    kvstore_status status = kv_record_decode_foreign(copy, size, record);
    free(copy);
    return status;
}

/* Decodes twice, over different bytes, so that a byte left out shows. */
static struct line_text meaning_of_text(const struct kv_text *text)
{
    struct line_text meaning = {.is_there = true,
                                .bytes = fuzz_allocate(text->size),
                                .size = text->size};
    unsigned char *again = fuzz_allocate(text->size);
    if (text->size > 0) {
        memset(meaning.bytes, 0x5a, text->size);
        memset(again, 0xa5, text->size);
        fuzz_check(decode_text(text, meaning.bytes) && decode_text(text, again),
                   "a text that was checked can be decoded");
    }
    fuzz_check(fuzz_equal(meaning.bytes, text->size, again, text->size),
               "a text decodes to exactly its size");
    fuzz_check(kv_text_equals(text, again, text->size),
               "a text equals what it decodes to");
    if (text->size > 0) {
        again[text->size / 2] ^= 1;
        fuzz_check(!kv_text_equals(text, again, text->size),
                   "a text equals nothing else");
        fuzz_check(!kv_text_equals(text, meaning.bytes, text->size - 1),
                   "a text equals nothing shorter");
    }
    free(again);
    return meaning;
}

static struct meaning meaning_of(const struct kv_record *record)
{
    static const enum line_kind kinds[] = {[KV_RECORD_BLANK] = LINE_BLANK,
                                           [KV_RECORD_SET] = LINE_SET,
                                           [KV_RECORD_REMOVE] = LINE_REMOVE,
                                           [KV_RECORD_UNKNOWN] = LINE_UNKNOWN,
                                           [KV_RECORD_DAMAGED] = LINE_DAMAGED};
    struct meaning meaning = {.kind = kinds[record->type]};
    fuzz_check((record->type == KV_RECORD_DAMAGED) ==
                   (record->damage != KVSTORE_OK),
               "damage has its reason, and nothing else has one");
    if (record->has_key) {
        meaning.key = meaning_of_text(&record->key);
    }
    if (record->type == KV_RECORD_SET) {
        meaning.value = meaning_of_text(&record->value);
    }
    if (kv_record_is_record(record)) {
        meaning.batch = record->batch;
        meaning.expires_ms = expiry_of(record);
    }
    return meaning;
}

static void release(struct meaning *meaning)
{
    free(meaning->key.bytes);
    free(meaning->value.bytes);
}

static bool texts_agree(const struct line_text *a, const struct line_text *b)
{
    return a->is_there == b->is_there &&
           fuzz_equal(a->bytes, a->size, b->bytes, b->size);
}

/* --- Against the oracle --- */

static void check_oracle(const struct meaning *meaning,
                         const struct line_verdict *verdict)
{
    bool is_record = verdict->kind == LINE_SET || verdict->kind == LINE_REMOVE;
    fuzz_check(meaning->kind == verdict->kind,
               "the decoder knows what kind of line it is");
    fuzz_check(texts_agree(&meaning->key, &verdict->key),
               "the decoder reads the key");
    if (is_record) {
        fuzz_check(meaning->batch == verdict->batch,
                   "the decoder reads the batch");
        fuzz_check(meaning->expires_ms == verdict->expires_ms,
                   "the decoder reads the expiry");
    }
    if (verdict->kind == LINE_SET) {
        fuzz_check(texts_agree(&meaning->value, &verdict->value),
                   "the decoder reads the value");
    }
}

/* --- The two ways of the decoder --- */

static void check_foreign(const char *line,
                          size_t size,
                          const struct line_verdict *verdict)
{
    struct kv_record record = {.type = KV_RECORD_DAMAGED,
                               .key = kv_text_plain("", 0),
                               .value = kv_text_plain("", 0),
                               .damage = KVSTORE_BAD_JSON};
    fuzz_check(decode_foreign(line, size, verdict->has_fitting_sum, &record) ==
                   KVSTORE_OK,
               "cJSON reads a canonical line");
    struct meaning meaning = meaning_of(&record);
    check_oracle(&meaning, verdict);
    release(&meaning);
    kv_record_release(&record);
}

/* The bytes may go on after the line; has_newline: they do. */
static void check_ahead(const char *bytes,
                        size_t size,
                        bool has_newline,
                        const struct line_verdict *verdict)
{
    struct kv_record record;
    size_t line_size =
        (size_t)(has_newline
                     ? (const char *)memchr(bytes, '\n', size) - bytes + 1
                     : 0);
    size_t length = kv_record_decode_ahead(bytes, size, &record);
    fuzz_check(length == (has_newline && verdict->is_canonical ? line_size : 0),
               "a look ahead takes sound canonical lines, and no others");
    if (length != 0) {
        struct meaning meaning = meaning_of(&record);
        check_oracle(&meaning, verdict);
        fuzz_check(record.owned == NULL, "a look ahead owns nothing");
        release(&meaning);
    }
}

/* --- Writing --- */

static char *encode(const struct meaning *meaning, size_t *size_out)
{
    struct kv_record_plan plan =
        meaning->kind == LINE_SET
            ? kv_record_plan_set(meaning->key.bytes,
                                 meaning->key.size,
                                 meaning->value.bytes,
                                 meaning->value.size)
            : kv_record_plan_remove(meaning->key.bytes, meaning->key.size);
    char *line = fuzz_allocate(plan.line_size);
    kv_record_encode(&plan, line);
    *size_out = plan.line_size;
    return line;
}

/* Checks that the line that kvstore would write means the same, and is what it
 * would write of that. */
static void check_encoding(const struct meaning *meaning)
{
    size_t size = 0;
    size_t size_again = 0;
    char *line = encode(meaning, &size);
    struct kv_record record;
    struct line_verdict verdict;
    fuzz_check(size > 0 && line[size - 1] == '\n' &&
                   memchr(line, '\n', size - 1) == NULL,
               "what is written is one line");
    line_oracle_read(line, size - 1, &verdict);
    fuzz_check(verdict.is_canonical && verdict.has_fitting_sum,
               "what is written is canonical, and its sum fits");
    fuzz_check(kv_record_decode_ahead(line, size, &record) == size,
               "what is written is read ahead");
    struct meaning again = meaning_of(&record);
    check_oracle(&again, &verdict);
    fuzz_check(again.kind == meaning->kind && again.batch == 0 &&
                   texts_agree(&again.key, &meaning->key) &&
                   texts_agree(&again.value, &meaning->value),
               "what is written means what was read");
    char *line_again = encode(&again, &size_again);
    fuzz_check(fuzz_equal(line, size, line_again, size_again),
               "what means the same is written in the same way");
    free(line_again);
    release(&again);
    line_oracle_release(&verdict);
    free(line);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_copy(data, size);
    const char *newline = size == 0 ? NULL : memchr(bytes, '\n', size);
    size_t line_size = newline == NULL ? size : (size_t)(newline - bytes);
    char *line = fuzz_copy(bytes, line_size);
    struct line_verdict verdict;
    struct kv_record record;
    line_oracle_read(line, line_size, &verdict);

    fuzz_check(kv_record_decode(line, line_size, &record) == KVSTORE_OK,
               "any line can be decoded");
    struct meaning meaning = meaning_of(&record);
    check_oracle(&meaning, &verdict);
    if (verdict.is_canonical) {
        check_foreign(line, line_size, &verdict);
    }
    check_ahead(bytes, size, newline != NULL, &verdict);
    check_ahead(line, line_size, false, &verdict);
    if (kv_record_is_record(&record)) {
        check_encoding(&meaning);
    }

    release(&meaning);
    kv_record_release(&record);
    line_oracle_release(&verdict);
    free(line);
    free(bytes);
    return 0;
}
