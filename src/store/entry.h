/* SPDX-License-Identifier: MIT */

/* A key and what is stored under it, read by a note of it. */

#ifndef KV_STORE_ENTRY_H
#define KV_STORE_ENTRY_H

#include "kvstore.h"
#include "store/note.h"
#include "store/selection.h"

#include <stdbool.h>
#include <stddef.h>

/* What an entry points at; zero at first, and freed by the caller. */
struct kv_entry_memory {
    char *bytes;
    size_t capacity;
};

/* Reads what a note of a selection leads to. On KVSTORE_OK the entry has a key,
 * and a status that may be a failure, which is then the last error.
 * KVSTORE_CORRUPT: the line does not even tell the key any more. */
kvstore_status kv_entry_read(const struct kv_selection *selection,
                             const struct kv_note *note,
                             bool is_key_only,
                             struct kv_entry_memory *memory,
                             kvstore_entry *entry_out);

#endif
