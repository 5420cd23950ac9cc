/* SPDX-License-Identifier: MIT */

/* The calls that tell of a store as a whole, or mend it: stats, verify,
 * repair. */

#include "index/table.h"
#include "kvstore.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/gate.h"
#include "store/compact.h"
#include "store/doubt.h"
#include "store/handle.h"
#include "store/repair.h"
#include "store/rewrite.h"
#include "store/snapshot.h"
#include "store/store.h"
#include "store/verify.h"

#include <string.h>

/* Reads the counters, which may be those of more than one moment. */
static kvstore_status read_stats(kvstore *store,
                                 bool *are_exact_out,
                                 kvstore_stats *stats_out)
{
    kvstore_status status = kv_store_begin_read(store);
    if (status != KVSTORE_OK) {
        return status;
    }
    const struct kv_table_totals totals = kv_store_totals(store, are_exact_out);
    const struct kv_table_counts *counts = &totals.counts;
    *stats_out = (kvstore_stats){
        .keys = counts->keys,
        .live_bytes = counts->live_bytes,
        .stale_bytes = counts->stale_bytes,
        .log_bytes = totals.applied,
        .index_bytes = store->index.memory.size,
        .compactions = totals.compactions,
        .damaged_records = counts->damaged_records,
        .blank_bytes = counts->blank_bytes,
        .damaged_bytes = counts->damaged_bytes,
        .damaged_offset = counts->damaged_offset,
        .tombstone_bytes = counts->tombstone_bytes,
        .unknown_records = counts->unknown_records,
        .expiring_keys = counts->expiring_keys,
        .expiring_bytes = counts->expiring_bytes,
        .slow_open = (uint64_t)atomic_load(&store->slow_open),
        .compaction_due = counts->unknown_records == 0 &&
                          kv_store_would_compact(store, &totals)};
    kv_store_end_read(store);
    return KVSTORE_OK;
}

kvstore_status kvstore_get_stats(const kvstore *store, kvstore_stats *stats_out)
{
    if (stats_out == NULL) {
        return kv_fail(KVSTORE_INVALID, "no place for the counters");
    }
    memset(stats_out, 0, sizeof *stats_out);
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    bool are_exact = false;
    int cancel = kv_cancel_hold();
    kvstore_status status =
        read_stats(kv_store_own(store), &are_exact, stats_out);
    if (status == KVSTORE_OK && !are_exact) {
        status = kv_store_settle(kv_store_own(store));
        if (status == KVSTORE_OK) {
            status = read_stats(kv_store_own(store), &are_exact, stats_out);
        }
    }
    if (status != KVSTORE_OK) {
        memset(stats_out, 0, sizeof *stats_out);
    }
    kv_cancel_release(cancel);
    kv_store_tell_warnings(store);
    return status;
}

kvstore_status kvstore_verify(const kvstore *store,
                              kvstore_visit_damage visit,
                              void *context)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    struct kv_snapshot snapshot;
    int cancel = kv_cancel_hold();
    kvstore_status status =
        kv_store_open_snapshot(kv_store_own(store), true, &snapshot);
    if (status == KVSTORE_OK) {
        struct kv_verify verify = {.log = &snapshot.log,
                                   .end = snapshot.end,
                                   .index = snapshot.has_index ? &snapshot.index
                                                               : NULL,
                                   .progress = &store->progress,
                                   .visit = visit,
                                   .context = context};
        status = kv_verify_run(&verify);
        kv_snapshot_close(&snapshot);
    }
    kv_cancel_release(cancel);
    kv_store_tell_warnings(store);
    return status;
}

/* Reports each place that has left the log. */
static void tell_places(const struct kv_repair *repair,
                        kvstore_visit_damage visit,
                        void *context)
{
    bool goes_on = visit != NULL;
    for (size_t i = 0; goes_on && i < repair->count; i++) {
        const struct kv_repair_place *place = &repair->places[i];
        kvstore_damage damage = {.kind = KVSTORE_DAMAGE_MOVED,
                                 .offset = place->offset,
                                 .length = place->end - place->offset,
                                 .file = place->name};
        goes_on = place->name[0] != '\0' && visit(context, &damage);
    }
}

/* Past the compactor's gate. */
static kvstore_status repair(kvstore *store, struct kv_repair *repair)
{
    struct kv_gate_waiter waiter = {.has_work = false};
    const struct kv_store_intent intent = {
        .takes_poisoned = true, .timeout_ms = store->lock_timeout_ms};
    kvstore_status status = kv_store_begin_write(store, &waiter, &intent);
    if (status == KVSTORE_OK) {
        status = kv_store_repair(store, repair);
        kv_store_end_write(store);
    }
    return status;
}

kvstore_status kvstore_repair(kvstore *store,
                              kvstore_visit_damage visit,
                              void *context)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    int cancel = kv_cancel_hold();
    kvstore_status status =
        kv_store_enter_compactor(store, store->lock_timeout_ms);
    if (status == KVSTORE_OK) {
        struct kv_repair places = {.count = 0};
        status = repair(store, &places);
        kv_store_leave_compactor(store);
        tell_places(&places, visit, context);
        kv_repair_release(&places);
    }
    kv_cancel_release(cancel);
    kv_store_tell_warnings(store);
    return status;
}
