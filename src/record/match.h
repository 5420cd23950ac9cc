/* SPDX-License-Identifier: MIT */

/* The short way to a value, for a line of which an index says that it is a
 * key's Set. Part of the module record. */

#ifndef KV_RECORD_MATCH_H
#define KV_RECORD_MATCH_H

#include "record/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if the line [line, line + size), without its newline, is a canonical Set
 * of this key, with a sum that fits, no other member, and neither key nor value
 * with an escape. Then value_out is what kv_record_decode() would find. False
 * decides nothing. What a sum covers is not checked otherwise: it was when the
 * line was written or applied. */
bool kv_record_match_set(const char *line,
                         size_t size,
                         const void *key,
                         size_t key_size,
                         struct kv_text *value_out);

/* The same for a line that has its number in a batch as well, and nothing else:
 * it is set. */
bool kv_record_match_batch_set(const char *line,
                               size_t size,
                               const void *key,
                               size_t key_size,
                               struct kv_text *value_out,
                               uint32_t *batch_out);

#endif
