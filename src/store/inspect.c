/* SPDX-License-Identifier: MIT */

/* The calls that go through all of a store: list, verify, repair. */

#include "kvstore.h"
#include "os/error.h"
#include "os/gate.h"
#include "store/compact.h"
#include "store/handle.h"
#include "store/list.h"
#include "store/repair.h"
#include "store/rewrite.h"
#include "store/snapshot.h"
#include "store/store.h"
#include "store/verify.h"

kvstore_status kvstore_list(const kvstore *store,
                            const void *prefix,
                            size_t prefix_size,
                            kvstore_visit_key visit,
                            void *context)
{
    if (store == NULL || visit == NULL || (prefix == NULL && prefix_size > 0)) {
        return kv_fail(KVSTORE_INVALID,
                       "a handle, a visit or a prefix is NULL");
    }
    struct kv_snapshot snapshot;
    kvstore_status status =
        kv_store_open_snapshot(kv_store_own(store), false, &snapshot);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_list list = {.log = &snapshot.log,
                           .end = snapshot.end,
                           .progress = &store->progress,
                           .prefix = prefix,
                           .prefix_size = prefix_size};
    status = kv_list_run(&list, visit, context);
    kv_snapshot_close(&snapshot);
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
    kvstore_status status =
        kv_store_open_snapshot(kv_store_own(store), true, &snapshot);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_verify verify = {.log = &snapshot.log,
                               .end = snapshot.end,
                               .index =
                                   snapshot.has_index ? &snapshot.index : NULL,
                               .progress = &store->progress,
                               .visit = visit,
                               .context = context};
    status = kv_verify_run(&verify);
    kv_snapshot_close(&snapshot);
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

kvstore_status kvstore_repair(kvstore *store,
                              kvstore_visit_damage visit,
                              void *context)
{
    if (store == NULL) {
        return kv_fail(KVSTORE_INVALID, "the handle is NULL");
    }
    kvstore_status status =
        kv_store_enter_compactor(store, store->lock_timeout_ms);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_repair repair = {.count = 0};
    struct kv_gate_waiter waiter = {.has_work = false};
    const struct kv_store_intent intent = {
        .takes_poisoned = true, .timeout_ms = store->lock_timeout_ms};
    status = kv_store_begin_write(store, &waiter, &intent);
    if (status == KVSTORE_OK) {
        status = kv_store_repair(store, &repair);
        kv_store_end_write(store);
    }
    kv_store_leave_compactor(store);
    tell_places(&repair, visit, context);
    kv_repair_release(&repair);
    return status;
}
