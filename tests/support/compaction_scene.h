/* SPDX-License-Identifier: MIT */

/* A store that is compacted while others use it. The system calls of the
 * compaction are where a test steps in: what it does there happens while the
 * compaction runs, at a known place. */

#ifndef COMPACTION_SCENE_H
#define COMPACTION_SCENE_H

#include "known_store.h"
#include "os/file.h"
#include "store_calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_MS INT64_C(1000000)

struct compaction_scene {
    const struct store_dir *dir;
    kvstore *store;
    kvstore *other;           /* Stands in for another process. */
    struct kv_io_table table; /* Of all system calls; the test may change it. */
    void (*beside)(void);     /* At each sync of the new log. */
    int syncs;
    pthread_t main_thread;
    atomic_int threads;
    atomic_int pauses; /* Of a millisecond each. */
};
extern struct compaction_scene scene;

/* A cmocka test on a scene that holds only an empty directory. */
#define SCENE_TEST(test) \
    cmocka_unit_test_setup_teardown( \
        test, compaction_scene_set_up, compaction_scene_tear_down)
int compaction_scene_set_up(void **state);
int compaction_scene_tear_down(void **state);

/* --- Stepping in --- */

bool is_main_thread(void);

/* Fails as if the disk had no room for a new log. */
ssize_t full_pwrite(int fd, const void *bytes, size_t size, off_t offset);

/* --- A store with something stale --- */

/* Sets all KEYS of known_store.h. */
void set_all(const char *value);

/* Enough more keys that the index has to grow. */
#define MORE_KEYS 5000
void set_many_more(kvstore *store);

/* Opens the scene's store; its lock is tried once. */
void open_store(int mode, uint64_t threshold);

/* The same, but compacted by hand, and with all keys stale once. */
void open_half_stale(void);

/* Opens a handle for which a compaction is due as soon as one byte is stale. */
kvstore *open_eager(void);

/* Compacts while there is no room for it, and expects it to fail. */
void compact_on_full_disk(void);

/* Checks that the log is sound and the index belongs to it: in this handle, and
 * in one that opens the store anew, with this index and with one of its own. */
void close_verified(void);

#endif
