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

/* Decodes the line that begins with these bytes, of which more may follow, if it
 * is a sound canonical record: then kv_record_decode() would say the
 * same of it. Returns the line's length, its newline counted; or 0 for every
 * other line, and record_out is without meaning. Nothing is to be released. */
size_t kv_record_decode_ahead(const char *bytes,
                              size_t size,
                              struct kv_record *record_out);

/* All that is to be had of a damaged line of which only the head is at hand: its
 * key, if it begins like a canonical one. Nothing is to be released. */
void kv_record_tell_key(const char *head,
                        size_t size,
                        struct kv_record *record_out);

/* Frees what the record owns. */
void kv_record_release(struct kv_record *record);

#endif
