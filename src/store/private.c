/* SPDX-License-Identifier: MIT */

/* The pair of a handle that cannot share an index: its own fold of the log, in
 * private memory.
 *
 * Invariants:
 * 1. The log is looked up by name at each call, and folded further where it has
 *    grown.
 * 2. Without the writers' lock, a fold that meets damage is believed only when
 *    a second one, a moment later, meets the same: the first may have run into
 *    a writer that was mending the log's end. What is applied to the index that
 *    readers use is published line by line, and cannot be taken back: so there
 *    a fold ends before the first damage, and all of the log is folded into
 *    another index until two folds agree. Reads that are under way see no more
 *    than the lines before the damage meanwhile, and others wait. A sound line
 *    has its sum, and needs no second check.
 * 3. Without that lock, a fold ends where padding begins. Bytes are read one
 *    after another, while an exclusive writer may put lines in the place of
 *    padding: tabs that were read earlier, and a line after them that was read
 *    later, would be one sound record, and all that took the place of the tabs
 *    would be passed over. */

#include "store/private.h"

#include "index/apply.h"
#include "index/build.h"
#include "index/grow.h"
#include "index/index.h"
#include "index/table.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/file.h"
#include "os/system.h"
#include "store/pair.h"

#include <assert.h>

#define BELIEF_PAUSE_NS INT64_C(2000000)
#define BELIEF_TRIES 5

static bool agree(const struct kv_index *a, const struct kv_index *b)
{
    const struct kv_table_counts *x = &a->totals.counts;
    const struct kv_table_counts *y = &b->totals.counts;
    return x->damaged_records == y->damaged_records &&
           x->damaged_bytes == y->damaged_bytes &&
           x->damaged_offset == y->damaged_offset;
}

/* Folds a log until two folds agree (Invariant 2). */
static kvstore_status build_privately(const struct kvstore *store,
                                      const struct kv_log *log,
                                      bool is_locked,
                                      struct kv_index *index_out)
{
    struct kv_index earlier = KV_INDEX_NONE;
    for (int i = 0;; i++) {
        uint64_t size = 0;
        struct kv_fold_result result;
        *index_out = KV_INDEX_NONE;
        kvstore_status status = kv_io_end(&log->file, &size);
        if (status == KVSTORE_OK && !is_locked) {
            status = kv_log_find_end(log, size, &size); /* Invariant 3. */
        }
        if (status == KVSTORE_OK) {
            status = kv_build_index(
                log, size, kv_store_progress(store), NULL, index_out, &result);
        }
        bool is_believed =
            status != KVSTORE_OK || is_locked || i == BELIEF_TRIES ||
            index_out->totals.counts.damaged_records == 0 ||
            (earlier.memory.region != NULL && agree(&earlier, index_out));
        kv_index_release(&earlier);
        if (is_believed) {
            return status;
        }
        earlier = *index_out;
        kv_io_sleep_ns(BELIEF_PAUSE_NS);
    }
}

kvstore_status kv_store_load_privately(struct kvstore *store, bool is_locked)
{
    struct kv_log log = KV_LOG_NONE;
    struct kv_index index = KV_INDEX_NONE;
    kvstore_status status = kv_store_open_log(store, &log);
    if (status == KVSTORE_OK) {
        status = build_privately(store, &log, is_locked, &index);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        kv_log_close(&log);
        return status;
    }
    kv_store_install(store, &log, &index);
    return KVSTORE_OK;
}

/* Puts a larger index, with room for so many more keys, in the place of the
 * pair's. */
static kvstore_status grow_privately(struct kvstore *store, uint64_t more_keys)
{
    struct kv_index larger;
    assert(store->index.is_in_use && !store->index.is_shared);
    kvstore_status status =
        kv_index_create_larger(&store->index, more_keys, &store->log, &larger);
    if (status == KVSTORE_OK) {
        kv_store_install(store, &store->log, &larger);
    }
    return status;
}

/* What it takes to follow the log of a private pair. */
enum follow {
    FOLLOW_NOTHING,        /* The pair has all of it. */
    FOLLOW_FROM_HERE,      /* It has gained lines. */
    FOLLOW_FROM_THE_START, /* It has changed, or the pair has none of it. */
};

/* size_out: up to where the log must be folded. */
static kvstore_status judge_log(struct kvstore *store,
                                uint64_t *size_out,
                                enum follow *follow_out)
{
    const struct kv_table_totals *totals = &store->index.totals;
    struct kv_log_place place;
    bool matches = false;
    *follow_out = FOLLOW_FROM_THE_START;
    if (store->index.memory.region == NULL || store->index.is_shared) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_log_look(&store->log, &store->directory, &place);
    if (status != KVSTORE_OK || !place.is_current || store->index.is_in_doubt) {
        return status;
    }
    atomic_store(&store->log_names, place.names);
    *size_out = place.size;
    if (totals->applied < place.size) {
        status = kv_log_find_end(&store->log, *size_out, size_out);
    }
    if (status == KVSTORE_OK &&
        (totals->applied == *size_out || totals->applied == *size_out + 1)) {
        *follow_out = FOLLOW_NOTHING;
    } else if (status == KVSTORE_OK && totals->applied < *size_out) {
        status = kv_index_matches(&store->index, &store->log, &matches);
        *follow_out = matches ? FOLLOW_FROM_HERE : FOLLOW_FROM_THE_START;
    }
    return status;
}

/* Folds what the log has gained up to a size. is_done_out: false if that has
 * met damage, and must not be believed (Invariant 2). */
static kvstore_status follow_from_here(struct kvstore *store,
                                       uint64_t size,
                                       bool *is_done_out)
{
    uint64_t more_keys = 0;
    *is_done_out = false;
    kvstore_status status =
        kv_build_count_more(&store->log, size, &store->index, &more_keys);
    if (status == KVSTORE_OK && !kv_index_has_room(&store->index, more_keys)) {
        status = grow_privately(store, more_keys);
    }
    return status == KVSTORE_OK ? kv_build_catch_up(&store->log,
                                                    size,
                                                    kv_store_progress(store),
                                                    true,
                                                    &store->index,
                                                    is_done_out)
                                : status;
}

kvstore_status kv_store_follow_privately(struct kvstore *store)
{
    uint64_t size = 0;
    enum follow follow = FOLLOW_FROM_THE_START;
    bool is_done = false;
    kvstore_status status = judge_log(store, &size, &follow);
    if (status != KVSTORE_OK || follow == FOLLOW_NOTHING) {
        return status;
    }
    if (follow == FOLLOW_FROM_HERE) {
        status = follow_from_here(store, size, &is_done);
    }
    return status == KVSTORE_OK && !is_done
               ? kv_store_load_privately(store, false)
               : status;
}
