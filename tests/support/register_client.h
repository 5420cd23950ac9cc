/* SPDX-License-Identifier: MIT */

/* Clients that set, get and remove a few keys of a store and record what they
 * called. A value shows which set wrote it, and whether it is whole. */

#ifndef REGISTER_CLIENT_H
#define REGISTER_CLIENT_H

#include "history.h"
#include "kvstore.h"

#include <stdbool.h>
#include <stdint.h>

#define REGISTER_KEYS_MAX 64

/* A lie that the clients' calls tell now and then: the checker must find it
 * out. */
enum register_twin {
    REGISTER_HONEST,
    REGISTER_STALE_CACHE,     /* A get returns what this client last saw. */
    REGISTER_DROPPED_WRITE,   /* A set is acknowledged and not made. */
    REGISTER_FORGOTTEN_REMOVE /* The same for a remove. */
};

struct register_client {
    struct history *history;
    _Atomic uint64_t *failures; /* Calls with a status that cannot be. */
    unsigned number;
    uint32_t keys;
    unsigned sets;    /* Out of a hundred calls; */
    unsigned removes; /* the others are gets. */
    enum register_twin twin;
    bool may_be_full;      /* The disk may: a call has then failed and done
                         nothing. */
    uint64_t random_state; /* Not 0. */
    uint64_t seen[REGISTER_KEYS_MAX];
};

/* Xorshift. Returns a number below a bound. */
uint64_t register_random_below(uint64_t *random_state, uint64_t bound);

/* Makes one call. False: no room is left for its record. */
bool register_client_call(struct register_client *client, kvstore *store);

/* Gets a key. */
bool register_client_get(struct register_client *client,
                         const kvstore *store,
                         uint32_t key);

/* Sets a key to a value of its own, by a line that is appended to the log by
 * hand. No handle has the store open. */
bool register_client_append(struct register_client *client,
                            const char *log_path,
                            uint32_t key);

/* Makes one call by the command, which does not outlive this process's
 * group. */
bool register_client_command(struct register_client *client,
                             const char *program,
                             const char *directory);

#endif
