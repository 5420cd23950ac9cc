/* SPDX-License-Identifier: MIT */

/* Notes of all records that matter for an answer, and of each key the newest:
 * in memory that depends on how many keys there are, not on how many records or
 * how long they are. */

#ifndef KV_STORE_NOTES_H
#define KV_STORE_NOTES_H

#include "kvstore.h"
#include "log/log.h"
#include "store/note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_notes {
    /* Set by the caller; the log is borrowed, and read again for keys. */
    struct kv_log *log;
    uint64_t end;      /* Whole up to here. */
    bool may_map;      /* It may be mapped to read many keys. */
    bool keeps_gone;   /* Notes of keys that are gone stay, too. */
    uint64_t expected; /* So many keys are likely; 0: not known. */

    /* The rest is zero at first. */
    struct kv_note *notes;
    size_t count;
    size_t capacity;
    struct kv_note_base base;
    size_t base_capacity;
    struct kv_note_group *group; /* For keys that must be read again. */
};

/* Adds a note, without a head yet, of a key of 1 to KVSTORE_KEY_SIZE_MAX bytes.
 * Notes come in the order of the log. */
kvstore_status kv_notes_add(struct kv_notes *notes,
                            struct kv_note note,
                            const char *key,
                            size_t key_size);

/* After the last one: leaves the newest of each key, in the order of the
 * keys. */
kvstore_status kv_notes_settle(struct kv_notes *notes);

/* The key of a note after that: 1 to KVSTORE_KEY_SIZE_MAX bytes, in room for
 * KV_NOTE_KEY_ROOM. KVSTORE_CORRUPT: the log was changed. */
kvstore_status kv_notes_read_key(const struct kv_notes *notes,
                                 const struct kv_note *note,
                                 char *key_out,
                                 size_t *size_out);

/* Forgets all notes; and frees what they take. */
void kv_notes_clear(struct kv_notes *notes);
void kv_notes_release(struct kv_notes *notes);

#endif
