/* SPDX-License-Identifier: MIT */

/* The text of a log, made line by line. Lays lines out on its own, so that it
 * can judge the library's encoder. */

#ifndef LOG_TEXT_H
#define LOG_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct log_text {
    char *bytes; /* Owned. */
    size_t size;
    size_t capacity;
};
#define LOG_TEXT_EMPTY ((struct log_text){.bytes = NULL})

void log_text_release(struct log_text *text);

/* All of these return the offset of what they add. Keys and values are ASCII
 * that needs no escape. */

/* Canonical lines with their sum and newline. */
size_t log_text_set(struct log_text *text, const char *key, const char *value);
size_t log_text_remove(struct log_text *text, const char *key);

/* The same with a batch member. */
size_t log_text_batch_set(struct log_text *text,
                          const char *key,
                          const char *value,
                          unsigned batch);
size_t log_text_batch_remove(struct log_text *text,
                             const char *key,
                             unsigned batch);

/* A record of a newer version, with its sum. */
size_t log_text_unknown(struct log_text *text, const char *key);

/* A Set that expires. */
size_t log_text_expiring_set(struct log_text *text,
                             const char *key,
                             const char *value,
                             int64_t expires_ms);

/* A Set whose sum does not fit. It is closed, and its key can be read. */
size_t log_text_damaged_set(struct log_text *text,
                            const char *key,
                            const char *value);

/* Any bytes, as they are. */
size_t log_text_add(struct log_text *text, const char *string);
size_t log_text_add_bytes(struct log_text *text,
                          const char *bytes,
                          size_t size);
size_t log_text_fill(struct log_text *text, char byte, size_t count);

/* Adds a sum and the closing of a line that begins at an offset and reaches up
 * to and including the comma before its sum. */
void log_text_close(struct log_text *text, size_t offset);

/* Takes bytes off the end. */
void log_text_chop(struct log_text *text, size_t size);

#endif
