/* SPDX-License-Identifier: MIT */

/* Changes that import has read and not yet written: kept until there are enough
 * for a batch, and for as long as that may have to be made anew. Knows no
 * formats and no options. */

#ifndef CLI_PENDING_H
#define CLI_PENDING_H

#include "cli/change.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many changes, or bytes of them, make a batch. */
#define CLI_PENDING_COUNT ((size_t)1000)
#define CLI_PENDING_SIZE ((size_t)1 << 20)

/* A change that is kept. Its key is at offset, and its value after that. */
struct cli_kept {
    enum cli_change_kind kind; /* SET, REMOVE or NOTHING. */
    size_t offset;
    size_t key_size;
    size_t value_size;
    int64_t expires_ms;
};

struct cli_pending {
    kvstore_batch *batch;
    struct cli_kept kept[CLI_PENDING_COUNT];
    size_t count;
    char *bytes;
    size_t size;
    size_t capacity;
    bool if_absent; /* What is there is passed over. */
};

/* False: there is no memory. */
bool cli_pending_init(struct cli_pending *pending, bool if_absent);

void cli_pending_release(struct cli_pending *pending);

bool cli_pending_is_full(const struct cli_pending *pending);

/* Keeps a set or a remove. False: there is no memory. */
bool cli_pending_add(struct cli_pending *pending,
                     const struct cli_change *change);

/* Gives a key that is pending another expiry. False: it is not. */
bool cli_pending_expire(struct cli_pending *pending,
                        const struct cli_change *change);

/* Sets the expiry of the newest set of a key that is pending. False: it is
 * not. */
bool cli_pending_find_expiry(const struct cli_pending *pending,
                             const struct cli_change *change,
                             int64_t *expires_ms_out);

/* Writes what is pending, and keeps it no longer. */
kvstore_status cli_pending_write(struct cli_pending *pending, kvstore *store);

#endif
