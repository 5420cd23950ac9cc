/* SPDX-License-Identifier: MIT */

/* What kvstore_sync() syncs a log by while nothing waits for it: an open file
 * description that no other thread needs. Knows no poison. */

#ifndef KV_STORE_BARRIER_H
#define KV_STORE_BARRIER_H

#include "kvstore.h"
#include "log/log.h"
#include "os/file.h"

#include <stdbool.h>

struct kv_barrier;

/* Opens the log by name once more. Returns NULL if it has lost its name, or
 * there is no memory or descriptor: then syncs go through the log's own
 * descriptor, and others wait. */
struct kv_barrier *kv_barrier_create(const struct kv_io_file *directory,
                                     const struct kv_log *log);

/* One more user, the creator being the first; and one less. NULL: none. */
void kv_barrier_enter(struct kv_barrier *barrier);
void kv_barrier_leave(struct kv_barrier *barrier);

/* In a child of fork, where the descriptor is closed. */
void kv_barrier_abandon(struct kv_barrier *barrier);

bool kv_barrier_is_of(const struct kv_barrier *barrier,
                      const struct kv_log *log);

/* Takes turns with other threads in the barrier; syncs, within a turn. */
void kv_barrier_begin_turn(struct kv_barrier *barrier);
void kv_barrier_end_turn(struct kv_barrier *barrier);
kvstore_status kv_barrier_sync(const struct kv_barrier *barrier);

#endif
