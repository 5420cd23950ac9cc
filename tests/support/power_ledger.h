/* SPDX-License-Identifier: MIT */

/* What the writers of a store have been told and what they were about to do, in
 * memory that all processes share: so it survives when they are killed. After a
 * power cut it is compared with what the store has.
 *
 * Each client, a thread, is the only one to write its keys, and makes one call
 * at a time. What a key has is known by its version: its value, its size and
 * its expiry are functions of client, key and version. */

#ifndef POWER_LEDGER_H
#define POWER_LEDGER_H

#include "kvstore.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWER_CLIENTS 11
#define POWER_KEYS 1024    /* Of a client, at most. */
#define POWER_CHANGES 1024 /* Not acknowledged yet, at most. */
#define POWER_ACCOUNTS 8
#define POWER_NAME_SIZE 32
#define POWER_VALUE_MAX 70000u

enum power_habit {
    POWER_SINGLES,  /* Sets and removes, one by one. */
    POWER_BATCHES,  /* Several keys at a time. */
    POWER_TELLER,   /* Moves money between accounts that others have, too. */
    POWER_UNSYNCED, /* Is told by kvstore_sync(), not by each set. */
    POWER_CHECKER   /* What is set after a power cut. */
};

/* 0: the key was never there. Later versions have larger numbers; the odd ones
 * remove the key. */
typedef uint32_t power_version;

struct power_change {
    uint32_t key;
    power_version version;
    uint32_t group; /* Those of one call: all of them happen, or none. */
};

struct power_client {
    unsigned number;
    unsigned store;
    enum power_habit habit;
    uint32_t keys;
    uint32_t value_max; /* Bytes. */

    _Atomic uint32_t pending; /* Changes that may have happened, */
    _Atomic uint32_t acked;   /* and the first so many of them surely have. */
    uint32_t group;
    uint32_t serial;
    struct power_change changes[POWER_CHANGES];
    power_version versions[POWER_KEYS];     /* All else is acknowledged. */
    _Atomic power_version seen[POWER_KEYS]; /* By a reader, before the cut. */
    _Atomic uint64_t acknowledged;          /* Changes, in all. */
};

struct power_ledger {
    _Atomic uint64_t violations;
    uint64_t in_flight_kept; /* Changes in flight that were there after it. */
    uint64_t in_flight_lost;
    uint64_t reads; /* Keys that were compared. */
    struct power_client clients[POWER_CLIENTS];
    power_version told[POWER_CLIENTS]; /* Transfers that are in the balances. */
    int64_t balances[POWER_ACCOUNTS];
};

/* Prints what was found to be wrong, and counts it. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void power_ledger_complain(struct power_ledger *ledger, const char *format, ...);

/* --- What a version stands for --- */

bool power_is_removal(power_version version);
size_t power_name(char out[POWER_NAME_SIZE],
                  const struct power_client *client,
                  uint32_t key);
size_t power_account_name(char out[POWER_NAME_SIZE], unsigned account);

/* Fills a buffer of POWER_VALUE_MAX bytes. */
size_t power_value(char *out,
                   const struct power_client *client,
                   uint32_t key,
                   power_version version);
int64_t power_expiry(const struct power_client *client,
                     uint32_t key,
                     power_version version);

/* As a value says; 0: it says nothing. */
power_version power_version_in(const char *value, size_t size);

struct power_transfer {
    unsigned from;
    unsigned to;
    int64_t amount;
};
struct power_transfer power_transfer(const struct power_client *client,
                                     power_version version);

/* --- What clients note --- */

/* Before a call: what it is about to change, and that this was all of it. */
power_version power_ledger_begin(struct power_client *client,
                                 uint32_t key,
                                 bool is_removal);
void power_ledger_end_group(struct power_client *client);

/* What the key has if all happens that has begun. */
power_version power_ledger_newest(const struct power_client *client,
                                  uint32_t key);

/* After it: all that has begun is acknowledged. */
void power_ledger_acknowledge(struct power_client *client);

/* The first of the changes that have begun are in effect. */
void power_ledger_take_over(struct power_client *client, uint32_t count);

/* A reader got this value. False: it is none that the key ever had. */
bool power_ledger_see(struct power_client *client,
                      uint32_t key,
                      const char *value,
                      size_t size,
                      char *buffer,
                      bool counts);

#endif
