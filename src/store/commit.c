/* SPDX-License-Identifier: MIT */

/* Group commit: the threads of a handle that want to write queue up at its
 * gate, and the one that is let in writes what the others have brought, too,
 * with one lock, one append and one sync (DeWitt et al., "Implementation
 * Techniques for Main Memory Database Systems", SIGMOD 1984). It prepares, has
 * the log append, syncs, publishes; how lines get into the log is up to
 * log/log.c.
 *
 * Invariants:
 * 1. Whatever can fail in the index comes before the append: by then there is
 *    room for a new slot for each record.
 * 2. The lines are in the log in the order in which the threads queued up, and
 *    are published in that order, all at once.
 * 3. A durable handle syncs after the append and before it publishes.
 * 4. A record is acknowledged when the whole group is in the log, and on the
 *    disk if the handle is durable; or, if there was no room for the whole
 *    group, when it is there alone.
 * 5. The index says that a writer is appending before the first byte of an
 *    append, and that it is at rest only when the log ends at totals.applied
 *    again. */

#include "store/commit.h"

#include "index/apply.h"
#include "log/fold.h"
#include "log/log.h"
#include "os/error.h"
#include "record/expiry.h"
#include "record/text.h"
#include "store/append.h"
#include "store/compact.h"
#include "store/handle.h"
#include "store/shared.h"
#include "store/sync.h"

#include <assert.h>
#include <string.h>

#define GROUP_MAX 64u

/* A group of this many bytes takes in no more. */
#define GROUP_BYTES_MAX KV_LOG_JOINED_SIZE_MAX

struct group {
    kvstore *store;
    struct kv_expiry *expiry; /* One clock for all of it. */
    unsigned count;
    struct kv_store_write *writes[GROUP_MAX];
};

/* --- Preparing --- */

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

/* True if a Remove has any effect after another record of its key. */
static bool removes_after(const struct group *group,
                          const struct kv_record_plan *earlier)
{
    return earlier->type == KV_RECORD_SET &&
           !kv_expiry_has_come(group->expiry, earlier->expires_ms);
}

/* KVSTORE_NOT_FOUND: there is nothing to remove. */
static kvstore_status judge_remove(const struct group *group,
                                   unsigned number,
                                   bool *is_in_doubt_out)
{
    const struct kv_store_write *write = group->writes[number];
    const struct kv_store_write *earlier = find_earlier(group, number);
    if (earlier != NULL) {
        return removes_after(group, earlier->plan) ? KVSTORE_OK
                                                   : KVSTORE_NOT_FOUND;
    }
    return kv_store_judge_remove(group->store,
                                 write->plan,
                                 &write->target,
                                 group->expiry,
                                 is_in_doubt_out);
}

/* Finds out whether a record goes to the log, and where in the index it will
 * be. */
static kvstore_status prepare_write(const struct group *group,
                                    unsigned number,
                                    bool *is_in_doubt_out)
{
    const struct kvstore *store = group->store;
    struct kv_store_write *write = group->writes[number];
    const struct kv_record_plan *plan = write->plan;
    kvstore_status status = kv_index_find_target(
        &store->index, &store->log, plan->key, plan->key_size, &write->target);
    if (status == KVSTORE_OK && plan->type == KV_RECORD_REMOVE) {
        status = judge_remove(group, number, is_in_doubt_out);
    }
    write->is_prepared = status == KVSTORE_OK;
    return status;
}

static void note_outcome(struct kv_store_write *write, kvstore_status status)
{
    write->status = status;
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        write->error = *kvstore_last_error();
    }
}

/* What a group needs of the index. */
struct needs {
    uint64_t new_keys; /* Records that need a slot. */
    bool is_in_doubt;  /* It may be wrong about a key. */
    bool lacks_place;  /* It has no empty slot, which cannot be. */
};

static struct needs prepare_writes(const struct group *group)
{
    struct needs needs = {.new_keys = 0};
    for (unsigned i = 0; i < group->count; i++) {
        struct kv_store_write *write = group->writes[i];
        write->is_prepared = false;
        note_outcome(write, prepare_write(group, i, &needs.is_in_doubt));
        needs.lacks_place |= write->target.place.slot == KV_TABLE_NO_SLOT;
        if (write->is_prepared && !write->target.has_older) {
            needs.new_keys++;
        }
    }
    return needs;
}

/* Prepares each record, and makes room for those of new keys. If the index is
 * another one then, all begins anew: no place in the old one means anything.
 * Fails if a sync was lost on the way. */
static kvstore_status prepare_group(const struct group *group)
{
    kvstore *store = group->store;
    bool was_rebuilt = false;
    for (;;) {
        kvstore_status status = kv_store_check_poison(store);
        if (status != KVSTORE_OK) {
            return status;
        }
        struct needs needs = prepare_writes(group);
        bool is_wrong = needs.is_in_doubt && !was_rebuilt;
        if (needs.lacks_place) {
            status =
                kv_fail(KVSTORE_CORRUPT, "another program writes to the index");
        } else if (!is_wrong &&
                   kv_index_has_room(&store->index, needs.new_keys)) {
            return KVSTORE_OK;
        } else if (!is_wrong) {
            status = kv_store_grow(store, needs.new_keys);
        }
        if ((is_wrong || status == KVSTORE_CORRUPT) && !was_rebuilt) {
            status = kv_store_rebuild_to_write(store);
            was_rebuilt = true;
        }
        if (status != KVSTORE_OK) {
            return status;
        }
    }
}

/* --- Appending --- */

/* Collects the lines that go to the log. Returns how many there are. */
static size_t collect_lines(const struct group *group,
                            struct kv_log_bytes *lines,
                            uint64_t *new_end_out)
{
    size_t count = 0;
    *new_end_out = group->store->index.totals.applied;
    for (unsigned i = 0; i < group->count; i++) {
        const struct kv_store_write *write = group->writes[i];
        if (write->is_prepared) {
            lines[count++] = (struct kv_log_bytes){
                .bytes = write->line, .size = write->plan->line_size};
            *new_end_out += write->plan->line_size;
        }
    }
    return count;
}

/* --- Publishing --- */

static void publish_group(const struct group *group, uint64_t new_end)
{
    kvstore *store = group->store;
    kv_index_begin_publishing(&store->index, new_end);
    for (unsigned i = 0; i < group->count; i++) {
        if (group->writes[i]->is_prepared) {
            const struct kv_store_write *write = group->writes[i];
            kv_store_publish(store, write->plan, write->line, &write->target);
        }
    }
    /* Padding may follow, or what was left of it. */
    kv_index_end_publishing(&store->index, !store->is_exclusive);
}

/* --- Together --- */

/* The group has failed as a whole. So has a Remove that found nothing, perhaps
 * only because of one before it in the group; other outcomes hold. */
static void note_failure(const struct group *group, kvstore_status status)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct kv_store_write *write = group->writes[i];
        if (write->is_prepared || write->plan->type == KV_RECORD_REMOVE) {
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
    struct kv_log_bytes lines[GROUP_MAX];
    uint64_t new_end = 0;
    kvstore_status status = prepare_group(group);
    if (status != KVSTORE_OK) {
        note_refusal(group, status);
        return status;
    }
    size_t count = collect_lines(group, lines, &new_end);
    if (count == 0) {
        return KVSTORE_OK;
    }
    status = kv_store_append(group->store, lines, count, new_end);
    if (status == KVSTORE_OK) {
        publish_group(group, new_end);
    } else {
        note_failure(group, status);
    }
    return status;
}

/* Where there is no room for all lines together, there may be for some. */
static void write_one_by_one(const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct group one = {
            .store = group->store, .expiry = group->expiry, .count = 1};
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
    struct kv_expiry expiry = {.has_asked = false};
    struct group group;
    group.store = store;
    group.expiry = &expiry;
    gather(&group, write);
    write_somehow(&group);
    for (unsigned i = 1; i < group.count; i++) {
        kv_gate_serve(&store->gate, &group.writes[i]->waiter);
    }
}

/* The short way of a record that is alone, in a handle that copies its lines to
 * mapped padding: what write_group() would do, without what can fail. False: it
 * is for write_group(), and nothing has been done. */
KV_FLATTENED
static bool write_shortly(kvstore *store, struct kv_store_write *write)
{
    struct kv_index *index = &store->index;
    const struct kv_record_plan *plan = write->plan;
    struct kv_index_target *target = &write->target;
    if (!kv_io_takes_short_ways() || store->is_durable ||
        !kv_log_has_mapped_room(&store->log, plan->line_size) ||
        kv_store_is_poisoned(store) ||
        kv_index_find_target(
            index, &store->log, plan->key, plan->key_size, target) !=
            KVSTORE_OK) {
        return false;
    }
    bool fits = target->has_older ? !kv_table_is_long(&target->older)
                                  : kv_index_has_room(index, 1) &&
                                        target->place.slot != KV_TABLE_NO_SLOT;
    bool removes_more =
        plan->type == KV_RECORD_REMOVE &&
        (!target->has_older || target->older.kind != KV_TABLE_SET ||
         atomic_load(&index->table.header->has_damage) != 0);
    if (!fits || removes_more) {
        return false;
    }
    kv_table_set_writing(&index->table, KV_TABLE_APPENDING);
    kv_log_put(&store->log, write->line, plan->line_size);
    kv_index_begin_publishing(index, index->totals.applied + plan->line_size);
    kv_store_publish(store, plan, write->line, target);
    kv_index_end_publishing(index, false);
    write->status = KVSTORE_OK;
    return true;
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
        if (kv_gate_is_awaited(&store->gate) || !write_shortly(store, write)) {
            write_with_others(store, write);
        }
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
