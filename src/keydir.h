/* SPDX-License-Identifier: MIT */

/* The keydir: the index kept in step with its log. Looks keys up by comparing
 * them with the lines that the index leads to, applies records in log order,
 * counts bytes, and grows. Bitcask's name for the same thing. */

#ifndef KV_KEYDIR_H
#define KV_KEYDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "fold.h"
#include "index.h"
#include "kvstore.h"
#include "log.h"

struct kv_keydir {
    struct kv_index index;
    void *region; /* The index's memory, owned. */
};
#define KV_KEYDIR_NONE ((struct kv_keydir){.region = NULL})

/* An empty keydir with room for key_count keys. */
kvstore_status kv_keydir_create(uint64_t key_count,
                                struct kv_keydir *keydir_out);
void kv_keydir_release(struct kv_keydir *keydir);

/* What the index knows of a key. */
struct kv_keydir_find {
    bool is_found;             /* It has a newest record, described by: */
    struct kv_log_pointer pointer;
    struct kv_command command; /* A Set or a Remove; borrows the line. */
    struct kv_log_line line;
    struct kv_index_probe place; /* Its slot, or the empty one it would get. */
    uint64_t flagged_offset; /* The newest line that tells the key and cannot
                                be served, or UINT64_MAX; */
    bool is_unknown;         /* because a newer version wrote it. */
    uint64_t doubt_offset;   /* Some slot that may be the key's leads to no
                                sound line here, or UINT64_MAX. */
};

/* The caller releases find_out on KVSTORE_OK. A key that is nowhere is found
 * neither way, and KVSTORE_OK. */
kvstore_status kv_keydir_find(const struct kv_keydir *keydir,
                              const struct kv_log *log,
                              const void *key,
                              size_t key_size,
                              struct kv_keydir_find *find_out);
void kv_keydir_find_release(struct kv_keydir_find *find);

/* Makes sure that applying a record of this key will find room. Costs nothing
 * as a rule; the copying of the index where it has to grow, and one read of the
 * log for each key every sixth time. A key that is in the index needs
 * no room. */
kvstore_status kv_keydir_make_room(struct kv_keydir *keydir,
                                   const struct kv_log *log,
                                   const void *key,
                                   size_t key_size);

/* Applies a line that begins where the last one ended. On a failure nothing
 * has changed. */
kvstore_status kv_keydir_apply(struct kv_keydir *keydir,
                               const struct kv_log *log,
                               const struct kv_fold_item *item);

/* Applies a line whose key is in no slot yet, without reading the log: for an
 * index that is built from the newest records alone, with room for them. */
kvstore_status kv_keydir_apply_new(struct kv_keydir *keydir,
                                   const struct kv_fold_item *item);

/* Where the newest record of the item's key stands: at item->pointer.offset if
 * it is the item. KVSTORE_CORRUPT if the key has no slot, or an older one: the
 * index does not belong to the log. */
kvstore_status kv_keydir_newest(const struct kv_keydir *keydir,
                                const struct kv_log *log,
                                const struct kv_fold_item *item,
                                uint64_t *offset_out);

/* Can the item's key be had through the library? Records of other programs may
 * have an empty or a longer one: kept, counted as live, in no slot. */
bool kv_keydir_is_reachable(const struct kv_fold_item *item);

/* Is the last line applied still what it was? */
kvstore_status kv_keydir_matches(const struct kv_keydir *keydir,
                                 const struct kv_log *log,
                                 bool *matches_out);

#endif
