/* SPDX-License-Identifier: MIT */

/* What a client does to a store, call by call, each noted in the ledger before
 * and after. */

#ifndef POWER_ACTOR_H
#define POWER_ACTOR_H

#include "power_ledger.h"

struct power_actor {
    struct power_client *client;
    kvstore *store;
    kvstore_batch *batch;
    const _Atomic bool *is_cut;
    char *buffer; /* POWER_VALUE_MAX bytes. */
    uint64_t random_state;
    bool writes_in_pieces; /* Faults: a batch is a set after the other; */
    bool forgets_sync;     /* unsynced changes are noted without a sync. */
};

/* Ends the program if there is no memory. */
void power_actor_init(struct power_actor *actor,
                      struct power_client *client,
                      kvstore *store,
                      const _Atomic bool *is_cut,
                      uint64_t seed);
void power_actor_release(struct power_actor *actor);

/* Does one thing, as the client's habit is. What has failed may have happened,
 * and the actor must do nothing more. */
kvstore_status power_act(struct power_actor *actor);

#endif
