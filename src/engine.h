/* SPDX-License-Identifier: MIT */

/* What the parts of the engine share. */

#ifndef KV_ENGINE_H
#define KV_ENGINE_H

#include "kvstore.h"

#include <stddef.h>

/* Are these a handle and a key? */
kvstore_status kv_engine_check_key(const kvstore *store,
                                   const void *key,
                                   size_t key_size);

#endif
