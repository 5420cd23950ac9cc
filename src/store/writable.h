/* SPDX-License-Identifier: MIT */

/* Whether a store takes writes. */

#ifndef KV_STORE_WRITABLE_H
#define KV_STORE_WRITABLE_H

#include "kvstore.h"
#include "store/shared.h"
#include "store/store.h"

#include <stdbool.h>

/* Fails, with the reason, if the log has more than one name, or records of a
 * newer version. An index that lies about these is built anew; then is_whole
 * becomes false. */
kvstore_status kv_store_check_writable(struct kvstore *store,
                                       enum kv_store_alone alone,
                                       bool *is_whole) KV_LOCKED;

#endif
