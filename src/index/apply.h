/* SPDX-License-Identifier: MIT */

/* Applies records to an index in log order, and counts bytes. */

#ifndef KV_INDEX_APPLY_H
#define KV_INDEX_APPLY_H

#include "index/index.h"
#include "kvstore.h"
#include "log/fold.h"
#include "log/log.h"
#include "log/pointer.h"
#include "record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* kv_index_apply() for an item whose key is known; the key is not read if the
 * item has no place in the index. */
kvstore_status kv_index_apply_key(struct kv_index *index,
                                  const struct kv_log *log,
                                  const struct kv_fold_item *item,
                                  const struct kv_index_key *key,
                                  bool *lacks_room_out);

/* Empty slots found for records that are about to be written together. All of
 * them are committed in the same order, or none. */
#define KV_INDEX_RESERVE_MAX 64u
struct kv_index_reserve {
    unsigned count;  /* 0 at first. */
    bool lacks_room; /* Out: there is none for the key prepared last, since the
                        index is in use and cannot grow in place. */
    uint64_t slots[KV_INDEX_RESERVE_MAX];
};

/* Finds the place of a key whose record is about to be written, apart from
 * those in the reserve; adds it to the reserve if it is an empty one, and makes
 * room for it, so that kv_index_commit() cannot fail. The caller releases
 * older_out on KVSTORE_OK. Costs a read of the key's older record; a copy of
 * the index if it has to grow; and one read of the log for each key if these
 * are few. On KVSTORE_OK, check reserve->lacks_room: if it is set, nothing was
 * found, and a larger index has to take the place of this one. An index that is
 * not in use takes one record at a time. */
kvstore_status kv_index_prepare(struct kv_index *index,
                                const struct kv_log *log,
                                const void *key,
                                size_t key_size,
                                struct kv_index_reserve *reserve,
                                struct kv_index_find *older_out);

/* Sets older_out to what kv_index_prepare() would find once the record that
 * earlier was found for is committed: it is of this type, and has been appended
 * here. The caller releases it like any other. */
void kv_index_find_after(const struct kv_index_find *earlier,
                         enum kv_record_type type,
                         struct kv_log_pointer pointer,
                         struct kv_index_find *older_out);

/* Applies the record that was prepared for. Nothing else may have been applied
 * since. */
void kv_index_commit(struct kv_index *index,
                     const struct kv_index_find *older,
                     const struct kv_fold_item *item);

/* Applies a line that begins where the last one ended. After a failure nothing
 * has changed; nor if the index is in use and has no room for the line. */
kvstore_status kv_index_apply(struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_fold_item *item,
                              bool *lacks_room_out);

/* Applies a line whose key is in no slot yet, without reading the log: for an
 * index that is built from the newest records alone, with room for them. */
kvstore_status kv_index_apply_new(struct kv_index *index,
                                  const struct kv_fold_item *item);

/* The same for a record whose key has this hash, by the seed of the index. The
 * caller notes the last line itself. */
kvstore_status kv_index_apply_new_hash(struct kv_index *index,
                                       const struct kv_fold_item *item,
                                       uint64_t hash);

/* Notes that the last line applied, which is damaged, is so many bytes
 * longer. */
void kv_index_lengthen_damage(struct kv_index *index, uint64_t bytes);

#endif
