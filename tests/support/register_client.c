/* SPDX-License-Identifier: MIT */

/* A value is its number, a colon, and letters whose count follows from the
 * number. */

#include "register_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 4096
#define LIES_ONE_IN 50
#define NO_VALUE UINT64_MAX /* That is no value of any set. */

uint64_t register_random_below(uint64_t *random_state, uint64_t bound)
{
    *random_state ^= *random_state << 13;
    *random_state ^= *random_state >> 7;
    *random_state ^= *random_state << 17;
    return (*random_state >> 11) % bound;
}

static size_t make_key(uint32_t key, char out[32])
{
    return (size_t)snprintf(out, 32, "register-%" PRIu32, key);
}

static size_t make_value(uint64_t number, char out[VALUE_MAX])
{
    size_t size = (size_t)snprintf(out, VALUE_MAX, "%" PRIu64 ":", number);
    size_t letters = number % 61 == 0 ? 3000 : (size_t)(number * 7919 % 97);
    memset(out + size, 'a' + (int)(number % 26), letters);
    return size + letters;
}

/* The number of a whole value, else NO_VALUE. */
static uint64_t read_value(const char *value, size_t size)
{
    char expected[VALUE_MAX];
    uint64_t number = strtoull(value, NULL, 10);
    return make_value(number, expected) == size &&
                   memcmp(value, expected, size) == 0
               ? number
               : NO_VALUE;
}

static enum history_outcome outcome_of(struct register_client *client,
                                       kvstore_status status,
                                       const char *call)
{
    switch (status) {
    case KVSTORE_OK:
        return HISTORY_DONE;
    case KVSTORE_NOT_FOUND:
        return HISTORY_ABSENT;
    case KVSTORE_BUSY:
        return HISTORY_NO_EFFECT;
    default:
        (void)fprintf(stderr,
                      "client %u: %s: %s\n",
                      client->number,
                      call,
                      kvstore_last_error()->message);
        (*client->failures)++;
        return HISTORY_UNKNOWN;
    }
}

static bool lies(struct register_client *client, enum register_twin twin)
{
    return client->twin == twin &&
           register_random_below(&client->random_state, LIES_ONE_IN) == 0;
}

static bool set_one(struct register_client *client,
                    kvstore *store,
                    uint32_t key)
{
    char name[32];
    char value[VALUE_MAX];
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_SET);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    if (!lies(client, REGISTER_DROPPED_WRITE)) {
        size_t size = make_value(record->value, value);
        status = kvstore_set(store, name, name_size, value, size);
    }
    client->seen[key] = record->value;
    history_end(client->history, record, outcome_of(client, status, "set"), 0);
    return true;
}

static bool remove_one(struct register_client *client,
                       kvstore *store,
                       uint32_t key)
{
    char name[32];
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_REMOVE);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    if (!lies(client, REGISTER_FORGOTTEN_REMOVE)) {
        status = kvstore_remove(store, name, name_size);
    }
    client->seen[key] = LINEARIZABILITY_ABSENT;
    history_end(
        client->history, record, outcome_of(client, status, "remove"), 0);
    return true;
}

bool register_client_get(struct register_client *client,
                         const kvstore *store,
                         uint32_t key)
{
    char name[32];
    void *value = NULL;
    size_t size = 0;
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_GET);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    uint64_t number = client->seen[key];
    if (!lies(client, REGISTER_STALE_CACHE)) {
        status = kvstore_get(store, name, name_size, &value, &size);
        number = status == KVSTORE_OK ? read_value(value, size)
                                      : LINEARIZABILITY_ABSENT;
    }
    client->seen[key] = number;
    history_end(
        client->history, record, outcome_of(client, status, "get"), number);
    kvstore_free(value);
    return true;
}

/* Half of the calls go to one key in eight. */
bool register_client_call(struct register_client *client, kvstore *store)
{
    uint64_t bound = client->keys;
    if (register_random_below(&client->random_state, 2) == 0) {
        bound = bound / 8 + 1;
    }
    uint32_t key =
        (uint32_t)register_random_below(&client->random_state, bound);
    uint64_t dice = register_random_below(&client->random_state, 100);
    if (dice < client->sets) {
        return set_one(client, store, key);
    }
    return dice < client->sets + client->removes
               ? remove_one(client, store, key)
               : register_client_get(client, store, key);
}
