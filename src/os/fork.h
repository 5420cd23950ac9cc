/* SPDX-License-Identifier: MIT */

/* Keeps a child of fork() from holding what belongs to its parent. The lock on
 * a directory belongs to an open file that both share: the child must not
 * release it, and must not keep it when the parent is gone. So in the child all
 * descriptors of the library are closed, which does neither; including those
 * that another thread was using at the fork, for a compaction, or for an index
 * that was being built. */

#ifndef KV_OS_FORK_H
#define KV_OS_FORK_H

#include "kvstore.h"
#include "os/file.h"

#include <stdatomic.h>
#include <stdbool.h>

#define KV_FORK_GUARD_FILES 5

struct kv_fork_guard {
    struct kv_io_file
        *files[KV_FORK_GUARD_FILES]; /* Closed in a child; NULL: none. */
    atomic_bool is_child;
    struct kv_fork_guard *previous;
    struct kv_fork_guard *next;
};

/* Registers a guard until it is removed; neither it nor the files may move.
 * KVSTORE_NO_MEMORY if the handlers could not be installed. */
kvstore_status kv_fork_guard_add(struct kv_fork_guard *guard);
void kv_fork_guard_remove(struct kv_fork_guard *guard);

/* True in a child of the process that registered the guard. */
static inline bool kv_fork_guard_is_child(const struct kv_fork_guard *guard)
{
    return atomic_load_explicit(&guard->is_child, memory_order_relaxed);
}

#endif
