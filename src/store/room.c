/* SPDX-License-Identifier: MIT */

/* Room on a full disk. What a killed compactor has left is as large as the store,
 * and is taken away by the next compaction. But where it fills the disk, no set
 * works that would make one due. */

#include "store/room.h"

#include "log/successor.h"
#include "os/error.h"

#include <errno.h>

bool kv_store_makes_room(const struct kvstore *store)
{
    int reason = kvstore_last_error()->system_errno;
    return (reason == ENOSPC || reason == EDQUOT) &&
           kv_successor_remove_leftover(&store->directory);
}
