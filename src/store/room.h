/* SPDX-License-Identifier: MIT */

/* Room on a full disk. */

#ifndef KV_STORE_ROOM_H
#define KV_STORE_ROOM_H

#include "store/store.h"

#include <stdbool.h>

/* If the last call failed for want of space, takes away what a compactor that
 * was killed has left. True: that has made room, and the caller tries once
 * more. */
bool kv_store_makes_room(const struct kvstore *store) KV_LOCKED;

#endif
