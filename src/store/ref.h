/* SPDX-License-Identifier: MIT */

/* A reference to an open store, for what may outlive its handle. */

#ifndef KV_STORE_REF_H
#define KV_STORE_REF_H

#include <stdbool.h>

struct kvstore;
struct kv_store_ref;

/* Creates the reference of a handle, which owns it. NULL, with the last error
 * set, if there is no memory. */
struct kv_store_ref *kv_store_ref_create(struct kvstore *store);

/* Shares it; each one that has it drops it. */
struct kv_store_ref *kv_store_ref_share(struct kv_store_ref *ref);
void kv_store_ref_drop(struct kv_store_ref *ref);

/* Returns the handle, which is not closed until kv_store_ref_leave(); or NULL,
 * without an error set, if it has been closed. */
struct kvstore *kv_store_ref_enter(struct kv_store_ref *ref);
void kv_store_ref_leave(struct kv_store_ref *ref);

bool kv_store_ref_is_open(struct kv_store_ref *ref);

/* The handle is being closed: waits until all that have entered have left, lets
 * nobody in from now on, and drops the handle's share. */
void kv_store_ref_close(struct kv_store_ref *ref);

#endif
