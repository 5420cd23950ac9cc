/* SPDX-License-Identifier: MIT */

/* A note: what is kept in memory of one line of a log that says something about
 * a key. It orders keys by some of their bytes, and leads to the line for the
 * rest. Knows nothing of which lines are noted.
 * Implemented in note.c and note_sort.c. */

#ifndef KV_STORE_NOTE_H
#define KV_STORE_NOTE_H

#include "kvstore.h"
#include "log/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a line says of its key. */
enum kv_note_kind {
    KV_NOTE_SET,
    KV_NOTE_EXPIRING_SET,
    KV_NOTE_GONE,    /* It is removed, or has expired. */
    KV_NOTE_DAMAGED, /* The line cannot be served, as a get says; */
    KV_NOTE_NEWER    /* because a newer version wrote it. */
};

/* Where the key is in the line. */
enum kv_note_form {
    KV_NOTE_PLAIN_SET,    /* As it is, where a canonical Set has it, */
    KV_NOTE_PLAIN_REMOVE, /* or a Remove. */
    KV_NOTE_OTHER,        /* The line must be decoded. */
    KV_NOTE_CUT           /* The line is too long to be held: its head must. */
};

/* Each note begins its key after as many bytes as all of some notes have in
 * common: their base. Compared as three numbers, the notes of different keys are
 * in the keys' order, unless both keys go on after equal heads; those of one key
 * are in the log's order. */
struct kv_note {
    uint64_t head[2]; /* The next bytes of the key, first ones highest. */
    uint64_t place;   /* From the highest bit: 5, how many bytes of the key are
                         in the head, up to its end, or KV_NOTE_GOES_ON; 40, the
                         line's offset; 13 unused; 1, is_stale; 2, the form; 3,
                         the kind. */
};

#define KV_NOTE_HEAD_SIZE ((size_t)16)
#define KV_NOTE_GOES_ON 31u
#define KV_NOTE_STALE ((uint64_t)1 << 5)

static inline uint64_t kv_note_offset(const struct kv_note *note)
{
    return note->place >> 19 & ((UINT64_C(1) << 40) - 1);
}

static inline enum kv_note_kind kv_note_kind(const struct kv_note *note)
{
    return (enum kv_note_kind)(note->place & 7);
}

static inline enum kv_note_form kv_note_form(const struct kv_note *note)
{
    return (enum kv_note_form)(note->place >> 3 & 3);
}

static inline unsigned kv_note_covered(const struct kv_note *note)
{
    return (unsigned)(note->place >> 59);
}

/* A note without a head. */
static inline struct kv_note kv_note_of(uint64_t offset,
                                        enum kv_note_form form,
                                        enum kv_note_kind kind)
{
    return (struct kv_note){.place = offset << 19 | (uint64_t)form << 3 |
                                     (uint64_t)kind};
}

/* What the keys of some notes begin with. */
struct kv_note_base {
    char *bytes; /* With room for the first key. */
    size_t size;
};

/* Gives the note after count others its head. The base may become shorter for
 * it: then the others get other heads. For the first note the base becomes its
 * key. */
void kv_note_put_key(struct kv_note_base *base,
                     struct kv_note *notes,
                     size_t count,
                     const char *key,
                     size_t size);

/* Makes a note's key, if the base and the head have all of it. */
bool kv_note_make_key(const struct kv_note_base *base,
                      const struct kv_note *note,
                      char *key_out,
                      size_t *size_out);

/* True if a key has the bytes that its note says it has. */
bool kv_note_has_key(const struct kv_note_base *base,
                     const struct kv_note *note,
                     const char *key,
                     size_t size);

/* True if two notes do not differ in what is known of their keys. */
static inline bool kv_note_is_alike(const struct kv_note *a,
                                    const struct kv_note *b)
{
    return a->head[0] == b->head[0] && a->head[1] == b->head[1] &&
           kv_note_covered(a) == kv_note_covered(b);
}

/* Reads a note's key again, from a log that is whole up to an end, into
 * KV_NOTE_KEY_ROOM bytes. KVSTORE_CORRUPT: the log was changed. */
#define KV_NOTE_KEY_ROOM ((size_t)KVSTORE_KEY_SIZE_MAX + 1)
kvstore_status kv_note_read_key(const struct kv_log *log,
                                uint64_t end,
                                const struct kv_note *note,
                                char *key_out,
                                size_t *size_out);

/* Sets the error for a log that was changed under a running program, and returns
 * its status. */
kvstore_status kv_note_fail_changed(uint64_t offset);

#endif
