/* SPDX-License-Identifier: MIT */

/* Holds what was read of an input to the verdicts of second readers. */

#include "input_verdicts.h"

#include "fuzz.h"
#include "input_oracle.h"
#include "input_resp.h"
#include "record/json.h"
#include <kvstore.h>

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

/* cJSON takes no number of more bytes. */
#define CJSON_NUMBER_SIZE_MAX 63u

/* The records that are still to be met. */
struct rest {
    const struct input_record *next;
    size_t count;
};

/* --- One record --- */

/* A set that has expired is none, or in a journal, a remove. */
static enum input_kind kind_of(const struct input_verdict *verdict)
{
    bool has_expired =
        (verdict->kind == INPUT_SET || verdict->kind == INPUT_EXPIRE) &&
        verdict->expires_ms > 0 && verdict->expires_ms <= kvstore_now_ms();

    if (has_expired) {
        return verdict->is_of_log ? INPUT_REMOVE : INPUT_NOTHING;
    }
    return verdict->kind;
}

static enum input_kind kind_read(const struct input_record *record)
{
    static const enum input_kind kinds[] = {
        [CLI_CHANGE_SET] = INPUT_SET,
        [CLI_CHANGE_REMOVE] = INPUT_REMOVE,
        [CLI_CHANGE_REQUIRE] = INPUT_UNSAID,
        [CLI_CHANGE_EXPIRE] = INPUT_EXPIRE,
    };

    return record == NULL   ? INPUT_NOTHING
           : record->is_bad ? INPUT_BAD
                            : kinds[record->change.kind];
}

static void check_meaning(const struct cli_change *change,
                          const struct input_verdict *verdict)
{
    fuzz_check(fuzz_equal(change->key,
                          change->key_size,
                          verdict->key.bytes,
                          verdict->key.size),
               "a record changes the key that it has");
    if (change->kind == CLI_CHANGE_SET) {
        fuzz_check(fuzz_equal(change->value,
                              change->value_size,
                              verdict->value.bytes,
                              verdict->value.size),
                   "a record sets the value that it has");
    }
    if (change->kind != CLI_CHANGE_REMOVE) {
        fuzz_check(change->expires_ms == verdict->expires_ms,
                   "a record sets the expiry that it has");
    }
}

/* The next record, if it stands at this place. */
static const struct input_record *take(struct rest *rest, uint64_t number)
{
    if (rest->count == 0 || rest->next->number != number) {
        return NULL;
    }
    rest->count--;
    return rest->next++;
}

/* Holds what was read at this place to the verdict on it. */
static const struct input_record *check_verdict(
    struct rest *rest,
    uint64_t number,
    const struct input_verdict *verdict)
{
    enum input_kind kind = kind_of(verdict);
    const struct input_record *record =
        kind == INPUT_NOTHING ? NULL : take(rest, number);

    if (kind == INPUT_UNSAID) {
        return record;
    }
    fuzz_check(kind_read(record) == kind, "a record is what it is");
    if (record != NULL && !record->is_bad) {
        check_meaning(&record->change, verdict);
    }
    return record;
}

/* --- JSON --- */

static void check_member(const cJSON *object,
                         const char *name,
                         const void *bytes,
                         size_t size)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsString(member)) {
        fuzz_check(
            fuzz_equal(
                member->valuestring, strlen(member->valuestring), bytes, size),
            "cJSON reads the same string");
    }
}

/* Checks with cJSON a line that was accepted, where it can read it. */
static void check_cjson(const char *line,
                        size_t size,
                        const struct cli_change *change)
{
    struct kv_json_facts facts;
    const char *end = NULL;

    while (size > 0 && (line[0] == ' ' || line[0] == '\t' || line[0] == '\r')) {
        line++;
        size--;
    }
    fuzz_check(kv_json_is_valid(line, size, &facts), "what is read is JSON");
    if (facts.has_nul || facts.longest_number_size > CJSON_NUMBER_SIZE_MAX) {
        return;
    }
    cJSON *object = cJSON_ParseWithLengthOpts(line, size, &end, 0);
    fuzz_check(cJSON_IsObject(object), "it is an object for cJSON, too");
    if (!change->is_replayed) {
        check_member(object, "key", change->key, change->key_size);
        check_member(object, "value", change->value, change->value_size);
    }
    cJSON_Delete(object);
}

/* --- Formats --- */

static void check_lines(const struct input_format *format,
                        struct rest *rest,
                        const char *bytes,
                        size_t size)
{
    const char *end = bytes + size;
    struct input_verdict verdict;
    uint64_t number = 1;

    if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
    }
    for (const char *line = bytes; line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t line_size = (size_t)((newline == NULL ? end : newline) - line);
        input_oracle_read(format->data, line, line_size, &verdict);
        const struct input_record *record =
            check_verdict(rest, number, &verdict);
        if (record != NULL && !record->is_bad && format->data != CLI_DATA_TSV) {
            check_cjson(line, line_size, &record->change);
        }
        input_oracle_release(&verdict);
        line += line_size + 1;
    }
}

/* Pairs of a key and a value, each with a NUL after it. */
static void check_pairs(struct rest *rest, char *bytes, size_t size)
{
    char *end = bytes + size;
    uint64_t number = 1;

    for (char *key = bytes; key < end; number++) {
        struct input_verdict verdict = {.kind = INPUT_BAD};
        char *key_end = memchr(key, '\0', (size_t)(end - key));
        char *value = key_end == NULL ? end : key_end + 1;
        char *value_end = memchr(value, '\0', (size_t)(end - value));
        if (value_end != NULL && key_end > key) {
            verdict.kind = INPUT_SET;
            verdict.key.bytes = (unsigned char *)key;
            verdict.key.size = (size_t)(key_end - key);
            verdict.value.bytes = (unsigned char *)value;
            verdict.value.size = (size_t)(value_end - value);
        }
        (void)check_verdict(rest, number, &verdict);
        key = value_end == NULL ? end : value_end + 1;
    }
}

static void check_commands(struct rest *rest, char *bytes, size_t size)
{
    struct input_resp resp = {.at = bytes, .end = bytes + size, .line = 1};
    struct input_verdict verdict;

    while (input_resp_next(&resp, &verdict)) {
        (void)check_verdict(rest, resp.command_line, &verdict);
    }
}

void input_verdicts_check(const struct input_format *format,
                          const struct input_records *records,
                          const char *bytes,
                          size_t size)
{
    struct rest rest = {.next = records->records, .count = records->count};
    char *copy = fuzz_copy(bytes, size);

    if (format->is_of_nul) {
        check_pairs(&rest, copy, size);
    } else if (format->data == CLI_DATA_RESP) {
        check_commands(&rest, copy, size);
    } else {
        check_lines(format, &rest, copy, size);
    }
    fuzz_check(rest.count == 0, "nothing is read that is not there");
    free(copy);
}
