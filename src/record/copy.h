/* SPDX-License-Identifier: MIT */

/* The private copy of a line of foreign layout: checked, and made into what
 * every release of cJSON can parse. Part of the module record. */

#ifndef KV_RECORD_COPY_H
#define KV_RECORD_COPY_H

#include <stdbool.h>
#include <stddef.h>

/* What was changed in a copy. */
struct kv_record_copy {
    /* Which character stands in for NULs, by number; no NUL was replaced if it
     * is the count of such characters. */
    unsigned stand_in;
};

/* Checks a line and prepares it in place. False: it cannot be a record, and its
 * bytes now have no meaning. */
bool kv_record_copy_prepare(char *line,
                            size_t size,
                            struct kv_record_copy *copy_out);

/* Puts back what was replaced in a text of a prepared copy. Returns the text's
 * size, which is no larger than before. */
size_t kv_record_copy_restore(const struct kv_record_copy *copy,
                              char *text,
                              size_t size);

#endif
