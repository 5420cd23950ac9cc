/* SPDX-License-Identifier: MIT */

/* What a line of the log means, by docs/format.md alone: a second reader,
 * written plainly and strictly, that shares nothing with src/. The fuzz targets
 * hold the library to it. */

#ifndef LINE_ORACLE_H
#define LINE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_kind {
    LINE_BLANK,
    LINE_SET,
    LINE_REMOVE,
    LINE_UNKNOWN, /* Of a newer version. */
    LINE_DAMAGED
};

struct line_text {
    bool is_there;
    unsigned char *bytes; /* Owned. */
    size_t size;
};

struct line_verdict {
    enum line_kind kind;
    bool has_fitting_sum; /* The line ends in one, whatever precedes it. */
    bool is_canonical;    /* A record, laid out as kvstore writes it. */
    struct line_text key; /* Even one read from a damaged line. */
    struct line_text value;
    uint32_t batch;     /* 0: none. */
    int64_t expires_ms; /* 0: never. */
};

/* Reads a line without its LF. The caller releases the verdict. */
void line_oracle_read(const void *line,
                      size_t size,
                      struct line_verdict *verdict_out);
void line_oracle_release(struct line_verdict *verdict);

/* Writes the eight digits of the sum over some bytes. */
void line_oracle_sum(const void *bytes, size_t size, char digits_out[8]);

#endif
