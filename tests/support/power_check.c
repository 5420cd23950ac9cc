/* SPDX-License-Identifier: MIT */

/* What was acknowledged must be there, and of what was in flight the first
 * calls, each as a whole. */

#include "power_check.h"

#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
    kvstore_status status;
    void *value;
    size_t size;
};

/* A check of one store. */
struct check {
    struct power_ledger *ledger;
    const kvstore *store;
    char *buffer; /* POWER_VALUE_MAX bytes. */
    unsigned store_number;
    uint64_t keys; /* That have a value, by what clients know; */
    uint64_t met;  /* that the iterator has met. */
    bool is_final; /* What is in flight and not there will never be. */
};

static struct found find(const struct check *check,
                         const struct power_client *client,
                         uint32_t key)
{
    char name[POWER_NAME_SIZE];
    struct found found = {.status = KVSTORE_OK};
    size_t size = power_name(name, client, key);
    found.status =
        kvstore_get(check->store, name, size, &found.value, &found.size);
    check->ledger->reads++;
    return found;
}

static bool is_version(const struct check *check,
                       const struct power_client *client,
                       uint32_t key,
                       power_version version,
                       const struct found *found)
{
    if (version == 0 || power_is_removal(version)) {
        return found->status == KVSTORE_NOT_FOUND;
    }
    return found->status == KVSTORE_OK &&
           found->size == power_value(check->buffer, client, key, version) &&
           memcmp(found->value, check->buffer, found->size) == 0;
}

static void complain_of(const struct check *check,
                        const struct power_client *client,
                        uint32_t key,
                        const struct found *found)
{
    const char *removed =
        power_is_removal(client->versions[key]) ? ", removed" : "";
    power_ledger_complain(check->ledger,
                          "store %u, c%u-%u: acknowledged is version %u%s; "
                          "there is version %u, %zu bytes, status %d",
                          client->store,
                          client->number,
                          (unsigned)key,
                          (unsigned)client->versions[key],
                          removed,
                          (unsigned)power_version_in(found->value, found->size),
                          found->size,
                          (int)found->status);
}

/* Returns how many of the changes in flight were made, if those are the first
 * calls and whole ones; else UINT32_MAX. */
static uint32_t settled_count(const struct check *check,
                              const struct power_client *client,
                              const struct found *found)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t count = 0; count <= client->pending; count++) {
        if (count > 0 && count < client->pending &&
            client->changes[count].group == client->changes[count - 1].group) {
            continue;
        }
        bool fits = true;
        for (uint32_t i = 0; i < client->pending && fits; i++) {
            uint32_t key = client->changes[i].key;
            power_version version = client->versions[key];
            for (uint32_t j = 0; j < count; j++) {
                version = client->changes[j].key == key
                              ? client->changes[j].version
                              : version;
            }
            fits = is_version(check, client, key, version, &found[i]);
        }
        best = fits ? count : best;
    }
    return best;
}

static void settle_pending(const struct check *check,
                           struct power_client *client)
{
    uint32_t pending = client->pending;
    struct found *found = calloc((size_t)pending + 1, sizeof *found);
    if (found == NULL) {
        scratch_die("memory");
    }
    for (uint32_t i = 0; i < pending; i++) {
        found[i] = find(check, client, client->changes[i].key);
    }
    uint32_t count = settled_count(check, client, found);
    if (count == UINT32_MAX) {
        power_ledger_complain(check->ledger,
                              "store %u, c%u: %u changes in flight, and what "
                              "is there is no beginning of them",
                              client->store,
                              client->number,
                              (unsigned)pending);
        for (uint32_t i = 0; i < pending; i++) {
            complain_of(check, client, client->changes[i].key, &found[i]);
        }
        count = 0;
    }
    check->ledger->in_flight_kept += count;
    power_ledger_take_over(client, count);
    memmove(client->changes,
            client->changes + count,
            (pending - count) * sizeof client->changes[0]);
    client->pending = pending - count;
    if (check->is_final) {
        check->ledger->in_flight_lost += client->pending;
        client->pending = 0;
    }
    for (uint32_t i = 0; i < pending; i++) {
        kvstore_free(found[i].value);
    }
    free(found);
}

static void check_key(struct check *check,
                      const struct power_client *client,
                      uint32_t key)
{
    power_version version = client->versions[key];
    struct found found = find(check, client, key);
    if (!is_version(check, client, key, version, &found)) {
        complain_of(check, client, key, &found);
    }
    if (version < client->seen[key]) {
        power_ledger_complain(check->ledger,
                              "store %u, c%u-%u: a reader has seen version %u, "
                              "there is %u",
                              client->store,
                              client->number,
                              (unsigned)key,
                              (unsigned)client->seen[key],
                              (unsigned)version);
    }
    kvstore_free(found.value);
    check->keys += version != 0 && !power_is_removal(version);
}

static void check_client(struct check *check, struct power_client *client)
{
    /* It may have been killed while it noted an acknowledgement. */
    if (client->acked > 0 && client->pending > 0) {
        power_ledger_acknowledge(client);
    }
    client->acked = 0;
    settle_pending(check, client);
    for (uint32_t key = 0; key < client->keys; key++) {
        check_key(check, client, key);
    }
}

/* A receipt is in the batch that moves the money. Receipts that are there have
 * versions without a gap: the next one begins where these end. */
static void take_over_transfers(struct power_ledger *ledger,
                                struct power_client *client)
{
    power_version *told = &ledger->told[client->number];
    for (; *told < client->versions[0]; *told += 2) {
        struct power_transfer transfer = power_transfer(client, *told + 2);
        ledger->balances[transfer.from] -= transfer.amount;
        ledger->balances[transfer.to] += transfer.amount;
    }
    client->serial = client->versions[0] / 2;
}

static void check_balances(struct check *check)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < POWER_ACCOUNTS; i++) {
        char name[POWER_NAME_SIZE];
        char digits[POWER_NAME_SIZE] = {0};
        size_t size = 0;
        int64_t expected = check->ledger->balances[i];
        kvstore_status status = kvstore_get_into(check->store,
                                                 name,
                                                 power_account_name(name, i),
                                                 digits,
                                                 sizeof digits - 1,
                                                 &size);
        int64_t balance = strtoll(digits, NULL, 10);
        sum += balance;
        check->keys += status == KVSTORE_OK;
        if ((status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) ||
            balance != expected) {
            power_ledger_complain(check->ledger,
                                  "account %u has %lld, not %lld (status %d)",
                                  i,
                                  (long long)balance,
                                  (long long)expected,
                                  (int)status);
        }
    }
    if (sum != 0) {
        power_ledger_complain(
            check->ledger, "all accounts have %lld", (long long)sum);
    }
}

/* By the log, as gets are by the index. */
static void check_entry(struct check *check, const kvstore_entry *entry)
{
    unsigned number = 0;
    unsigned key = 0;
    char name[POWER_NAME_SIZE];
    (void)snprintf(name,
                   sizeof name,
                   "%.*s",
                   (int)entry->key_size,
                   (const char *)entry->key);
    check->met++;
    if (strncmp(name, "account-", 8) == 0) {
        return;
    }
    if (sscanf(name, "c%u-%u", &number, &key) != 2 || number >= POWER_CLIENTS ||
        key >= POWER_KEYS) {
        power_ledger_complain(check->ledger,
                              "store %u has the key %s",
                              check->store_number,
                              name);
        return;
    }
    const struct power_client *client = &check->ledger->clients[number];
    power_version version = client->versions[key];
    struct found found = {.status = entry->status,
                          .value = (void *)(uintptr_t)entry->value,
                          .size = entry->value_size};
    if (!is_version(check, client, key, version, &found) ||
        entry->expires_ms != power_expiry(client, key, version)) {
        power_ledger_complain(check->ledger, "for the iterator:");
        complain_of(check, client, key, &found);
    }
}

static void check_entries(struct check *check)
{
    const kvstore_entry *entry = NULL;
    kvstore_iterator *iterator = NULL;
    if (kvstore_iterator_create(check->store, NULL, &iterator) != KVSTORE_OK) {
        power_ledger_complain(
            check->ledger, "iterator: %s", kvstore_last_error()->message);
        return;
    }
    while (kvstore_iterator_next(iterator, &entry) == KVSTORE_OK) {
        check_entry(check, entry);
    }
    kvstore_iterator_free(iterator);
    if (check->met != check->keys) {
        power_ledger_complain(check->ledger,
                              "store %u has %llu keys, not %llu",
                              check->store_number,
                              (unsigned long long)check->met,
                              (unsigned long long)check->keys);
    }
}

static bool complain_of_damage(void *context, const kvstore_damage *damage)
{
    const struct check *check = context;
    power_ledger_complain(check->ledger,
                          "store %u: damage of kind %d at %llu, %llu bytes",
                          check->store_number,
                          damage->kind,
                          (unsigned long long)damage->offset,
                          (unsigned long long)damage->length);
    return true;
}

void power_check(struct power_ledger *ledger,
                 unsigned store_number,
                 const kvstore *store,
                 bool is_final)
{
    bool has_tellers = false;
    struct check check = {.ledger = ledger,
                          .store = store,
                          .buffer = malloc(POWER_VALUE_MAX),
                          .store_number = store_number,
                          .is_final = is_final};
    if (check.buffer == NULL) {
        scratch_die("memory");
    }
    kvstore_status status = kvstore_verify(store, complain_of_damage, &check);
    if (status != KVSTORE_OK) {
        power_ledger_complain(ledger,
                              "store %u: verify: %s",
                              store_number,
                              kvstore_last_error()->message);
    }
    for (unsigned i = 0; i < POWER_CLIENTS; i++) {
        if (ledger->clients[i].store == store_number) {
            check_client(&check, &ledger->clients[i]);
        }
        if (ledger->clients[i].store == store_number &&
            ledger->clients[i].habit == POWER_TELLER) {
            take_over_transfers(ledger, &ledger->clients[i]);
            has_tellers = true;
        }
    }
    if (has_tellers) {
        check_balances(&check);
    }
    check_entries(&check);
    free(check.buffer);
}
