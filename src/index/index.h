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
    struct kv_index_file memory;        /* Where the index stands, owned. */
    const struct kv_io_file *directory; /* Of its file; NULL: private memory.
                                           Borrowed. */
    bool is_in_use; /* Readers may be at it: what is applied is published at
                       once, and to grow, a larger one takes its place. */
    bool is_shared; /* Others map it, or may: they sign it, and learn by its
                       state word what becomes of it. Then it is in use. */
    /* The totals as this handle last knew or changed them: for the thread that
     * applies, alone. Those of a shared index are true under the writers' lock,
     * after kv_index_refresh(). */
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

/* True if the index is far from full. If it has no place for a key all the same,
 * many keys share their hash, by somebody's choice who can read the seed: a larger
 * one would not help, one with another seed does. */
bool kv_index_is_crowded(const struct kv_index *index);

void kv_index_release(struct kv_index *index);

/* From now on readers may be at an index that this process has built for itself:
 * publishes its totals. */
void kv_index_begin_use(struct kv_index *index);

/* Loads the published totals of an index in use. False where they are
 * damaged. */
bool kv_index_refresh(struct kv_index *index);

/* What the index knows of a key. */
struct kv_index_find {
    bool is_found; /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_record record; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    struct kv_table_probe place; /* Its slot, or the empty one it would get. */
    bool doubts_flag;        /* So does a slot with the flag: what is found does
                                not count. */
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

/* Goes on with a find in the same index, and is kv_index_find() from there. */
kvstore_status kv_index_go_on(const struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_index_start *start,
                              struct kv_index_find *find_out);

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

struct kv_index_key kv_index_plain_key(const struct kv_table *table,
                                       const void *bytes,
                                       size_t size);

/* Has the item a place in the index? */
bool kv_index_is_indexed(const struct kv_fold_item *item);

/* Damage, and what a newer version wrote, tell a key without giving it a
 * record: such a line is found beside the key's record, by a flag. */
bool kv_index_is_flagged(const struct kv_fold_item *item);

/* An empty index in the same kind of memory as another would be. */
kvstore_status kv_index_create_at(unsigned level,
                                  uint64_t seed,
                                  const struct kv_io_file *directory,
                                  const struct kv_log *log,
                                  struct kv_index *index_out);

void kv_index_find_init(struct kv_index_find *find);

/* Reads and decodes the line that a slot leads to. Of a line with the flag, only
 * the head if that tells the key: the whole may be larger than the memory. The
 * caller releases both, also after a failure. */
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
