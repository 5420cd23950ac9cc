/* SPDX-License-Identifier: MIT */

/* The index: the table kept in step with its log. Finds keys, and compares them
 * with the lines that the index leads to. Bitcask calls it the keydir. */

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
#include "os/system.h"
#include "record/record.h"
#include "record/sum.h"

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
    bool is_in_doubt; /* A slot or a count cannot be relied on. */
};
#define KV_INDEX_NONE ((struct kv_index){.memory = {.file = {.fd = -1}}})

/* Creates an empty index with room for key_count keys: in a new file of the
 * directory, not named yet and open to the same users as the log, or, if that
 * is NULL, in private memory. */
kvstore_status kv_index_create(uint64_t key_count,
                               const struct kv_io_file *directory,
                               const struct kv_log *log,
                               struct kv_index *index_out);

/* The same with the secret of another one, and in the same kind of memory, unless
 * that is a file and another one is refused. */
kvstore_status kv_index_create_like(const struct kv_index *model,
                                    uint64_t key_count,
                                    const struct kv_log *log,
                                    struct kv_index *index_out);

void kv_index_release(struct kv_index *index);

/* Publishes the totals of an index that this process has built for itself: from
 * now on readers may be at it. */
void kv_index_begin_use(struct kv_index *index);

/* Stores the totals of an index that is whole, before it is used. */
void kv_index_store_totals(struct kv_index *index);

/* Loads the totals of an index in use, under the writers' lock. Returns false if
 * they cannot be relied on. */
bool kv_index_refresh(struct kv_index *index);

/* What the index knows of a key. */
struct kv_index_find {
    bool is_found; /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_record record; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    bool doubts_damage;     /* The slot that tells of damage is in doubt: what
                                is found does not count. */
    uint64_t damage_offset; /* The newest line that names the key and cannot be
                                served, or UINT64_MAX; */
    bool is_unknown;        /* because a newer version wrote it. */
    uint64_t doubt_offset;  /* The key's slot leads here, which is not what it
                                was made for: not a sound line of this length,
                                not the start of one, or the line of another
                                key; or UINT64_MAX. */
};

/* Finds a key. If it is nowhere, that is KVSTORE_OK, too: then neither is_found
 * nor damage_offset is set. The caller releases find_out on KVSTORE_OK. */
kvstore_status kv_index_find(const struct kv_index *index,
                             const struct kv_log *log,
                             const void *key,
                             size_t key_size,
                             struct kv_index_find *find_out);
void kv_index_find_release(struct kv_index_find *find);

/* The short way of kv_index_find(), for the most frequent cases. */
enum kv_index_peek {
    KV_INDEX_PEEK_ABSENT, /* The key has no slot. */
    KV_INDEX_PEEK_VALUE,  /* It has a value, plain text in the log's memory. */
    KV_INDEX_PEEK_UNSURE  /* kv_index_find() knows. */
};
enum kv_index_peek kv_index_peek(const struct kv_index *index,
                                 const struct kv_log *log,
                                 const void *key,
                                 size_t key_size,
                                 struct kv_text *value_out);

/* A key as bytes, and its hash. Most keys are in their line as they are; others
 * are decoded into memory that the caller frees. */
struct kv_index_key {
    const void *bytes;
    size_t size;
    struct kv_table_hash hash;
    void *allocated;
};

/* Sets key_out to the key of a record that has one. */
kvstore_status kv_index_get_key(const struct kv_table *table,
                                const struct kv_record *record,
                                struct kv_index_key *key_out);

/* A find that has begun: it knows where the key's slot leads. */
struct kv_index_start {
    struct kv_index_key key; /* Borrowed. */
    bool has_entry;
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

/* Returns what is noted of the last line applied, to know it again: the digits
 * of its sum, if that fits; else a hash of all of it. */
uint64_t kv_index_line_sum(const char *bytes, size_t size);

/* The same of an item that the fold has judged. */
static inline uint64_t kv_index_item_sum(const struct kv_fold_item *item)
{
    uint64_t digits = 0;
    bool is_sound =
        item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE;
    return is_sound && kv_record_get_sum_digits(
                           item->bytes, item->bytes + item->size, &digits)
               ? digits
               : kv_index_line_sum(item->bytes, item->size);
}

/* Finds out whether the last line applied is still what it was. */
kvstore_status kv_index_matches(const struct kv_index *index,
                                const struct kv_log *log,
                                bool *matches_out);

struct kv_index_key kv_index_plain_key(const struct kv_table *table,
                                       const void *bytes,
                                       size_t size);

/* True if the item has a place in the index. */
bool kv_index_is_indexed(const struct kv_fold_item *item);

/* What the slot of an item that has one leads to. */
enum kv_table_kind kv_index_kind(const struct kv_fold_item *item);

/* Sets slot_out to the slot of an item that has one. Most keys are in their line
 * as they are. */
static inline kvstore_status kv_index_make_slot(const struct kv_table *table,
                                                const struct kv_fold_item *item,
                                                struct kv_table_slot *slot_out)
{
    const struct kv_text *text = &item->record->key;
    struct kv_index_key key = {.allocated = NULL};
    if (text->form == KV_TEXT_PLAIN) {
        key.hash = kv_table_hash(table, text->raw, text->size);
    } else {
        kvstore_status status = kv_index_get_key(table, item->record, &key);
        if (status != KVSTORE_OK) {
            return status;
        }
        kv_io_free(key.allocated);
    }
    const struct kv_table_entry entry = {.pointer = item->pointer,
                                         .kind = kv_index_kind(item)};
    *slot_out = kv_table_slot_of(key.hash, &entry);
    return KVSTORE_OK;
}

#endif
