/* SPDX-License-Identifier: MIT */

/* The keydir: the index kept in step with its log. Looks keys up by comparing
 * them with the lines that the index leads to, applies records in log order,
 * counts bytes, and grows. Bitcask's name for the same thing. */

#ifndef KV_KEYDIR_H
#define KV_KEYDIR_H

#include "index/index.h"
#include "index/index_file.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "record/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_keydir {
    struct kv_index index;
    struct kv_index_file memory;        /* Where the index stands, owned. */
    const struct kv_io_file *directory; /* Of its file; NULL: private memory.
                                           Borrowed. */
    bool is_live; /* Others see the index: what is applied is published at
                     once, and growing takes a switch. */
    /* The totals as this handle last knew or changed them. With a live index
     * they are true under the writers' lock, after kv_keydir_refresh(). */
    struct kv_index_totals totals;
};
#define KV_KEYDIR_NONE ((struct kv_keydir){.memory = {.file = {.fd = -1}}})

/* An empty keydir with room for key_count keys: in a new file of the directory,
 * not named yet and as open as the log, or, where that is NULL, in private
 * memory. */
kvstore_status kv_keydir_create(uint64_t key_count,
                                const struct kv_io_file *directory,
                                const struct kv_log *log,
                                struct kv_keydir *keydir_out);

/* The same, in the same kind of memory as another one, and with its seed. */
kvstore_status kv_keydir_create_like(const struct kv_keydir *model,
                                     uint64_t key_count,
                                     const struct kv_log *log,
                                     struct kv_keydir *keydir_out);

/* The same, one level up or more, with all that is in the keydir. */
kvstore_status kv_keydir_create_larger(const struct kv_keydir *keydir,
                                       const struct kv_log *log,
                                       struct kv_keydir *larger_out);

/* Has it used up its hash bits, so that a larger one would cost a read of the log
 * for each key, and there are many? Then one fold of the log is faster. */
bool kv_keydir_is_worn(const struct kv_keydir *keydir);

/* True if the index is far from full. If it has no place for a key all the same,
 * many keys share their hash, by somebody's choice who can read the seed: a larger
 * one would not help, one with another seed does. */
bool kv_keydir_is_crowded(const struct kv_keydir *keydir);

/* Makes a keydir that nobody else sees as small as its keys allow, if there is
 * room for another one. */
void kv_keydir_shrink(struct kv_keydir *keydir, const struct kv_log *log);

void kv_keydir_release(struct kv_keydir *keydir);

/* Loads the published totals of a live index. KVSTORE_CORRUPT, without an error
 * set, where they are damaged. */
kvstore_status kv_keydir_refresh(struct kv_keydir *keydir);

/* What the index knows of a key. */
struct kv_keydir_find {
    bool is_found; /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_command command; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    struct kv_index_probe place; /* Its slot, or the empty one it would get. */
    uint64_t flagged_offset; /* The newest line that tells the key and cannot
                                be served, or UINT64_MAX; */
    bool is_unknown;         /* because a newer version wrote it. */
    uint64_t doubt_offset; /* Some slot that may be the key's leads here, which
                                is not what it was made for: no sound line, not
                                the start of one, or one of a key that the slot
                                cannot be of; or UINT64_MAX. */
};

/* The caller releases find_out on KVSTORE_OK. A key that is nowhere is found
 * neither way, and KVSTORE_OK. */
kvstore_status kv_keydir_find(const struct kv_keydir *keydir,
                              const struct kv_log *log,
                              const void *key,
                              size_t key_size,
                              struct kv_keydir_find *find_out);
void kv_keydir_find_release(struct kv_keydir_find *find);

/* A key as bytes, and its hash. Most keys stand in their line as they are;
 * others are decoded into memory that the caller frees. */
struct kv_keydir_key {
    const void *bytes;
    size_t size;
    uint64_t hash;
    void *allocated;
};

/* The key of a command that has one. */
kvstore_status kv_keydir_get_key(const struct kv_index *index,
                                 const struct kv_command *command,
                                 struct kv_keydir_key *key_out);

/* A find that has begun: it knows the first place that may be the key's. */
struct kv_keydir_start {
    struct kv_keydir_key key; /* Borrowed. */
    bool has_entry;
    struct kv_index_probe place;
    struct kv_index_entry entry;
};

/* Begins as many finds as there are items, at most KV_KEYDIR_START_MAX: so few
 * that none of the memory that they are going to look at has left the
 * processor's cache again when they go on. Of the items nothing but the keys is
 * read; those that are none get no start. */
#define KV_KEYDIR_START_MAX 16u
void kv_keydir_start_finds(const struct kv_keydir *keydir,
                           const struct kv_log *log,
                           const kvstore_item *items,
                           size_t count,
                           struct kv_keydir_start *starts_out);

/* Goes on with a find in the same keydir, and is kv_keydir_find() from there. */
kvstore_status kv_keydir_go_on(const struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_keydir_start *start,
                               struct kv_keydir_find *find_out);

/* Empty slots that were found for records which are about to be written
 * together. All of them are committed in the same order, or none. */
#define KV_KEYDIR_RESERVE_MAX 64u
struct kv_keydir_reserve {
    unsigned count; /* 0 at first. */
    uint64_t slots[KV_KEYDIR_RESERVE_MAX];
};

/* Finds the place of a key whose record is about to be written, other than those
 * in the reserve, adds it to the reserve if it is an empty one, and makes room
 * for it; so that kv_keydir_commit() cannot fail. The caller releases older_out
 * on KVSTORE_OK. Costs a look at the key's older record; the copying of the
 * index where it has to grow; and one read of the log for each key where these
 * are few. KVSTORE_CONFLICT, without an error set: the index is live, and has to be
 * switched for a larger one. One that is not live takes one record at a time. */
kvstore_status kv_keydir_prepare(struct kv_keydir *keydir,
                                 const struct kv_log *log,
                                 const void *key,
                                 size_t key_size,
                                 struct kv_keydir_reserve *reserve,
                                 struct kv_keydir_find *older_out);

/* What kv_keydir_prepare() would find once the record is committed that earlier
 * was found for: it is of this type, and has been appended here. To be released
 * like any other. */
void kv_keydir_find_after(const struct kv_keydir_find *earlier,
                          enum kv_command_type type,
                          struct kv_log_pointer pointer,
                          struct kv_keydir_find *older_out);

/* Applies the record that was prepared for. Nothing else was applied since. */
void kv_keydir_commit(struct kv_keydir *keydir,
                      const struct kv_keydir_find *older,
                      const struct kv_fold_item *item);

/* Applies a line that begins where the last one ended. On a failure nothing
 * has changed. KVSTORE_CONFLICT as above. */
kvstore_status kv_keydir_apply(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item);

/* Lines that have been read, and wait for memory to be fetched. */
#define KV_KEYDIR_BATCH_SIZE 16u
#define KV_KEYDIR_QUEUED_KEY_SIZE_MAX 64u

struct kv_keydir_queued {
    struct kv_log_pointer pointer;
    enum kv_command_type type;
    size_t key_size;
    uint64_t hash;
    char key[KV_KEYDIR_QUEUED_KEY_SIZE_MAX];
};

struct kv_keydir_batch {
    unsigned count;
    struct kv_keydir_queued queued[KV_KEYDIR_BATCH_SIZE];
};

/* One batch is filled, while the slots for an older one are on their way, and the
 * lines that the slots for the oldest lead to. */
#define KV_KEYDIR_BATCH_COUNT 3u
struct kv_keydir_queue {
    struct kv_keydir *keydir; /* Set by the caller, as is the log; */
    const struct kv_log *log; /* the rest is empty at first. */
    struct kv_log_pointer last;
    bool meets_older; /* Keys of the last batch that was applied had lines. */
    unsigned filling; /* Which batch is; the next one is the oldest. */
    struct kv_keydir_batch batches[KV_KEYDIR_BATCH_COUNT];
};
void kv_keydir_queue_init(struct kv_keydir_queue *queue,
                          struct kv_keydir *keydir,
                          const struct kv_log *log);

/* kv_keydir_apply() for many lines in a row: faster, and done with each of them
 * only after kv_keydir_queue_flush(). Between the two nothing else is
 * applied. After a failure the rest of the queue is not applied. */
kvstore_status kv_keydir_queue_apply(struct kv_keydir_queue *queue,
                                     const struct kv_fold_item *item);
kvstore_status kv_keydir_queue_flush(struct kv_keydir_queue *queue);

/* Applies a line whose key is in no slot yet, without reading the log: for an
 * index that is built from the newest records alone, with room for them. */
kvstore_status kv_keydir_apply_new(struct kv_keydir *keydir,
                                   const struct kv_fold_item *item);

/* The same for a record whose key has this hash, by the seed of the keydir. The
 * caller notes the last line himself. */
kvstore_status kv_keydir_apply_new_hash(struct kv_keydir *keydir,
                                        const struct kv_fold_item *item,
                                        uint64_t hash);

/* The last line that was applied is damaged, and so many bytes longer. */
void kv_keydir_lengthen_damage(struct kv_keydir *keydir, uint64_t bytes);

/* Where the index leads to for a record that the log holds. */
enum kv_keydir_lead {
    KV_KEYDIR_LEADS_HERE,   /* To this record: it is the newest. */
    KV_KEYDIR_LEADS_ON,     /* To a later one of its key. */
    KV_KEYDIR_LEADS_TO_ROT, /* Perhaps to a line that is damaged by now. */
    KV_KEYDIR_LEADS_ASTRAY  /* Nowhere, or to an older one: the index lies. */
};

/* Finds that out for a sound record of a key at an offset. Takes no lock, and
 * holds beside writers. */
kvstore_status kv_keydir_lead(const struct kv_keydir *keydir,
                              const struct kv_log *log,
                              const struct kv_keydir_key *key,
                              uint64_t offset,
                              enum kv_keydir_lead *lead_out);

/* Can the item's key be had through the library? Records of other programs may
 * have an empty or a longer one: kept, counted as live, in no slot. */
bool kv_keydir_is_reachable(const struct kv_fold_item *item);

/* Notes which line was applied last, if kv_keydir_apply() was not given its
 * bytes. */
kvstore_status kv_keydir_note_last(struct kv_keydir *keydir,
                                   const struct kv_log *log,
                                   struct kv_log_pointer pointer);

/* Is the last line applied still what it was? */
kvstore_status kv_keydir_matches(const struct kv_keydir *keydir,
                                 const struct kv_log *log,
                                 bool *matches_out);

#endif
