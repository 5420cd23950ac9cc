/* SPDX-License-Identifier: MIT */

/* Takes any bytes as what import and batch read: whatever is accepted is within
 * the bounds of the store, is the same in whatever pieces the input comes, and
 * is the same again after the program has printed it in any format. Second
 * readers agree on what each record means. The input's first byte is the letter
 * of a format; a capital has the input imported, too. With 'a' it is arguments.
 */

#include "cli/output.h"
#include "fuzz.h"
#include "input_arguments.h"
#include "input_import.h"
#include "input_print.h"
#include "input_records.h"
#include "input_verdicts.h"
#include "store_scene.h"
#include <kvstore.h>

#include <stdlib.h>
#include <string.h>

/* A small letter has it, and its capital does not. */
#define SMALL_BIT 0x20u

/* --- Bounds --- */

static void check_change(const struct cli_change *change)
{
    bool has_value = change->kind == CLI_CHANGE_SET ||
                     (change->kind == CLI_CHANGE_REQUIRE &&
                      change->condition == KVSTORE_IF_VALUE);
    bool can_keep = change->kind == CLI_CHANGE_SET;

    fuzz_check(change->kind != CLI_CHANGE_NOTHING,
               "a change changes something");
    fuzz_check(change->key_size >= 1 &&
                   change->key_size <= KVSTORE_KEY_SIZE_MAX,
               "a key is within bounds");
    fuzz_check(change->value_size <= KVSTORE_VALUE_SIZE_MAX,
               "a value is within bounds");
    /* A set that has expired is a remove, and has its value still. */
    fuzz_check(change->kind == CLI_CHANGE_REMOVE ||
                   (change->value != NULL) == has_value,
               "there is a value exactly if the change needs one");
    if (change->kind == CLI_CHANGE_REQUIRE) {
        fuzz_check(change->condition != KVSTORE_IF_ANY,
                   "a condition is one of three");
    } else if (change->kind != CLI_CHANGE_REMOVE) {
        fuzz_check(
            change->expires_ms == KVSTORE_EXPIRES_NEVER ||
                (change->expires_ms == KVSTORE_EXPIRES_KEEP && can_keep) ||
                (change->expires_ms > kvstore_now_ms() &&
                 change->expires_ms <= KVSTORE_EXPIRES_MAX),
            "an expiry is within bounds");
    }
}

static void check_bounds(const struct input_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        const struct input_record *record = &records->records[i];
        fuzz_check(i == 0 || record->number >= record[-1].number,
                   "records come in their order");
        if (record->is_bad) {
            fuzz_check(record->wrong != NULL, "it is said what is wrong");
        } else {
            check_change(&record->change);
        }
    }
}

/* --- In pieces --- */

static bool changes_agree(const struct cli_change *a,
                          const struct cli_change *b)
{
    return a->kind == b->kind && a->expires_ms == b->expires_ms &&
           a->condition == b->condition && a->is_replayed == b->is_replayed &&
           fuzz_equal(a->key, a->key_size, b->key, b->key_size) &&
           fuzz_equal(a->value, a->value_size, b->value, b->value_size);
}

/* Reads the input again, with this many bytes at a time. */
static void check_pieces(const struct input_records *records,
                         const struct input_format *format,
                         const char *bytes,
                         size_t size,
                         size_t step)
{
    struct input_records again;

    input_records_read(&again, format, bytes, size, step);
    fuzz_check(records->count == again.count,
               "as many records come in any pieces");
    for (size_t i = 0; i < records->count; i++) {
        const struct input_record *one = &records->records[i];
        const struct input_record *other = &again.records[i];
        fuzz_check(one->is_bad == other->is_bad && one->wrong == other->wrong &&
                       one->number == other->number &&
                       changes_agree(&one->change, &other->change),
                   "the same records come in any pieces");
    }
    input_records_release(&again);
}

/* --- Printed and read again --- */

static bool has_nul(const void *bytes, size_t size)
{
    return size > 0 && memchr(bytes, '\0', size) != NULL;
}

static void check_printed(const struct cli_change *change,
                          const struct input_record *again,
                          bool has_expiry)
{
    int64_t expires_ms = has_expiry && change->expires_ms > 0
                             ? change->expires_ms
                             : KVSTORE_EXPIRES_NEVER;

    fuzz_check(!again->is_bad && again->change.kind == CLI_CHANGE_SET,
               "what is printed is read as a set");
    fuzz_check(fuzz_equal(change->key,
                          change->key_size,
                          again->change.key,
                          again->change.key_size) &&
                   fuzz_equal(change->value,
                              change->value_size,
                              again->change.value,
                              again->change.value_size) &&
                   again->change.expires_ms == expires_ms,
               "what is printed means what was read");
}

/* Prints the sets in one format, and reads what comes of that. */
static void check_round_trip(const struct input_records *records,
                             const struct input_format *format)
{
    bool *is_left_out = fuzz_allocate(records->count * sizeof *is_left_out);
    struct input_records again;
    size_t size = 0;
    size_t next = 0;
    char *text = input_print_sets(records, format->form, is_left_out, &size);

    input_records_read(&again, format, text, size, size + 1);
    for (size_t i = 0; i < records->count; i++) {
        const struct cli_change *change = &records->records[i].change;
        if (records->records[i].is_bad || change->kind != CLI_CHANGE_SET) {
            continue;
        }
        bool is_told =
            !format->is_of_nul || (!has_nul(change->key, change->key_size) &&
                                   !has_nul(change->value, change->value_size));
        fuzz_check(is_left_out[i] == !is_told,
                   "only what has a NUL is left out, and only with -0");
        if (is_told) {
            fuzz_check(next < again.count, "each set is read again");
            check_printed(change, &again.records[next++], format->has_expiry);
        }
    }
    fuzz_check(next == again.count, "nothing else is read again");
    input_records_release(&again);
    free(text);
    free(is_left_out);
}

/* --- All of it --- */

static void check_records(const struct input_format *format,
                          bool has_import,
                          const char *bytes,
                          size_t size)
{
    struct input_records records;

    input_records_read(&records, format, bytes, size, size + 1);
    check_bounds(&records);
    check_pieces(&records, format, bytes, size, 1);
    check_pieces(&records, format, bytes, size, 7);
    for (size_t i = 0; i < INPUT_FORMAT_COUNT; i++) {
        check_round_trip(&records, &input_formats[i]);
    }
    input_verdicts_check(format, &records, bytes, size);
    if (has_import) {
        input_import_check(format, &records, bytes, size);
    }
    input_records_release(&records);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    store_scene_begin();
    return 0;
}

static const struct input_format *format_of(char letter)
{
    for (size_t i = 0; i < INPUT_FORMAT_COUNT; i++) {
        if (input_formats[i].letter == letter) {
            return &input_formats[i];
        }
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *bytes = fuzz_copy(data + 1, size - 1);
    char letter = (char)(data[0] | SMALL_BIT);
    const struct input_format *format = format_of(letter);
    fuzz_note("reading");
    if (letter == 'a') {
        input_arguments_check(bytes, size - 1);
    } else if (format != NULL) {
        check_records(format, (data[0] & SMALL_BIT) == 0, bytes, size - 1);
    }
    free(bytes);
    return 0;
}
