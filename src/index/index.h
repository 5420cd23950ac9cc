/* SPDX-License-Identifier: MIT */

/* The index: the table kept in step with its log. Looks keys up by comparing
 * them with the lines that the index leads to, applies records in log order,
 * counts bytes, and grows. Bitcask has a keydir for it. */

#ifndef KV_INDEX_INDEX_H
#define KV_INDEX_INDEX_H

#include "index/file.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_index {
    struct kv_table table;
    struct kv_index_file memory;        /* Where the index stands, owned. */
    const struct kv_io_file *directory; /* Of its file; NULL: private memory.
                                           Borrowed. */
    bool is_live; /* Others see the index: what is applied is published at
                     once, and growing takes a switch. */
    /* The totals as this handle last knew or changed them. With a live index
     * they are true under the writers' lock, after kv_index_refresh(). */
    struct kv_table_totals totals;
};
#define KV_INDEX_NONE ((struct kv_index){.memory = {.file = {.fd = -1}}})

/* An empty index with room for key_count keys: in a new file of the directory,
 * not named yet and as open as the log, or, where that is NULL, in private
 * memory. */
kvstore_status kv_index_create(uint64_t key_count,
                               const struct kv_io_file *directory,
                               const struct kv_log *log,
                               struct kv_index *index_out);

/* The same, in the same kind of memory as another one, and with its seed. */
kvstore_status kv_index_create_like(const struct kv_index *model,
                                    uint64_t key_count,
                                    const struct kv_log *log,
                                    struct kv_index *index_out);

/* The same, one level up or more, with all that is in the index. */
kvstore_status kv_index_create_larger(const struct kv_index *index,
                                      const struct kv_log *log,
                                      struct kv_index *larger_out);

/* Has it used up its hash bits, so that a larger one would cost a read of the log
 * for each key, and there are many? Then one fold of the log is faster. */
bool kv_index_is_worn(const struct kv_index *index);

/* True if the index is far from full. If it has no place for a key all the same,
 * many keys share their hash, by somebody's choice who can read the seed: a larger
 * one would not help, one with another seed does. */
bool kv_index_is_crowded(const struct kv_index *index);

/* Makes an index that nobody else sees as small as its keys allow, if there is
 * room for another one. */
void kv_index_shrink(struct kv_index *index, const struct kv_log *log);

void kv_index_release(struct kv_index *index);

/* Loads the published totals of a live index. KVSTORE_CORRUPT, without an error
 * set, where they are damaged. */
kvstore_status kv_index_refresh(struct kv_index *index);

/* What the index knows of a key. */
struct kv_index_find {
    bool is_found; /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_record record; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    struct kv_table_probe place; /* Its slot, or the empty one it would get. */
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
kvstore_status kv_index_find(const struct kv_index *index,
                             const struct kv_log *log,
                             const void *key,
                             size_t key_size,
                             struct kv_index_find *find_out);
void kv_index_find_release(struct kv_index_find *find);

/* A key as bytes, and its hash. Most keys stand in their line as they are;
 * others are decoded into memory that the caller frees. */
struct kv_index_key {
    const void *bytes;
    size_t size;
    uint64_t hash;
    void *allocated;
};

/* The key of a command that has one. */
kvstore_status kv_index_get_key(const struct kv_table *table,
                                const struct kv_record *record,
                                struct kv_index_key *key_out);

/* A find that has begun: it knows the first place that may be the key's. */
struct kv_index_start {
    struct kv_index_key key; /* Borrowed. */
    bool has_entry;
    struct kv_table_probe place;
    struct kv_table_entry entry;
};

/* Begins as many finds as there are items, at most KV_INDEX_START_MAX: so few
 * that none of the memory that they are going to look at has left the
 * processor's cache again when they go on. Of the items nothing but the keys is
 * read; those that are none get no start. */
#define KV_INDEX_START_MAX 16u
void kv_index_start_finds(const struct kv_index *index,
                          const struct kv_log *log,
                          const kvstore_item *items,
                          size_t count,
                          struct kv_index_start *starts_out);

/* Goes on with a find in the same index, and is kv_index_find() from there. */
kvstore_status kv_index_go_on(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_index_start *start,
                              struct kv_index_find *find_out);

/* Empty slots that were found for records which are about to be written
 * together. All of them are committed in the same order, or none. */
#define KV_INDEX_RESERVE_MAX 64u
struct kv_index_reserve {
    unsigned count; /* 0 at first. */
    uint64_t slots[KV_INDEX_RESERVE_MAX];
};

/* Finds the place of a key whose record is about to be written, other than those
 * in the reserve, adds it to the reserve if it is an empty one, and makes room
 * for it; so that kv_index_commit() cannot fail. The caller releases older_out
 * on KVSTORE_OK. Costs a look at the key's older record; the copying of the
 * index where it has to grow; and one read of the log for each key where these
 * are few. KVSTORE_CONFLICT, without an error set: the index is live, and has to be
 * switched for a larger one. One that is not live takes one record at a time. */
kvstore_status kv_index_prepare(struct kv_index *index,
                                const struct kv_log *log,
                                const void *key,
                                size_t key_size,
                                struct kv_index_reserve *reserve,
                                struct kv_index_find *older_out);

/* What kv_index_prepare() would find once the record is committed that earlier
 * was found for: it is of this type, and has been appended here. To be released
 * like any other. */
void kv_index_find_after(const struct kv_index_find *earlier,
                         enum kv_record_type type,
                         struct kv_log_pointer pointer,
                         struct kv_index_find *older_out);

/* Applies the record that was prepared for. Nothing else was applied since. */
void kv_index_commit(struct kv_index *index,
                     const struct kv_index_find *older,
                     const struct kv_fold_item *item);

/* Applies a line that begins where the last one ended. On a failure nothing
 * has changed. KVSTORE_CONFLICT as above. */
kvstore_status kv_index_apply(struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_fold_item *item);

/* Lines that have been read, and wait for memory to be fetched. */
#define KV_INDEX_BATCH_SIZE 16u
#define KV_INDEX_QUEUED_KEY_SIZE_MAX 64u

struct kv_index_queued {
    struct kv_log_pointer pointer;
    enum kv_record_type type;
    size_t key_size;
    uint64_t hash;
    char key[KV_INDEX_QUEUED_KEY_SIZE_MAX];
};

struct kv_index_batch {
    unsigned count;
    struct kv_index_queued queued[KV_INDEX_BATCH_SIZE];
};

/* One batch is filled, while the slots for an older one are on their way, and the
 * lines that the slots for the oldest lead to. */
#define KV_INDEX_BATCH_COUNT 3u
struct kv_index_queue {
    struct kv_index *index;   /* Set by the caller, as is the log; */
    const struct kv_log *log; /* the rest is empty at first. */
    struct kv_log_pointer last;
    bool meets_older; /* Keys of the last batch that was applied had lines. */
    unsigned filling; /* Which batch is; the next one is the oldest. */
    struct kv_index_batch batches[KV_INDEX_BATCH_COUNT];
};
void kv_index_queue_init(struct kv_index_queue *queue,
                         struct kv_index *index,
                         const struct kv_log *log);

/* kv_index_apply() for many lines in a row: faster, and done with each of them
 * only after kv_index_queue_flush(). Between the two nothing else is
 * applied. After a failure the rest of the queue is not applied. */
kvstore_status kv_index_queue_apply(struct kv_index_queue *queue,
                                    const struct kv_fold_item *item);
kvstore_status kv_index_queue_flush(struct kv_index_queue *queue);

/* Applies a line whose key is in no slot yet, without reading the log: for an
 * index that is built from the newest records alone, with room for them. */
kvstore_status kv_index_apply_new(struct kv_index *index,
                                  const struct kv_fold_item *item);

/* The same for a record whose key has this hash, by the seed of the index. The
 * caller notes the last line himself. */
kvstore_status kv_index_apply_new_hash(struct kv_index *index,
                                       const struct kv_fold_item *item,
                                       uint64_t hash);

/* The last line that was applied is damaged, and so many bytes longer. */
void kv_index_lengthen_damage(struct kv_index *index, uint64_t bytes);

/* Where the index leads to for a record that the log holds. */
enum kv_index_lead {
    KV_INDEX_LEADS_HERE,   /* To this record: it is the newest. */
    KV_INDEX_LEADS_ON,     /* To a later one of its key. */
    KV_INDEX_LEADS_TO_ROT, /* Perhaps to a line that is damaged by now. */
    KV_INDEX_LEADS_ASTRAY  /* Nowhere, or to an older one: the index lies. */
};

/* Finds that out for a sound record of a key at an offset. Takes no lock, and
 * holds beside writers. */
kvstore_status kv_index_lead(const struct kv_index *index,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             uint64_t offset,
                             enum kv_index_lead *lead_out);

/* Can the item's key be had through the library? Records of other programs may
 * have an empty or a longer one: kept, counted as live, in no slot. */
bool kv_index_is_reachable(const struct kv_fold_item *item);

/* Notes which line was applied last, if kv_index_apply() was not given its
 * bytes. */
kvstore_status kv_index_note_last(struct kv_index *index,
                                  const struct kv_log *log,
                                  struct kv_log_pointer pointer);

/* Is the last line applied still what it was? */
kvstore_status kv_index_matches(const struct kv_index *index,
                                const struct kv_log *log,
                                bool *matches_out);

#endif
