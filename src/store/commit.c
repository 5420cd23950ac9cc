/* SPDX-License-Identifier: MIT */

/* Group commit: the threads of a handle that want to write queue up at its
 * gate, and the one that is let in writes what the others have brought, too,
 * with one lock, one append and one sync (DeWitt et al., "Implementation
 * Techniques for Main Memory Database Systems", SIGMOD 1984). It prepares, has
 * the log append, syncs, publishes; how lines get into the log is up to
 * log/log.c.
 *
 * Invariants:
 * 1. Whatever can fail in the index comes before the append: by then the place
 *    of each record in the index is known, and no two of them have the same
 *    place unless they have the same key.
 * 2. The lines are in the log in the order in which the threads queued up, and
 *    are published in that order.
 * 3. A durable handle syncs after the append and before it publishes.
 * 4. A record is acknowledged when the whole group is in the log, and on the
 *    disk if the handle is durable; or, if there was no room for the whole
 *    group, when it is there alone. */

#include "store/commit.h"

#include "index/apply.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/error.h"
#include "record/expiry.h"
#include "record/text.h"
#include "store/compact.h"
#include "store/handle.h"
#include "store/sync.h"

#include <assert.h>
#include <string.h>

#define GROUP_MAX KV_INDEX_RESERVE_MAX

/* A group of this many bytes takes in no more. */
#define GROUP_BYTES_MAX KV_LOG_JOINED_SIZE_MAX

struct group {
    kvstore *store;
    unsigned count;
    struct kv_store_write *writes[GROUP_MAX];
};

/* --- Preparing --- */

/* What a Remove would do. */
enum removal {
    REMOVES_NOTHING, /* There is no such key, or it has expired. */
    REMOVES_SET,     /* Its place was found on the way. */
    REMOVES_DOUBT,   /* Perhaps a line that names the key and cannot be served;
                        its place must be prepared. */
};

/* The caller releases older_out if a Set was found. */
static kvstore_status find_to_remove(const kvstore *store,
                                     const struct kv_record_plan *plan,
                                     struct kv_expiry *expiry,
                                     struct kv_index_find *older_out,
                                     enum removal *removal_out)
{
    *removal_out = REMOVES_NOTHING;
    kvstore_status status = kv_index_find(
        &store->index, &store->log, plan->key, plan->key_size, older_out);
    if (status != KVSTORE_OK) {
        return status;
    }
    uint64_t flagged_offset = older_out->flagged_offset;
    bool is_flagged =
        flagged_offset != KV_NO_OFFSET &&
        (!older_out->is_found || flagged_offset > older_out->pointer.offset);
    bool is_live =
        older_out->is_found && kv_expiry_is_live(expiry, &older_out->record);
    bool is_in_doubt = older_out->doubt_offset != KV_NO_OFFSET;
    if (is_live && flagged_offset == KV_NO_OFFSET && !is_in_doubt) {
        *removal_out = REMOVES_SET;
        return KVSTORE_OK;
    }
    kv_index_find_release(older_out);
    if (is_flagged || is_live || is_in_doubt) {
        *removal_out = REMOVES_DOUBT;
    }
    return KVSTORE_OK;
}

static bool has_same_key(const struct kv_record_plan *a,
                         const struct kv_record_plan *b)
{
    return a->key_size == b->key_size &&
           memcmp(a->key, b->key, a->key_size) == 0;
}

/* Returns the last record of the same key that is earlier in the group. */
static const struct kv_store_write *find_earlier(const struct group *group,
                                                 unsigned number)
{
    const struct kv_store_write *write = group->writes[number];
    for (unsigned i = number; i > 0; i--) {
        const struct kv_store_write *other = group->writes[i - 1];
        if (other->is_prepared && has_same_key(other->plan, write->plan)) {
            return other;
        }
    }
    return NULL;
}

/* True if a record has any effect after another of its key. */
static bool has_effect_after(const struct kv_record_plan *plan,
                             const struct kv_record_plan *earlier)
{
    struct kv_expiry expiry = {.has_asked = false};
    return plan->type != KV_RECORD_REMOVE ||
           (earlier->type == KV_RECORD_SET &&
            !kv_expiry_has_come(&expiry, earlier->expires_ms));
}

/* Finds the place of the first record of its key in the group.
 * KVSTORE_NOT_FOUND: it is a Remove that has nothing to remove. */
static kvstore_status find_place(kvstore *store,
                                 struct kv_store_write *write,
                                 struct kv_index_reserve *reserve,
                                 bool *has_grown_out)
{
    const struct kv_record_plan *plan = write->plan;
    if (plan->type == KV_RECORD_REMOVE) {
        struct kv_expiry expiry = {.has_asked = false};
        enum removal removal = REMOVES_NOTHING;
        kvstore_status status =
            find_to_remove(store, plan, &expiry, &write->older, &removal);
        if (status != KVSTORE_OK || removal == REMOVES_SET) {
            return status;
        }
        if (removal == REMOVES_NOTHING) {
            return KVSTORE_NOT_FOUND;
        }
    }
    return kv_store_prepare(store,
                            plan->key,
                            plan->key_size,
                            reserve,
                            &write->older,
                            has_grown_out);
}

/* Finds out whether a record goes to the log, and where in the index it will
 * be. */
static kvstore_status prepare_write(const struct group *group,
                                    unsigned number,
                                    struct kv_index_reserve *reserve,
                                    bool *has_grown_out)
{
    struct kv_store_write *write = group->writes[number];
    kvstore_status status = KVSTORE_OK;
    *has_grown_out = false;
    write->earlier = find_earlier(group, number);
    if (write->earlier == NULL) {
        status = find_place(group->store, write, reserve, has_grown_out);
    } else if (!has_effect_after(write->plan, write->earlier->plan)) {
        status = KVSTORE_NOT_FOUND;
    }
    write->is_prepared = status == KVSTORE_OK && !*has_grown_out;
    return status;
}

static void note_outcome(struct kv_store_write *write, kvstore_status status)
{
    write->status = status;
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        write->error = *kvstore_last_error();
    }
}

static void release_prepared(const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct kv_store_write *write = group->writes[i];
        if (write->is_prepared && write->earlier == NULL) {
            kv_index_find_release(&write->older);
        }
        write->is_prepared = false;
    }
}

/* Finds the place of each record. If the index grows on the way, it starts
 * over: no place in the old index means anything in the new one. Fails if a
 * sync was lost on the way. */
static kvstore_status prepare_group(const struct group *group)
{
    bool has_grown = true;
    while (has_grown) {
        struct kv_index_reserve reserve;
        reserve.count = 0;
        has_grown = false;
        release_prepared(group);
        kvstore_status status = kv_store_check_poison(group->store);
        if (status != KVSTORE_OK) {
            return status;
        }
        for (unsigned i = 0; i < group->count && !has_grown; i++) {
            status = prepare_write(group, i, &reserve, &has_grown);
            note_outcome(group->writes[i], status);
        }
    }
    return KVSTORE_OK;
}

/* --- Appending --- */

/* Appends the lines at the end of the log; durably, if the handle is. What
 * cannot be acknowledged is cut off again. If that fails, too, it is torn, or
 * whole and as good as any line that was written before its writer died. */
static kvstore_status append_group(const struct group *group)
{
    kvstore *store = group->store;
    struct kv_log_bytes lines[GROUP_MAX];
    size_t count = 0;
    uint64_t end = store->index.totals.applied;
    uint64_t new_end = end;
    for (unsigned i = 0; i < group->count; i++) {
        const struct kv_store_write *write = group->writes[i];
        if (write->is_prepared) {
            lines[count++] = (struct kv_log_bytes){
                .bytes = write->line, .size = write->plan->line_size};
            new_end += write->plan->line_size;
        }
    }
    if (count == 0) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_log_append(&store->log, end, lines, count);
    if (status == KVSTORE_OK && store->is_durable) {
        status = kv_store_sync(store, new_end);
        if (status != KVSTORE_OK) {
            kv_log_cut(&store->log, end);
        }
    }
    return status;
}

/* --- Publishing --- */

static void publish_write(kvstore *store, struct kv_store_write *write)
{
    const struct kv_record_plan *plan = write->plan;
    struct kv_record record = {.type = plan->type,
                               .has_key = true,
                               .key = kv_text_plain(plan->key, plan->key_size),
                               .expires_ms = plan->expires_ms,
                               .batch = plan->batch};
    write->pointer = (struct kv_log_pointer){
        .offset = store->index.totals.applied, .length = plan->line_size};
    struct kv_fold_item item = {.pointer = write->pointer,
                                .bytes = write->line,
                                .size = plan->line_size - 1,
                                .type = plan->type,
                                .record = &record};
    const struct kv_store_write *earlier = write->earlier;
    if (earlier != NULL) {
        kv_index_find_after(&earlier->older,
                            earlier->plan->type,
                            earlier->pointer,
                            &write->older);
    }
    kv_store_apply(store, &write->older, &item);
}

static void publish_group(const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        if (group->writes[i]->is_prepared) {
            publish_write(group->store, group->writes[i]);
        }
    }
}

/* --- Together --- */

/* The group has failed as a whole. So has a Remove that found nothing only
 * because of one before it in the group; other outcomes hold. */
static void note_failure(const struct group *group, kvstore_status status)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct kv_store_write *write = group->writes[i];
        if (write->is_prepared || write->earlier != NULL) {
            note_outcome(write, status);
        }
    }
}

/* Nothing has been done for any of them. */
static void note_refusal(const struct group *group, kvstore_status status)
{
    for (unsigned i = 0; i < group->count; i++) {
        note_outcome(group->writes[i], status);
    }
}

/* Writes a group, and notes each record's outcome. */
static kvstore_status write_group(const struct group *group)
{
    kvstore_status status = prepare_group(group);
    if (status != KVSTORE_OK) {
        note_refusal(group, status);
        return status;
    }
    status = append_group(group);
    if (status == KVSTORE_OK) {
        publish_group(group);
    } else {
        note_failure(group, status);
    }
    release_prepared(group);
    return status;
}

/* Where there is no room for all lines together, there may be for some. */
static void write_one_by_one(const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct group one = {.store = group->store, .count = 1};
        one.writes[0] = group->writes[i];
        kvstore_status status = kv_store_check_poison(group->store);
        if (status == KVSTORE_OK) {
            status = kv_store_check_end(group->store);
        }
        if (status == KVSTORE_OK) {
            (void)write_group(&one);
        } else {
            note_outcome(one.writes[0], status);
        }
    }
}

/* Writes a group, together or one by one. After a failed sync all of it has
 * failed. */
static void write_somehow(const struct group *group)
{
    if (group->count == 1) {
        (void)write_group(group);
        return;
    }
    kv_error_hold();
    kvstore_status status = write_group(group);
    if (status != KVSTORE_OK &&
        kv_store_check_poison(group->store) == KVSTORE_OK) {
        write_one_by_one(group);
    }
    /* What has failed for others is no failure of this thread. */
    kv_error_release();
}

/* Takes along what other threads have brought. */
static void gather(struct group *group, struct kv_store_write *own)
{
    size_t size = own->plan->line_size;
    group->writes[0] = own;
    group->count = 1;
    while (group->count < GROUP_MAX && size < GROUP_BYTES_MAX) {
        struct kv_gate_waiter *waiter = kv_gate_take_work(&group->store->gate);
        if (waiter == NULL) {
            break;
        }
        /* The waiter is the first member. */
        struct kv_store_write *write = (struct kv_store_write *)waiter;
        write->is_prepared = false;
        size += write->plan->line_size;
        group->writes[group->count++] = write;
    }
}

/* Within a write: writes the record, and what others have brought. */
static void write_with_others(kvstore *store, struct kv_store_write *write)
{
    struct group group;
    group.store = store;
    gather(&group, write);
    write_somehow(&group);
    for (unsigned i = 1; i < group.count; i++) {
        kv_gate_serve(&store->gate, &group.writes[i]->waiter);
    }
}

kvstore_status kv_store_commit(kvstore *store, struct kv_store_write *write)
{
    assert(write->plan != NULL && write->line != NULL);
    write->waiter.has_work = true;
    write->is_prepared = false;
    const struct kv_store_intent intent = {.timeout_ms =
                                               store->lock_timeout_ms};
    kvstore_status status =
        kv_store_begin_write(store, &write->waiter, &intent);
    if (status == KVSTORE_OK) {
        uint64_t end_before = store->index.totals.applied;
        write_with_others(store, write);
        bool is_due = store->index.totals.applied > end_before &&
                      kv_store_is_compaction_due(store);
        kv_store_end_write(store);
        if (is_due) {
            kv_store_compact_when_due(store);
        }
    } else if (status != KVSTORE_NOT_FOUND) {
        return status;
    }
    if (write->status != KVSTORE_OK && write->status != KVSTORE_NOT_FOUND) {
        kv_fail_again(&write->error);
    }
    return write->status;
}
