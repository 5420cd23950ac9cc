/* SPDX-License-Identifier: MIT */

/* What each key of a trial may hold, and the judgement on how a call ended. */

#ifndef TRIAL_ORACLE_H
#define TRIAL_ORACLE_H

#include "fault_trial.h"

void trial_complain(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- What keys may hold --- */

/* Returns what is known of a key; one that is new has no value. */
struct trial_key *trial_find(struct trial *trial, const char *key);

/* The key certainly holds this, and does not expire. */
void trial_expect(struct trial *trial, const char *key, const char *value);
void trial_expect_until(struct trial *trial,
                        const char *key,
                        const char *value,
                        int64_t expires_ms);

/* The key may hold this from now on. */
void trial_allow(struct trial *trial,
                 const char *key,
                 const char *value,
                 int64_t expires_ms);

/* The key has no value, and begins to hold this one at some time. */
void trial_expect_late(struct trial *trial, const char *key, const char *value);
void trial_check_late(struct trial *trial);

/* A value was seen: it must be allowed, and stays. */
void trial_see(struct trial *trial, const char *key, const char *value);
void trial_see_until(struct trial *trial,
                     const char *key,
                     const char *value,
                     int64_t expires_ms);

/* True if the key may hold a value, or may hold none. */
bool trial_may_be(const struct trial_key *key, bool is_there);

/* --- How a call ended --- */

enum trial_sort {
    TRIAL_OPENS,
    TRIAL_READS,
    TRIAL_WRITES,
    TRIAL_COPIES /* Syncs files other than the store's. */
};

struct trial_before {
    uint64_t fired;
    uint64_t no_memory;
};

struct trial_before trial_begin_call(void);

/* Judges how a call ended; true if it did what was asked, or gave an answer.
 * Then a thread that it may have started has its turn. */
bool trial_end_call(struct trial *trial,
                    enum trial_sort sort,
                    const char *call,
                    struct trial_before before,
                    kvstore_status status);

#endif
