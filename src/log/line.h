/* SPDX-License-Identifier: MIT */

/* A single line of a log, read at its offset. */

#ifndef KV_LOG_LINE_H
#define KV_LOG_LINE_H

#include "kvstore.h"
#include "log/log.h"
#include "log/pointer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line read from the log. Short ones need no allocation. */
struct kv_log_line {
    const char *bytes; /* Without the newline. */
    size_t size;       /* Bytes of that. */
    uint64_t length;   /* In the log: the newline counted, even if the last line
                          of the file still lacks it. */
    char *allocated;
    char inline_bytes[512];
};

/* Reads the line at an offset of a log whose lines are whole up to an end, the
 * newline of the last one counted. An offset at or past that, or the end of the
 * file, gives an empty line of length 0. A line longer than KV_LINE_SIZE_MAX is
 * cut there. The caller releases the line, which is valid only while the log is
 * open. */
kvstore_status kv_log_read_line(const struct kv_log *log,
                                uint64_t offset,
                                uint64_t end,
                                struct kv_log_line *line_out);
void kv_log_line_release(struct kv_log_line *line);

/* Reads a line of a length that is known, of which no NUL is a part. Not its
 * last byte, its newline, which the last line of the file may lack.
 * is_there_out: false if no line can begin at the offset, or the file ends
 * before that byte; then there is nothing to release. */
kvstore_status kv_log_read_record(const struct kv_log *log,
                                  struct kv_log_pointer pointer,
                                  struct kv_log_line *line_out,
                                  bool *is_there_out);

/* Sets length_out to that of the line at an offset of a log whose lines are
 * whole up to an end, its newline counted; 0: there is none that can be a
 * record. */
kvstore_status kv_log_measure_line(const struct kv_log *log,
                                   uint64_t offset,
                                   uint64_t end,
                                   uint64_t *length_out);

/* True if a line can begin at an offset: the byte before ends one, or is the
 * last of a run of NULs. */
kvstore_status kv_log_begins_line(const struct kv_log *log,
                                  uint64_t offset,
                                  bool *begins_line_out);

/* Asks the processor to fetch the first bytes of the line at an offset, which
 * may be anything. Does nothing if the log is not in memory there. */
void kv_log_prefetch(const struct kv_log *log, uint64_t offset);

#endif
