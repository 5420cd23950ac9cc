/* SPDX-License-Identifier: MIT */

/* The private copy of a line of foreign layout: judged, and made into what every
 * release of cJSON takes. Part of the module record. */

#ifndef KV_RECORD_COPY_H
#define KV_RECORD_COPY_H

#include <stdbool.h>
#include <stddef.h>

/* What has been changed in a copy. */
struct kv_record_copy {
    /* The number of the character that stands in for NULs; or how many there
     * are: no NUL was replaced. */
    unsigned stand_in;
};

/* Judges a line and prepares it in place. False: it is no record, whatever it
 * holds, and is without meaning now. */
bool kv_record_copy_prepare(char *line,
                            size_t size,
                            struct kv_record_copy *copy_out);

/* Gives a text of a prepared copy back what was replaced in it. Returns its
 * size, which is no larger than it was. */
size_t kv_record_copy_restore(const struct kv_record_copy *copy,
                              char *text,
                              size_t size);

#endif
