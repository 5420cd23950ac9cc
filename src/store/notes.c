/* SPDX-License-Identifier: MIT */

/* Notes, thinned whenever they have doubled: they are sorted, and of each key
 * the last one is kept, or none if that says that the key is gone.
 *
 * Keys that differ in the bytes that their notes hold need no more than these.
 * Where several notes hold the same and their keys go on, the keys are read from
 * the log again, in its order, and the notes get other heads, past what these
 * keys have in common; and so on, until each group is told apart. Then they get
 * their first heads back. Keys can be chosen so that each level tells only one of
 * them from the others: what a few levels have not told apart is merged by whole
 * keys. */

#include "store/notes.h"

#include "log/line.h"
#include "os/bounds.h"
#include "os/system.h"
#include "store/note_merge.h"
#include "store/note_sort.h"

#include <assert.h>
#include <string.h>

#define NOTES_MIN ((size_t)1024)

/* How many notes ahead a line is fetched. */
#define FETCHED_AHEAD ((size_t)8)

/* Keys that are further apart in the log than this are read by system calls. */
#define SPARSE_BYTES ((uint64_t)16 << 10)

/* Notes whose heads are those of a deeper level. */
struct level {
    size_t from;
    size_t to;
    size_t next;      /* Groups before this are told apart. */
    uint64_t head[2]; /* What they have on the level above. */
};

#define LEVELS_MAX 12

struct kv_note_group {
    struct level levels[LEVELS_MAX];
    size_t level_count;
    char base[KV_NOTE_KEY_ROOM];
    char key[KV_NOTE_KEY_ROOM];
};

/* --- Levels --- */

/* Marks all notes of a sorted range that are not the last of their key. */
static void mark_stale(struct kv_note *notes, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (kv_note_is_alike(&notes[i], &notes[i + 1]) &&
            kv_note_covered(&notes[i]) != KV_NOTE_GOES_ON) {
            notes[i].place |= KV_NOTE_STALE;
        }
    }
}

/* Finds the next notes of a sorted range that are alike and not told apart. */
static bool find_alike(const struct kv_note *notes,
                       size_t from,
                       size_t to,
                       size_t *start_out,
                       size_t *end_out)
{
    size_t i = from;
    while (i + 1 < to && !(kv_note_covered(&notes[i]) == KV_NOTE_GOES_ON &&
                           kv_note_is_alike(&notes[i], &notes[i + 1]))) {
        i++;
    }
    if (i + 1 >= to) {
        return false;
    }
    size_t end = i + 2;
    while (end < to && kv_note_is_alike(&notes[i], &notes[end])) {
        end++;
    }
    *start_out = i;
    *end_out = end;
    return true;
}

/* Gives a range of notes that are alike the heads of the next level. */
static kvstore_status enter_level(struct kv_notes *notes,
                                  size_t from,
                                  size_t to)
{
    struct kv_note_group *group = notes->group;
    struct kv_note *range = notes->notes + from;
    struct kv_note_base base = {.bytes = group->base};
    assert(group->level_count < LEVELS_MAX);
    group->levels[group->level_count++] =
        (struct level){.from = from,
                       .to = to,
                       .next = from,
                       .head = {range->head[0], range->head[1]}};
    for (size_t i = 0; i < to - from; i++) {
        size_t size = 0;
        if (i + FETCHED_AHEAD < to - from) {
            kv_log_prefetch(notes->log,
                            kv_note_offset(&range[i + FETCHED_AHEAD]));
        }
        kvstore_status status = kv_note_read_key(
            notes->log, notes->end, &range[i], group->key, &size);
        if (status != KVSTORE_OK) {
            return status;
        }
        kv_note_put_key(&base, range, i, group->key, size);
    }
    kv_note_sort(range, to - from);
    mark_stale(range, to - from);
    return KVSTORE_OK;
}

/* Gives them back what they had. */
static void leave_level(struct kv_notes *notes)
{
    struct kv_note_group *group = notes->group;
    const struct level *level = &group->levels[--group->level_count];
    for (size_t i = level->from; i < level->to; i++) {
        struct kv_note *note = &notes->notes[i];
        note->head[0] = level->head[0];
        note->head[1] = level->head[1];
        note->place |= (uint64_t)KV_NOTE_GOES_ON << 59;
    }
}

/* Tells notes that are alike apart, without another level. */
static kvstore_status merge_alike(const struct kv_notes *notes,
                                  size_t from,
                                  size_t to)
{
    struct kv_note_merge merge = {
        .log = notes->log,
        .end = notes->end,
        .keys = {notes->group->base, notes->group->key}};
    return kv_note_merge(&merge, notes->notes + from, to - from);
}

/* Tells a group apart. */
static kvstore_status tell_apart(struct kv_notes *notes, size_t from, size_t to)
{
    struct kv_note_group *group = notes->group;
    kvstore_status status = enter_level(notes, from, to);
    while (status == KVSTORE_OK && group->level_count > 0) {
        struct level *level = &group->levels[group->level_count - 1];
        if (find_alike(notes->notes, level->next, level->to, &from, &to)) {
            level->next = to;
            status = group->level_count < LEVELS_MAX
                         ? enter_level(notes, from, to)
                         : merge_alike(notes, from, to);
        } else {
            leave_level(notes);
        }
    }
    return status;
}

static kvstore_status tell_all_apart(struct kv_notes *notes)
{
    kvstore_status status = KVSTORE_OK;
    size_t from = 0;
    size_t to = 0;
    for (size_t next = 0;
         status == KVSTORE_OK &&
         find_alike(notes->notes, next, notes->count, &from, &to);
         next = to) {
        size_t end = to;
        if (notes->group == NULL) {
            notes->group = kv_io_allocate(sizeof *notes->group);
        }
        if (notes->group == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        notes->group->level_count = 0;
        status = tell_apart(notes, from, to);
        to = end;
    }
    return status;
}

/* --- Thinning --- */

/* Mapping pays where many keys are read: a page that is touched for the first
 * time costs more than a few reads. */
static void map_if_dense(struct kv_notes *notes)
{
    if (notes->may_map && notes->count >= notes->end / SPARSE_BYTES) {
        kv_log_map(notes->log);
    }
}

static kvstore_status thin(struct kv_notes *notes)
{
    map_if_dense(notes);
    kv_note_sort(notes->notes, notes->count);
    mark_stale(notes->notes, notes->count);
    kvstore_status status = tell_all_apart(notes);
    if (status != KVSTORE_OK) {
        return status;
    }
    size_t count = 0;
    for (size_t i = 0; i < notes->count; i++) {
        const struct kv_note *note = &notes->notes[i];
        if ((note->place & KV_NOTE_STALE) == 0 &&
            (notes->keeps_gone || kv_note_kind(note) != KV_NOTE_GONE)) {
            notes->notes[count++] = *note;
        }
    }
    notes->count = count;
    return KVSTORE_OK;
}

static kvstore_status set_capacity(struct kv_notes *notes, size_t capacity)
{
    struct kv_note *moved =
        kv_io_reallocate(notes->notes, capacity * sizeof *moved);
    if (moved == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    notes->notes = moved;
    notes->capacity = capacity;
    return KVSTORE_OK;
}

/* Makes room for one more note. There are never more than twice as many as
 * keys, or as are expected. */
static kvstore_status make_room(struct kv_notes *notes)
{
    if (notes->count < notes->capacity) {
        return KVSTORE_OK;
    }
    if (notes->capacity == 0) {
        return set_capacity(notes, NOTES_MIN);
    }
    if (notes->capacity < notes->expected) {
        return set_capacity(notes, notes->capacity * 2);
    }
    kvstore_status status = thin(notes);
    return status == KVSTORE_OK && notes->count > notes->capacity / 2
               ? set_capacity(notes, notes->count * 2)
               : status;
}

/* The first key is the base. */
static kvstore_status make_base(struct kv_notes *notes, size_t key_size)
{
    if (notes->count > 0 || key_size <= notes->base_capacity) {
        return KVSTORE_OK;
    }
    char *bytes = kv_io_reallocate(notes->base.bytes, key_size);
    if (bytes == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    notes->base.bytes = bytes;
    notes->base_capacity = key_size;
    return KVSTORE_OK;
}

kvstore_status kv_notes_add(struct kv_notes *notes,
                            struct kv_note note,
                            const char *key,
                            size_t key_size)
{
    assert(key_size >= 1 && key_size <= KV_KEY_SIZE_MAX);
    kvstore_status status = make_room(notes);
    if (status == KVSTORE_OK) {
        status = make_base(notes, key_size);
    }
    if (status == KVSTORE_OK) {
        notes->notes[notes->count] = note;
        kv_note_put_key(
            &notes->base, notes->notes, notes->count, key, key_size);
        notes->count++;
    }
    return status;
}

kvstore_status kv_notes_settle(struct kv_notes *notes)
{
    kvstore_status status = thin(notes);
    kv_io_free(notes->group);
    notes->group = NULL;
    if (status == KVSTORE_OK && notes->count > 0) {
        status = set_capacity(notes, notes->count);
    }
    return status;
}

kvstore_status kv_notes_read_key(const struct kv_notes *notes,
                                 const struct kv_note *note,
                                 char *key_out,
                                 size_t *size_out)
{
    if (kv_note_make_key(&notes->base, note, key_out, size_out)) {
        return KVSTORE_OK;
    }
    kvstore_status status =
        kv_note_read_key(notes->log, notes->end, note, key_out, size_out);
    return status == KVSTORE_OK &&
                   !kv_note_has_key(&notes->base, note, key_out, *size_out)
               ? kv_note_fail_changed(kv_note_offset(note))
               : status;
}

void kv_notes_clear(struct kv_notes *notes)
{
    notes->count = 0;
}

void kv_notes_release(struct kv_notes *notes)
{
    kv_io_free(notes->notes);
    kv_io_free(notes->group);
    kv_io_free(notes->base.bytes);
    notes->notes = NULL;
    notes->group = NULL;
    notes->base.bytes = NULL;
    notes->count = 0;
    notes->capacity = 0;
    notes->base_capacity = 0;
}
