/* SPDX-License-Identifier: MIT */

/* Room on a full disk. What a killed compactor has left is as large as the store,
 * and is taken away by the next compaction. But where it fills the disk, no set
 * works that would make one due. And an index that is to be replaced takes the
 * room that the new one needs. */

#include "store/room.h"

#include "index/file.h"
#include "index/trust.h"
#include "log/successor.h"
#include "os/error.h"
#include "store/pair.h"

#include <errno.h>

/* An index of another boot that no process holds is nobody's, and may be what a
 * new one has no room beside. */
static bool remove_dead_index(const struct kvstore *store)
{
    struct kv_pair pair;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    bool has_more = false;
    kv_error_hold();
    kvstore_status status = kv_pair_open(store, &pair, &trust, &has_more);
    bool is_dead =
        status == KVSTORE_OK && trust == KV_INDEX_FILE_UNCHECKED &&
        store->boot_id != 0 &&
        !kv_index_file_is_of_boot(&pair.index.table, store->boot_id) &&
        !kv_index_file_is_held(&pair.index.memory);
    if (is_dead) {
        kv_index_file_unname(&store->directory);
    }
    kv_pair_close(&pair);
    kv_error_release();
    return is_dead;
}

bool kv_store_makes_room(const struct kvstore *store)
{
    int reason = kvstore_last_error()->system_errno;
    return (reason == ENOSPC || reason == EDQUOT) &&
           (kv_successor_remove_leftover(&store->directory) ||
            remove_dead_index(store));
}
