/* SPDX-License-Identifier: MIT */

/* Whether some bytes can be the beginning of a canonical line: of one that was
 * not written to its end. */

#ifndef KV_RECORD_PREFIX_H
#define KV_RECORD_PREFIX_H

#include <stdbool.h>
#include <stddef.h>

struct kv_record_prefix {
    int form;       /* What is read now, or was read last. */
    bool is_named;  /* It is read; else what comes next shows what it is. */
    bool is_quoted; /* After a backslash. */
    unsigned names; /* Which may come next, and how much of these */
    size_t at;      /* was read. */
};

/* Before the first byte. */
struct kv_record_prefix kv_record_prefix_begin(void);

/* Takes the next byte of a line, the LF not included. Returns false if no
 * canonical line goes on like this. */
bool kv_record_prefix_take(struct kv_record_prefix *prefix, char byte);

#endif
