/* SPDX-License-Identifier: MIT */

/* What group commit and transactions have in common. */

#include "store/append.h"

#include "log/fold.h"
#include "os/error.h"
#include "record/text.h"
#include "store/handle.h"
#include "store/room.h"
#include "store/shared.h"
#include "store/sync.h"

/* --- Judging --- */

/* Reads what a key has, to find out whether a Remove has any effect: on a Set
 * that is live, or on a line that names the key and cannot be served.
 * is_in_doubt: the index may be wrong about it; then it has one. */
static kvstore_status look_to_remove(const kvstore *store,
                                     const struct kv_record_plan *plan,
                                     struct kv_expiry *expiry,
                                     bool *removes_out,
                                     bool *is_in_doubt)
{
    struct kv_index_find find;
    kvstore_status status = kv_index_find(
        &store->index, &store->log, plan->key, plan->key_size, &find);
    if (status != KVSTORE_OK) {
        return status;
    }
    bool is_damaged =
        find.damage_offset != KV_NO_OFFSET &&
        (!find.is_found || find.damage_offset > find.pointer.offset);
    bool is_doubtful = find.doubt_offset != KV_NO_OFFSET;
    *is_in_doubt |= is_doubtful;
    *removes_out = is_doubtful || is_damaged ||
                   (find.is_found && kv_expiry_is_live(expiry, &find.record));
    kv_index_find_release(&find);
    return KVSTORE_OK;
}

kvstore_status kv_store_judge_remove(const struct kvstore *store,
                                     const struct kv_record_plan *plan,
                                     const struct kv_index_target *target,
                                     struct kv_expiry *expiry,
                                     bool *is_in_doubt)
{
    bool removes = false;
    bool has_damage = atomic_load(&store->index.table.header->has_damage) != 0;
    if (!has_damage && !target->has_older) {
        return KVSTORE_NOT_FOUND;
    }
    if (!has_damage && target->older.kind == KV_TABLE_SET) {
        return KVSTORE_OK;
    }
    kvstore_status status =
        look_to_remove(store, plan, expiry, &removes, is_in_doubt);
    return status == KVSTORE_OK && !removes ? KVSTORE_NOT_FOUND : status;
}

kvstore_status kv_store_rebuild_to_write(struct kvstore *store)
{
    kvstore_status status = kv_store_rebuild_locked(store, KV_ALONE_NEVER);
    return status == KVSTORE_OK ? kv_store_follow_to_write(store, false)
                                : status;
}

/* --- Appending --- */

/* Tries once more where there was no room, and now is. */
static kvstore_status append_somehow(struct kvstore *store,
                                     const struct kv_log_bytes *lines,
                                     size_t count)
{
    uint64_t end = store->index.totals.applied;
    kvstore_status status = kv_log_append(&store->log, end, lines, count);
    if (status != KVSTORE_OK && kv_store_makes_room(store) &&
        kv_store_check_end(store) == KVSTORE_OK) {
        status = kv_log_append(&store->log, end, lines, count);
    }
    return status;
}

kvstore_status kv_store_append(struct kvstore *store,
                               const struct kv_log_bytes *lines,
                               size_t count,
                               uint64_t new_end)
{
    uint64_t end = store->index.totals.applied;
    store->log.size_limit =
        store->is_exclusive ? 0 : atomic_load(&store->size_limit);
    kv_table_set_writing(&store->index.table, KV_TABLE_APPENDING);
    kvstore_status status = append_somehow(store, lines, count);
    if (status == KVSTORE_OK && store->is_durable) {
        status = kv_store_sync(store, new_end);
        if (status != KVSTORE_OK) {
            kv_log_cut(&store->log, end);
        }
    }
    if (status != KVSTORE_OK) {
        (void)kv_store_note_rest(store);
    }
    return status;
}

/* --- Publishing --- */

void kv_store_publish(struct kvstore *store,
                      const struct kv_record_plan *plan,
                      const char *line,
                      const struct kv_index_target *target)
{
    struct kv_record record = {.type = plan->type,
                               .has_key = true,
                               .key = kv_text_plain(plan->key, plan->key_size),
                               .expires_ms = plan->expires_ms,
                               .batch = plan->batch};
    struct kv_fold_item item = {
        .pointer = {.offset = store->index.totals.applied,
                    .length = plan->line_size},
        .bytes = line,
        .size = plan->line_size - 1,
        .type = plan->type,
        .record = &record};
    kv_index_apply_target(&store->index, &store->log, &item, target);
}

kvstore_status kv_store_append_blank(struct kvstore *store)
{
    static const char line[] = " \n";
    static const struct kv_record blank = {.type = KV_RECORD_BLANK};
    const struct kv_log_bytes lines = {.bytes = line, .size = sizeof line - 1};
    uint64_t end = store->index.totals.applied;
    kvstore_status status = kv_store_append(store, &lines, 1, end + lines.size);
    if (status == KVSTORE_OK) {
        struct kv_fold_item item = {
            .pointer = {.offset = end, .length = lines.size},
            .bytes = line,
            .size = lines.size - 1,
            .type = KV_RECORD_BLANK,
            .record = &blank};
        kv_index_begin_publishing(&store->index, end + lines.size);
        (void)kv_index_count_line(&store->index, &item);
        kv_index_end_publishing(&store->index, !store->is_exclusive);
    }
    return status;
}
