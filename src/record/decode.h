/* SPDX-License-Identifier: MIT */

/* Decodes a line: blank, canonical, or of foreign layout. */

#ifndef KV_RECORD_DECODE_H
#define KV_RECORD_DECODE_H

#include "kvstore.h"
#include "record/record.h"

#include <stddef.h>

/* Decodes the line [line, line + size), without its newline. Returns
 * KVSTORE_OK whatever the line holds, or KVSTORE_NO_MEMORY. On KVSTORE_OK the
 * caller releases record_out. Threads: any; foreign layouts take turns. */
kvstore_status kv_record_decode(const char *line,
                                size_t size,
                                struct kv_record *record_out);

/* Decodes the line that begins with these bytes, which may extend past it, if
 * it is a sound canonical record: the result is that of kv_record_decode().
 * Returns the line's length, including the newline; or 0 for every other line,
 * and then record_out has no meaning. There is nothing to release. */
size_t kv_record_decode_ahead(const char *bytes,
                              size_t size,
                              struct kv_record *record_out);

/* Decodes a damaged line of which only the head is at hand: reads just its key,
 * if it begins like a canonical line. There is nothing to release. */
void kv_record_tell_key(const char *head,
                        size_t size,
                        struct kv_record *record_out);

/* Frees what the record owns. */
void kv_record_release(struct kv_record *record);

#endif
