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

/* kv_index_apply() of an item whose key is known; it is not looked at if the
 * item has no place in the index. */
kvstore_status kv_index_apply_key(struct kv_index *index,
                                  const struct kv_log *log,
                                  const struct kv_fold_item *item,
                                  const struct kv_index_key *key,
                                  bool *lacks_room_out);

/* Empty slots that were found for records which are about to be written
 * together. All of them are committed in the same order, or none. */
#define KV_INDEX_RESERVE_MAX 64u
struct kv_index_reserve {
    unsigned count;  /* 0 at first. */
    bool lacks_room; /* Out: there is none for the key that was prepared last,
                        since the index is in use and cannot grow in place. */
    uint64_t slots[KV_INDEX_RESERVE_MAX];
};

/* Finds the place of a key whose record is about to be written, other than those
 * in the reserve, adds it to the reserve if it is an empty one, and makes room
 * for it; so that kv_index_commit() cannot fail. The caller releases older_out
 * on KVSTORE_OK. Costs a look at the key's older record; the copying of the
 * index where it has to grow; and one read of the log for each key where these
 * are few. On KVSTORE_OK, see reserve->lacks_room: then nothing was found, and a
 * larger index has to take the place of this one. One that is not in use takes
 * one record at a time. */
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
 * has changed; nor where the index is in use, and has no room for the line. */
kvstore_status kv_index_apply(struct kv_index *index,
                              const struct kv_log *log,
                              const struct kv_fold_item *item,
                              bool *lacks_room_out);

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

#endif
