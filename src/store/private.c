/* SPDX-License-Identifier: MIT */

/* The pair of a handle that cannot share an index: its own fold of the log, in
 * private memory.
 *
 * Invariants:
 * 1. The log is looked up by name at each call, and folded on where it has
 *    grown.
 * 2. Without the writers' lock, a fold that meets damage is believed only when a
 *    second one, a moment later, meets the same: the first may have run into a
 *    writer that was mending the log's end.
 * 3. Without that lock, a fold ends where padding begins. Its bytes are read one
 *    after the other while an exclusive writer may put lines in the place of
 *    padding: tabs that were read before, and a line behind them that was read
 *    afterwards, would be one sound record, and all that took the place of the
 *    tabs passed over. */

#include "store/private.h"

#include "index/build.h"
#include "index/index.h"
#include "index/table.h"
#include "log/log.h"
#include "os/file.h"
#include "os/reader_lock.h"
#include "os/system.h"
#include "store/pair.h"

#define BELIEF_PAUSE_NS INT64_C(2000000)
#define BELIEF_TRIES 5

/* Up to where a log of this size is folded (Invariant 3). */
static kvstore_status leave_padding_out(const struct kv_log *log,
                                        bool is_locked,
                                        uint64_t *size)
{
    return is_locked ? KVSTORE_OK : kv_log_find_end(log, *size, size);
}

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
                                      struct kv_index *index_out,
                                      struct kv_fold_result *result_out)
{
    struct kv_index earlier = KV_INDEX_NONE;
    for (int i = 0;; i++) {
        uint64_t size = 0;
        *index_out = KV_INDEX_NONE;
        kvstore_status status = kv_io_end(&log->file, &size);
        if (status == KVSTORE_OK) {
            status = leave_padding_out(log, is_locked, &size);
        }
        if (status == KVSTORE_OK) {
            status = kv_build_index(log,
                                    size,
                                    kv_store_progress(store),
                                    NULL,
                                    index_out,
                                    result_out);
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

/* Opens the log by name and folds all of it. */
kvstore_status kv_store_load_privately(struct kvstore *store,
                                       bool is_locked,
                                       struct kv_fold_result *result_out)
{
    struct kv_log log = KV_LOG_NONE;
    struct kv_index index = KV_INDEX_NONE;
    kvstore_status status = kv_store_open_log(store, &log);
    if (status == KVSTORE_OK) {
        status = build_privately(store, &log, is_locked, &index, result_out);
    }
    if (status != KVSTORE_OK) {
        kv_index_release(&index);
        kv_log_close(&log);
        return status;
    }
    kv_store_install(store, &log, &index);
    return KVSTORE_OK;
}

/* Folds what the private pair's log has gained, or all of it if it is not what
 * it was. is_whole_out: that was enough. */
kvstore_status kv_store_catch_up_privately(struct kvstore *store,
                                           bool is_locked,
                                           bool *is_whole_out,
                                           struct kv_fold_result *result_out)
{
    struct kv_log_place place;
    *is_whole_out = false;
    if (store->index.memory.region == NULL || store->index.is_live) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_log_look(&store->log, &store->directory, &place);
    bool is_current = place.is_current;
    uint64_t size = place.size;
    const struct kv_table_totals *totals = &store->index.totals;
    if (status == KVSTORE_OK && is_current && totals->applied < size) {
        status = leave_padding_out(&store->log, is_locked, &size);
    }
    if (status != KVSTORE_OK || !is_current || totals->is_in_doubt != 0) {
        return status;
    }
    atomic_store(&store->log_names, place.names);
    *result_out = (struct kv_fold_result){
        .offset = totals->applied, .is_unterminated = totals->applied > size};
    if (totals->applied == size || totals->applied == size + 1) {
        *is_whole_out = true;
        return KVSTORE_OK;
    }
    bool matches = false;
    if (totals->applied < size) {
        status = kv_index_matches(&store->index, &store->log, &matches);
    }
    if (status != KVSTORE_OK || !matches) {
        return status;
    }
    uint64_t damage_before = totals->counts.damaged_records;
    kv_reader_lock_write(&store->reader_lock);
    status = kv_build_catch_up(
        &store->log, size, kv_store_progress(store), &store->index, result_out);
    kv_reader_lock_end_write(&store->reader_lock);
    *is_whole_out =
        is_locked || totals->counts.damaged_records == damage_before;
    return status;
}

kvstore_status kv_store_follow_privately(struct kvstore *store)
{
    bool is_whole = false;
    struct kv_fold_result result;
    kvstore_status status =
        kv_store_catch_up_privately(store, false, &is_whole, &result);
    if (status == KVSTORE_OK && !is_whole) {
        status = kv_store_load_privately(store, false, &result);
    }
    return status;
}
