/* SPDX-License-Identifier: MIT */

/* Sets, removes, batches, transfers, syncs. */

#include "power_actor.h"

#include "register_client.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPACTS_ONE_IN 60
#define REMOVES_ONE_IN 5
#define BULK_ONE_IN 10
#define BULK_KEYS 300 /* So that the index grows. */
#define BATCH_KEYS 12
#define BATCH_STRIDE 7
#define SYNCS_ONE_IN 8
#define UNSYNCED_MAX 40

static uint64_t dice(struct power_actor *actor, uint64_t bound)
{
    return register_random_below(&actor->random_state, bound);
}

void power_actor_init(struct power_actor *actor,
                      struct power_client *client,
                      kvstore *store,
                      const _Atomic bool *is_cut,
                      uint64_t seed)
{
    *actor = (struct power_actor){.client = client,
                                  .store = store,
                                  .is_cut = is_cut,
                                  .buffer = malloc(POWER_VALUE_MAX),
                                  .random_state = seed | 1};
    if (actor->buffer == NULL ||
        kvstore_batch_create(&actor->batch) != KVSTORE_OK) {
        scratch_die("memory");
    }
    /* The first numbers of like seeds are alike. */
    for (int i = 0; i < 8; i++) {
        (void)dice(actor, 2);
    }
}

void power_actor_release(struct power_actor *actor)
{
    kvstore_batch_free(actor->batch);
    free(actor->buffer);
}

/* --- Changes --- */

static void begin(struct power_actor *actor, uint32_t key, bool may_remove)
{
    power_version newest = power_ledger_newest(actor->client, key);
    bool has_value = newest != 0 && !power_is_removal(newest);
    (void)power_ledger_begin(actor->client, key, may_remove && has_value);
}

static void begin_one(struct power_actor *actor)
{
    begin(actor,
          (uint32_t)dice(actor, actor->client->keys),
          dice(actor, REMOVES_ONE_IN) == 0);
}

static kvstore_status write_one(struct power_actor *actor,
                                const struct power_change *change)
{
    const struct power_client *client = actor->client;
    char name[POWER_NAME_SIZE];
    size_t name_size = power_name(name, client, change->key);
    if (power_is_removal(change->version)) {
        return kvstore_remove(actor->store, name, name_size);
    }
    size_t size =
        power_value(actor->buffer, client, change->key, change->version);
    const kvstore_set_options options = {
        .expires_ms = power_expiry(client, change->key, change->version)};
    return kvstore_set_with(
        actor->store, name, name_size, actor->buffer, size, &options);
}

static kvstore_status put_in_batch(struct power_actor *actor,
                                   const struct power_change *change)
{
    const struct power_client *client = actor->client;
    char name[POWER_NAME_SIZE];
    size_t name_size = power_name(name, client, change->key);
    if (power_is_removal(change->version)) {
        return kvstore_batch_remove(actor->batch, name, name_size);
    }
    size_t size =
        power_value(actor->buffer, client, change->key, change->version);
    return kvstore_batch_set(
        actor->batch,
        name,
        name_size,
        actor->buffer,
        size,
        power_expiry(client, change->key, change->version));
}

/* Writes the changes that have begun, from a place on. */
static kvstore_status write_from(struct power_actor *actor, uint32_t first)
{
    const struct power_client *client = actor->client;
    kvstore_status status = KVSTORE_OK;
    power_ledger_end_group(actor->client);
    if (client->pending == first + 1) {
        return write_one(actor, &client->changes[first]);
    }
    kvstore_batch_clear(actor->batch);
    for (uint32_t i = first; i < client->pending && status == KVSTORE_OK; i++) {
        status = actor->writes_in_pieces
                     ? write_one(actor, &client->changes[i])
                     : put_in_batch(actor, &client->changes[i]);
    }
    return status == KVSTORE_OK && !actor->writes_in_pieces
               ? kvstore_write(actor->store, actor->batch)
               : status;
}

/* An answer that comes after the cut would reach nobody. And it may be wrong:
 * when a file system is shut down, a sync that is under way may succeed without
 * having written anything. */
static kvstore_status acknowledge(struct power_actor *actor,
                                  kvstore_status status)
{
    if (status == KVSTORE_OK && *actor->is_cut) {
        return KVSTORE_IO;
    }
    if (status == KVSTORE_OK) {
        power_ledger_acknowledge(actor->client);
    }
    return status;
}

/* Begins a change of several keys, which are not each other's neighbours. */
static void begin_some(struct power_actor *actor)
{
    uint32_t keys = actor->client->keys;
    uint32_t first = (uint32_t)dice(actor, keys);
    uint32_t count = 2 + (uint32_t)dice(actor, BATCH_KEYS - 1);
    for (uint32_t i = 0; i < count; i++) {
        begin(actor,
              (first + i * BATCH_STRIDE) % keys,
              dice(actor, REMOVES_ONE_IN) == 0);
    }
}

/* Sets all of many keys, or removes those that are there. */
static void begin_bulk(struct power_actor *actor)
{
    struct power_client *client = actor->client;
    uint32_t first = (uint32_t)dice(actor, client->keys);
    bool removes = dice(actor, 2) == 0;
    for (uint32_t i = 0; i < BULK_KEYS; i++) {
        uint32_t key = (first + i) % client->keys;
        power_version newest = power_ledger_newest(client, key);
        if (!removes || (newest != 0 && !power_is_removal(newest))) {
            begin(actor, key, removes);
        }
    }
}

/* --- Transfers --- */

/* What an account has, as a condition for another balance. */
static kvstore_status put_balance(struct power_actor *actor,
                                  unsigned account,
                                  int64_t amount)
{
    char name[POWER_NAME_SIZE];
    char old[POWER_NAME_SIZE] = {0};
    char digits[POWER_NAME_SIZE];
    size_t old_size = 0;
    size_t name_size = power_account_name(name, account);
    kvstore_status status = kvstore_get_into(
        actor->store, name, name_size, old, sizeof old - 1, &old_size);
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        return status;
    }
    int condition = status == KVSTORE_OK ? KVSTORE_IF_VALUE : KVSTORE_IF_ABSENT;
    int size = snprintf(digits,
                        sizeof digits,
                        "%lld",
                        strtoll(old, NULL, 10) + (long long)amount);
    status =
        kvstore_batch_require(actor->batch,
                              name,
                              name_size,
                              condition,
                              condition == KVSTORE_IF_VALUE ? old : NULL,
                              condition == KVSTORE_IF_VALUE ? old_size : 0);
    return status != KVSTORE_OK
               ? status
               : kvstore_batch_set(
                     actor->batch, name, name_size, digits, (size_t)size, 0);
}

/* One that meets a conflict is tried again by the next call. */
static kvstore_status move_money(struct power_actor *actor)
{
    struct power_client *client = actor->client;
    if (client->pending == 0) {
        (void)power_ledger_begin(client, 0, false);
        power_ledger_end_group(client);
    }
    struct power_transfer transfer =
        power_transfer(client, client->changes[0].version);
    kvstore_batch_clear(actor->batch);
    kvstore_status status = put_balance(actor, transfer.from, -transfer.amount);
    if (status == KVSTORE_OK) {
        status = put_in_batch(actor, &client->changes[0]);
    }
    if (status == KVSTORE_OK) {
        status = put_balance(actor, transfer.to, transfer.amount);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(actor->store, actor->batch);
    }
    return status == KVSTORE_CONFLICT ? KVSTORE_OK : acknowledge(actor, status);
}

/* --- Habits --- */

static kvstore_status write_unsynced(struct power_actor *actor)
{
    uint32_t first = actor->client->pending;
    if (first > 0 &&
        (first >= UNSYNCED_MAX || dice(actor, SYNCS_ONE_IN) == 0)) {
        return acknowledge(actor,
                           actor->forgets_sync ? KVSTORE_OK
                                               : kvstore_sync(actor->store));
    }
    if (dice(actor, 4) == 0) {
        begin_some(actor);
    } else {
        begin_one(actor);
    }
    return write_from(actor, first);
}

kvstore_status power_act(struct power_actor *actor)
{
    if (dice(actor, COMPACTS_ONE_IN) == 0) {
        return kvstore_compact(actor->store);
    }
    switch (actor->client->habit) {
    case POWER_TELLER:
        return move_money(actor);
    case POWER_UNSYNCED:
        return write_unsynced(actor);
    case POWER_BATCHES:
        if (dice(actor, BULK_ONE_IN) == 0) {
            begin_bulk(actor);
        } else {
            begin_some(actor);
        }
        return actor->client->pending == 0
                   ? KVSTORE_OK
                   : acknowledge(actor, write_from(actor, 0));
    default:
        begin_one(actor);
        return acknowledge(actor, write_from(actor, 0));
    }
}
