/* SPDX-License-Identifier: MIT */

/* What clients are about to do, and have been told. */

#include "power_ledger.h"

#include "scratch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the year 2100. */
#define FAR_MS INT64_C(4102444800000)

void power_ledger_complain(struct power_ledger *ledger, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    ledger->violations++;
}

/* --- What a version stands for --- */

/* The last steps of MurmurHash3 (Appleby). */
static uint64_t mix(uint64_t word)
{
    word ^= word >> 33;
    word *= UINT64_C(0xff51afd7ed558ccd);
    word ^= word >> 33;
    word *= UINT64_C(0xc4ceb9fe1a85ec53);
    return word ^ (word >> 33);
}

static uint64_t chance_of(const struct power_client *client,
                          uint32_t key,
                          power_version version)
{
    return mix(((uint64_t)client->number << 56) ^ ((uint64_t)key << 32) ^
               version);
}

bool power_is_removal(power_version version)
{
    return version % 2 == 1;
}

size_t power_name(char out[POWER_NAME_SIZE],
                  const struct power_client *client,
                  uint32_t key)
{
    return (size_t)snprintf(
        out, POWER_NAME_SIZE, "c%u-%u", client->number, (unsigned)key);
}

size_t power_account_name(char out[POWER_NAME_SIZE], unsigned account)
{
    return (size_t)snprintf(out, POWER_NAME_SIZE, "account-%u", account);
}

/* Most values are short, some have a page, a few have many. */
static size_t fill_size(const struct power_client *client, uint64_t chance)
{
    uint64_t limit = 120;
    if (chance % 64 == 0) {
        limit = 60000;
    } else if (chance % 16 == 1) {
        limit = 9000;
    }
    limit = limit < client->value_max ? limit : client->value_max;
    return (size_t)((chance >> 16) % (limit + 1));
}

size_t power_value(char *out,
                   const struct power_client *client,
                   uint32_t key,
                   power_version version)
{
    uint64_t chance = chance_of(client, key, version);
    size_t size = (size_t)snprintf(
        out, 64, "%u.%u.%u:", client->number, (unsigned)key, (unsigned)version);
    size_t end = size + fill_size(client, chance);
    /* Some are no text, and are stored in another form. */
    uint64_t range = chance >> 60 == 0 ? 256 : 26;
    uint64_t first = range == 256 ? 0 : 'a';
    for (; size < end; size++) {
        chance = chance * UINT64_C(6364136223846793005) + 1;
        out[size] = (char)(first + (chance >> 33) % range);
    }
    return size;
}

int64_t power_expiry(const struct power_client *client,
                     uint32_t key,
                     power_version version)
{
    return chance_of(client, key, version) >> 62 == 0 ? FAR_MS + version
                                                      : KVSTORE_EXPIRES_NEVER;
}

struct power_transfer power_transfer(const struct power_client *client,
                                     power_version version)
{
    uint64_t chance = chance_of(client, 0, version);
    unsigned from = (unsigned)(chance % POWER_ACCOUNTS);
    unsigned step = 1 + (unsigned)((chance >> 16) % (POWER_ACCOUNTS - 1));
    return (struct power_transfer){.from = from,
                                   .to = (from + step) % POWER_ACCOUNTS,
                                   .amount = (int64_t)((chance >> 32) % 1000)};
}

power_version power_version_in(const char *value, size_t size)
{
    char head[64] = {0};
    unsigned version = 0;
    if (value != NULL) {
        memcpy(head, value, size < sizeof head - 1 ? size : sizeof head - 1);
    }
    return sscanf(head, "%*u.%*u.%u:", &version) == 1 ? version : 0;
}

/* --- What clients note --- */

power_version power_ledger_begin(struct power_client *client,
                                 uint32_t key,
                                 bool is_removal)
{
    uint32_t place = client->pending;
    if (place >= POWER_CHANGES) {
        scratch_die("too many changes at once");
    }
    client->serial++;
    power_version version = client->serial * 2 + (is_removal ? 1 : 0);
    client->changes[place] = (struct power_change){
        .key = key, .version = version, .group = client->group};
    client->pending = place + 1;
    return version;
}

void power_ledger_end_group(struct power_client *client)
{
    client->group++;
}

power_version power_ledger_newest(const struct power_client *client,
                                  uint32_t key)
{
    power_version newest = client->versions[key];
    for (uint32_t i = 0; i < client->pending; i++) {
        if (client->changes[i].key == key) {
            newest = client->changes[i].version;
        }
    }
    return newest;
}

void power_ledger_take_over(struct power_client *client, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        client->versions[client->changes[i].key] = client->changes[i].version;
    }
}

/* The client may be killed anywhere in this: then power_check() does it
 * again. */
void power_ledger_acknowledge(struct power_client *client)
{
    uint32_t count = client->pending;
    client->acked = count;
    client->acknowledged += count;
    power_ledger_take_over(client, count);
    client->pending = 0;
    client->acked = 0;
}

bool power_ledger_see(struct power_client *client,
                      uint32_t key,
                      const char *value,
                      size_t size,
                      char *buffer,
                      bool counts)
{
    power_version version = power_version_in(value, size);
    if (size != power_value(buffer, client, key, version) ||
        memcmp(value, buffer, size) != 0) {
        return false;
    }
    if (counts && client->seen[key] < version) {
        client->seen[key] = version;
    }
    return true;
}
