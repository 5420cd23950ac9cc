/* SPDX-License-Identifier: MIT */

/* Sorts notes whose heads do not tell their keys apart, by the keys themselves:
 * each key is read from the log about as often as the count of notes can be
 * halved. */

#ifndef KV_STORE_NOTE_MERGE_H
#define KV_STORE_NOTE_MERGE_H

#include "kvstore.h"
#include "log/log.h"
#include "store/note.h"

#include <stddef.h>
#include <stdint.h>

struct kv_note_merge {
    const struct kv_log *log;
    uint64_t end;  /* Of the log. */
    char *keys[2]; /* Room for KV_NOTE_KEY_ROOM bytes each. */
};

/* The notes are in the order of the log. Afterwards they are in that of their
 * keys, and those of one key in that of the log; all but its last are marked as
 * stale. Their heads stay. */
kvstore_status kv_note_merge(const struct kv_note_merge *merge,
                             struct kv_note *notes,
                             size_t count);

#endif
