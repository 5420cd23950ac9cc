/* SPDX-License-Identifier: MIT */

/* What one who watches a store knows of it: its changes, replayed. A call that
 * fails fails the test. */

#ifndef REPLAY_H
#define REPLAY_H

#include "kvstore.h"
#include "store_calls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A watcher of all keys, or of those with a prefix. */
kvstore_watcher *watch(const kvstore *store);
kvstore_watcher *watch_prefix(const kvstore *store, const char *prefix);
kvstore_watcher *watch_from_start(const kvstore *store);

/* Take the next change, which must be there at once. */
const kvstore_change *next_change(kvstore_watcher *watcher);
void expect_kind(kvstore_watcher *watcher, int kind);
void expect_set(kvstore_watcher *watcher, const char *key, const char *value);
void expect_remove(kvstore_watcher *watcher, const char *key);
void expect_broken(kvstore_watcher *watcher,
                   const char *key,
                   kvstore_status status);

/* The same, and how many more are of its batch. */
void expect_set_of_batch(kvstore_watcher *watcher,
                         const char *key,
                         const char *value,
                         uint32_t left);

/* Nothing more is there, for a while: names are checked meanwhile. */
void expect_nothing(kvstore_watcher *watcher);

/* --- Replaying --- */

#define REPLAY_KEYS 4096
#define REPLAY_KEY_SIZE 40
#define REPLAY_VALUE_SIZE 48

struct replay_key {
    char key[REPLAY_KEY_SIZE];
    char value[REPLAY_VALUE_SIZE];
    bool is_there;
    bool is_new; /* Since the reset: it must not come again. */
    int64_t expires_ms;
    kvstore_status status;
};

struct replay {
    struct replay_key keys[REPLAY_KEYS]; /* As they came. */
    size_t count;
    size_t changes;
    size_t resets;
    bool is_resetting; /* No CURRENT has come. */
    uint32_t batch_left;
};

/* Replays one change. */
void replay_change(struct replay *replay, const kvstore_change *change);

/* Replays all that is there. */
void replay_all(struct replay *replay, kvstore_watcher *watcher);

/* Checks that the store holds what was replayed, and nothing else. */
void assert_replayed(const struct replay *replay, const kvstore *store);
void assert_replayed_prefix(const struct replay *replay,
                            const kvstore *store,
                            const char *prefix);

#endif
