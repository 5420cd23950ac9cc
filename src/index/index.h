/* SPDX-License-Identifier: MIT */

/* The index: the table kept in step with its log. Looks keys up by comparing
 * them with the lines that the index leads to, applies records in log order,
 * counts bytes, and grows. Bitcask calls it the keydir. */

#ifndef KV_INDEX_INDEX_H
#define KV_INDEX_INDEX_H

#include "index/file.h"
#include "index/table.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/line.h"
#include "log/log.h"
#include "log/pointer.h"
#include "os/file.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_index {
    struct kv_table table;
    struct kv_index_file memory;        /* What holds the index; owned. */
    const struct kv_io_file *directory; /* Of its file; NULL: private memory.
                                           Borrowed. */
    bool is_in_use; /* Readers may be at it: what is applied is published at
                       once, and to grow, a larger one takes its place. */
    bool is_shared; /* Others map it, or may: they sign it, and learn from its
                       state word what becomes of it. Then it is in use. */
    /* The totals as this handle last knew or changed them: for the thread that
     * applies, alone. Those of a shared index are true under the writers' lock,
     * after kv_index_refresh(). */
    struct kv_table_totals totals;
};
#define KV_INDEX_NONE ((struct kv_index){.memory = {.file = {.fd = -1}}})

/* Creates an empty index with room for key_count keys: in a new file of the
 * directory, not named yet and open to the same users as the log, or, if that
 * is NULL, in private memory. */
kvstore_status kv_index_create(uint64_t key_count,
                               const struct kv_io_file *directory,
                               const struct kv_log *log,
                               struct kv_index *index_out);

/* The same, in the same kind of memory as another one, and with its seed. */
kvstore_status kv_index_create_like(const struct kv_index *model,
                                    uint64_t key_count,
                                    const struct kv_log *log,
                                    struct kv_index *index_out);

/* True if the index is far from full. If it still has no place for a key, many
 * keys share their hash, chosen by someone who can read the seed: a larger
 * index would not help, one with another seed does. */
bool kv_index_is_crowded(const struct kv_index *index);

void kv_index_release(struct kv_index *index);

/* Publishes the totals of an index that this process has built for itself: from
 * now on readers may be at it. */
void kv_index_begin_use(struct kv_index *index);

/* Loads the published totals of an index in use. Returns false if they are
 * damaged. */
bool kv_index_refresh(struct kv_index *index);

/* What the index knows of a key. */
struct kv_index_find {
    bool is_found; /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_record record; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    struct kv_table_probe place; /* Its slot, or the empty one it would get. */
    bool doubts_flag;        /* A slot with the flag is in doubt: what is found
                                does not count. */
    uint64_t flagged_offset; /* The newest line that names the key and cannot be
                                served, or UINT64_MAX; */
    bool is_unknown;         /* because a newer version wrote it. */
    uint64_t doubt_offset; /* A slot that may be the key's leads here, which is
                              not what it was made for: not a sound line, not
                              the start of one, or a line of a key that the slot
                              cannot be of; or UINT64_MAX. */
};

/* Finds a key. If it is nowhere, that is KVSTORE_OK, too: then neither is_found
 * nor flagged_offset is set. The caller releases find_out on KVSTORE_OK. */
kvstore_status kv_index_find(const struct kv_index *index,
                             const struct kv_log *log,
                             const void *key,
                             size_t key_size,
                             struct kv_index_find *find_out);
void kv_index_find_release(struct kv_index_find *find);

/* A key as bytes, and its hash. Most keys are in their line as they are; others
 * are decoded into memory that the caller frees. */
struct kv_index_key {
    const void *bytes;
    size_t size;
    uint64_t hash;
    void *allocated;
};

/* Sets key_out to the key of a record that has one. */
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

/* Goes on with a find in the same index, like kv_index_find() from there. */
kvstore_status kv_index_go_on(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_index_start *start,
                              struct kv_index_find *find_out);

/* True if the item's key can be reached through the library. Records of other
 * programs may have an empty key or one that is too long: these are kept,
 * counted as live, and in no slot. */
bool kv_index_is_reachable(const struct kv_fold_item *item);

/* Notes which line was applied last, if kv_index_apply() was not given its
 * bytes. */
kvstore_status kv_index_note_last(struct kv_index *index,
                                  const struct kv_log *log,
                                  struct kv_log_pointer pointer);

/* Finds out whether the last line applied is still what it was. */
kvstore_status kv_index_matches(const struct kv_index *index,
                                const struct kv_log *log,
                                bool *matches_out);

struct kv_index_key kv_index_plain_key(const struct kv_table *table,
                                       const void *bytes,
                                       size_t size);

/* True if the item has a place in the index. */
bool kv_index_is_indexed(const struct kv_fold_item *item);

/* True for damage and for what a newer version wrote, which name a key without
 * giving it a record: such a line is found beside the key's record, by a
 * flag. */
bool kv_index_is_flagged(const struct kv_fold_item *item);

/* Creates an empty index of this level and seed, else like
 * kv_index_create(). */
kvstore_status kv_index_create_at(unsigned level,
                                  uint64_t seed,
                                  const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  struct kv_index *index_out);

void kv_index_find_init(struct kv_index_find *find);

/* Reads and decodes the line that a slot leads to. Of a line with the flag,
 * only the head if that names the key: the whole line may be larger than the
 * memory. The caller releases both, also after a failure. */
kvstore_status kv_index_read_entry(const struct kv_log *log,
                                   const struct kv_table_entry *entry,
                                   uint64_t end,
                                   struct kv_log_line *line_out,
                                   struct kv_record *record_out);

/* Reads the lines that the slots of a hash lead to, those with the flag or
 * those without, until one is about the key. find->is_found says whether there
 * is one, find->place where the walk ended. */
kvstore_status kv_index_walk(const struct kv_table *table,
                             const struct kv_log *log,
                             const struct kv_index_key *key,
                             bool is_flagged,
                             struct kv_index_find *find);

#endif
