/* SPDX-License-Identifier: MIT */

/* How the bytes of a key or a value are written to a line of the log: the form
 * that the format prescribes for them, its size, and the writing. What is
 * written here is what record/text.h reads. Knows nothing of records. Allocates
 * nothing. */

#ifndef KV_RECORD_TEXT_PLAN_H
#define KV_RECORD_TEXT_PLAN_H

#include "record/text.h"

#include <stddef.h>

/* The form that the format prescribes for these bytes, and its size: a JSON
 * string if they are UTF-8 without NUL and the string has no more than
 * raw_size_max bytes; else base64. */
struct kv_text_plan {
    enum kv_text_form form; /* Plain, escaped or base64. */
    size_t raw_size;        /* Bytes between the quotes. */
};
struct kv_text_plan kv_text_plan(const void *bytes,
                                 size_t size,
                                 size_t raw_size_max);
struct kv_text_plan kv_text_plan_base64(size_t size);

/* Writes the bytes in the planned form, plan.raw_size bytes, and returns the
 * place after them. */
char *kv_text_encode(struct kv_text_plan plan,
                     const void *bytes,
                     size_t size,
                     char *out);

#endif
