/* SPDX-License-Identifier: MIT */

/* What import and batch read of an input: every change and every bad record, one
 * after the other. The input is served from memory, in steps of any size, as a
 * pipe may serve it. */

#ifndef INPUT_RECORDS_H
#define INPUT_RECORDS_H

#include "cli/change.h"
#include "cli/format.h"
#include "cli/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A format of records, and the letter that chooses it. */
struct input_format {
    enum cli_data data;
    enum cli_form form; /* In which it is printed. */
    char letter;
    bool is_of_nul;
    bool has_expiry; /* It says when a value expires. */
};

#define INPUT_FORMAT_COUNT 5u
extern const struct input_format input_formats[INPUT_FORMAT_COUNT];

struct input_record {
    bool is_bad;
    const char *wrong;        /* Why it is. */
    uint64_t number;          /* Where it stands. */
    struct cli_change change; /* Owns its bytes. */
};

struct input_records {
    struct input_record *records; /* Owned. */
    size_t count;
    size_t capacity;
};

/* The options of a command that reads this format. */
struct cli_options input_options(const struct input_format *format);

/* Serves these bytes from now on, at most so many with each read. Borrowed. */
void input_serve(const void *bytes, size_t size, size_t step);

/* What src/cli/lines.c calls for read() in these programs. */
ssize_t input_read(int fd, void *buffer, size_t size);

/* Reads all of the input. The caller releases the records. */
void input_records_read(struct input_records *records_out,
                        const struct input_format *format,
                        const void *bytes,
                        size_t size,
                        size_t step);
void input_records_release(struct input_records *records);

#endif
