/* SPDX-License-Identifier: MIT */

/* Lines of foreign layout: what kv_record_decode() does with a line that is
 * neither blank nor canonical. Part of the module record. */

#ifndef KV_RECORD_FOREIGN_H
#define KV_RECORD_FOREIGN_H

#include "kvstore.h"
#include "record/record.h"

#include <stddef.h>

/* Decodes a line with cJSON into a record that the caller has set to DAMAGED
 * and empty. The line is a private copy, which is changed in the process.
 * Returns KVSTORE_OK whatever it holds, with the texts pointing into owned; or
 * KVSTORE_NO_MEMORY, with nothing owned and a record that has no meaning.
 * Threads: any; they take turns. */
kvstore_status kv_record_decode_foreign(char *line,
                                        size_t size,
                                        struct kv_record *record);

#endif
