/* SPDX-License-Identifier: MIT */

/* What a line is, by its bytes: where it ends among NULs, and what is known of
 * one that is seen in pieces. Knows bytes and newlines, not where they come
 * from. */

#ifndef KV_LOG_MEASURE_H
#define KV_LOG_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns how many NULs a run of bytes begins with. */
size_t kv_measure_count_nuls(const char *bytes, size_t size);

/* Finds a byte that begins a line, since a NUL is before it: what the NULs have
 * replaced may have ended there. JSON holds no NUL, so no line that can be
 * decoded is taken apart. Returns how many bytes are before it; the size if
 * there is none. */
size_t kv_measure_find_hidden_start(const char *bytes, size_t size);

/* What is known of a line by the bytes up to an offset. */
struct kv_measure {
    uint64_t offset;
    uint64_t hidden_start; /* 0: none. */
    bool has_newline;      /* At offset. */
    bool has_nul;
    char last;
    char first_dark; /* The first byte that is not white space; or NUL. */
    char last_dark;
};

/* Measures the bytes that follow, up to a newline, which is not counted. */
void kv_measure_bytes(struct kv_measure *measure,
                      const char *bytes,
                      size_t size);

#endif
