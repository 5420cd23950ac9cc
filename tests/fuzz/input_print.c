/* SPDX-License-Identifier: MIT */

/* What the program prints of records: standard output is a file meanwhile. */

#include "input_print.h"

#include "cli/output.h"
#include "fuzz.h"

#include <stdio.h>
#include <unistd.h>

/* The file, which has no name; made by the first call. */
static int open_capture(void)
{
    static FILE *file;

    if (file == NULL) {
        file = tmpfile();
    }
    fuzz_check(file != NULL, "there is a file for what is printed");
    return fileno(file);
}

static void print_set(struct cli_format *format,
                      const struct cli_change *change,
                      bool *is_left_out_out)
{
    struct cli_entry entry = {.key = change->key,
                              .key_size = change->key_size,
                              .value = change->value,
                              .value_size = change->value_size};

    /* What a set keeps is not in the input. */
    entry.expires_ms = change->expires_ms > 0 ? change->expires_ms : 0;
    *is_left_out_out = cli_format_print(format, &entry) != CLI_DONE;
}

static char *read_back(int fd, size_t *size_out)
{
    off_t end = lseek(fd, 0, SEEK_END);
    size_t size = end < 0 ? 0 : (size_t)end;
    char *bytes = fuzz_allocate(size);

    fuzz_check(end >= 0 && pread(fd, bytes, size, 0) == (ssize_t)size,
               "what is printed can be read");
    *size_out = size;
    return bytes;
}

char *input_print_sets(const struct input_records *records,
                       enum cli_form form,
                       bool *is_left_out_out,
                       size_t *size_out)
{
    struct cli_format format = {.form = form};
    int capture = open_capture();
    int own = dup(STDOUT_FILENO);

    fuzz_check(own >= 0 && ftruncate(capture, 0) == 0 &&
                   lseek(capture, 0, SEEK_SET) == 0 && fflush(stdout) == 0 &&
                   dup2(capture, STDOUT_FILENO) == STDOUT_FILENO,
               "standard output can be another file");
    for (size_t i = 0; i < records->count; i++) {
        const struct input_record *record = &records->records[i];
        is_left_out_out[i] = true;
        if (!record->is_bad && record->change.kind == CLI_CHANGE_SET) {
            print_set(&format, &record->change, &is_left_out_out[i]);
        }
    }
    fuzz_check(fflush(stdout) == 0 &&
                   dup2(own, STDOUT_FILENO) == STDOUT_FILENO && close(own) == 0,
               "standard output can be what it was");
    cli_format_release(&format);
    return read_back(capture, size_out);
}
