/* SPDX-License-Identifier: MIT */

/* What import and batch read of an input. */

#include "input_records.h"

#include "cli/source.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

const struct input_format input_formats[INPUT_FORMAT_COUNT] = {
    {CLI_DATA_JSON, CLI_FORM_JSON, 'j', .has_expiry = true},
    {CLI_DATA_LOG, CLI_FORM_LOG, 'l', .has_expiry = true},
    {CLI_DATA_TSV, CLI_FORM_LINE, 't', .has_expiry = false},
    {CLI_DATA_JSON, CLI_FORM_NUL, 'n', .is_of_nul = true},
    {CLI_DATA_RESP, CLI_FORM_RESP, 'r', .has_expiry = true},
};

/* What is being served. */
static const char *next;
static size_t left;
static size_t most;

struct cli_options input_options(const struct input_format *format)
{
    struct cli_options options = {.data = format->data};

    options.given = format->is_of_nul ? CLI_OPT(NULL) : 0;
    return options;
}

void input_serve(const void *bytes, size_t size, size_t step)
{
    next = bytes;
    left = size;
    most = step;
}

ssize_t input_read(int fd, void *buffer, size_t size)
{
    size_t taken = size < most ? size : most;

    (void)fd;
    fuzz_check(size > 0, "a read asks for something");
    taken = taken < left ? taken : left;
    if (taken > 0) {
        memcpy(buffer, next, taken);
        next += taken;
        left -= taken;
    }
    return (ssize_t)taken;
}

static struct input_record *add(struct input_records *records)
{
    if (records->count == records->capacity) {
        records->capacity = records->capacity * 2 + 8;
        records->records = realloc(
            records->records, records->capacity * sizeof *records->records);
        if (records->records == NULL) {
            fuzz_fail("there is memory for records");
        }
    }
    struct input_record *record = &records->records[records->count++];
    *record = (struct input_record){.is_bad = false};
    return record;
}

/* Keeps a change, whose bytes are read here, and so must be there. */
static struct cli_change keep(const struct cli_change *change)
{
    struct cli_change kept = *change;

    kept.key = fuzz_copy(change->key, change->key_size);
    kept.value = change->value == NULL
                     ? NULL
                     : fuzz_copy(change->value, change->value_size);
    return kept;
}

void input_records_read(struct input_records *records_out,
                        const struct input_format *format,
                        const void *bytes,
                        size_t size,
                        size_t step)
{
    struct cli_options options = input_options(format);
    struct cli_source source;
    struct cli_change change;
    enum cli_source_result result = CLI_SOURCE_END;

    *records_out = (struct input_records){.count = 0};
    input_serve(bytes, size, step);
    fuzz_check(cli_source_open(&source, &options, 0, NULL),
               "standard input can be opened");
    while ((result = cli_source_next(&source, &change)) != CLI_SOURCE_END) {
        fuzz_check(result != CLI_SOURCE_FAILED, "any input can be read");
        struct input_record *record = add(records_out);
        record->number = source.number;
        record->is_bad = result == CLI_SOURCE_BAD;
        if (record->is_bad) {
            record->wrong = source.wrong;
        } else {
            record->change = keep(&change);
        }
        fuzz_check(records_out->count <= size, "a record takes some bytes");
    }
    fuzz_check(cli_source_next(&source, &change) == CLI_SOURCE_END,
               "an input that has ended stays at its end");
    cli_source_close(&source);
}

void input_records_release(struct input_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free((void *)records->records[i].change.key);
        free((void *)records->records[i].change.value);
    }
    free(records->records);
    *records = (struct input_records){.count = 0};
}
