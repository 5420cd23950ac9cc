/* SPDX-License-Identifier: MIT */

/* Transactions: judged, appended, synced and published under one lock.
 *
 * Invariants:
 * 1. What decides has the lock, and an index that is up to date with the log: no
 *    other write comes between the judgement and the append.
 * 2. All lines are in one append, which no other call shares. More than one of
 *    them count down to 1, so that a fold sees whether all are there. A blank
 *    line keeps them apart from damage, which could have been their first.
 * 3. Whatever can fail in the index comes before the append: by then there is
 *    room for a new slot for each line.
 * 4. Slots are stored in the order of the lines, and the totals move over all of
 *    them at once: who goes by the totals sees all or nothing. */

#include "store/transaction.h"

#include "index/apply.h"
#include "index/index.h"
#include "log/log.h"
#include "os/bounds.h"
#include "os/cancel.h"
#include "os/error.h"
#include "os/system.h"
#include "record/plan.h"
#include "store/append.h"
#include "store/batch.h"
#include "store/compact.h"
#include "store/handle.h"
#include "store/read.h"
#include "store/shared.h"
#include "store/sync.h"

#include <string.h>

/* How many keys' buckets are asked for ahead. */
#define AHEAD ((size_t)8)

/* Lines up to this size together need no allocation. */
#define SHORT_LINES_SIZE 1024

/* A change on its way to the log. */
struct part {
    struct kv_index_target target;
    int64_t expires_ms;
    uint32_t line_size;
    bool is_written; /* Not a Remove of what is not there. */
};

struct work {
    kvstore *store;
    struct kv_transaction *transaction;
    struct part *parts;
    struct part one; /* For a single change. */
    size_t capacity;
    size_t line_count;
    uint64_t new_keys;
    bool is_in_doubt;
    bool was_rebuilt; /* What is in doubt then, stays so. */
    char *lines;      /* Laid out so far: */
    size_t size;
    size_t lines_capacity;
    char *short_lines; /* Of SHORT_LINES_SIZE. */
};

/* --- For decide --- */

kvstore_status kv_transaction_read(struct kv_transaction *transaction,
                                   struct kvstore *store,
                                   const void *key,
                                   size_t key_size,
                                   struct kv_store_destination *destination)
{
    struct kv_index_find find;
    uint64_t doubt_offset = KV_NO_OFFSET;
    destination->expiry = &transaction->expiry;
    kvstore_status status =
        kv_index_find(&store->index, &store->log, key, key_size, &find);
    if (status == KVSTORE_OK) {
        status = kv_store_answer(store, &find, destination, &doubt_offset);
    }
    if (doubt_offset != KV_NO_OFFSET) {
        transaction->doubt_offset = doubt_offset;
        return kv_fail_at(KVSTORE_CORRUPT,
                          doubt_offset,
                          "a line of %s cannot be read",
                          KV_LOG_NAME);
    }
    return status;
}

static bool is_expected(const struct kv_condition *condition,
                        const struct kv_store_destination *found)
{
    bool has_value =
        condition->condition != KVSTORE_IF_VALUE ||
        (found->value_size == condition->value_size &&
         (condition->value_size == 0 ||
          memcmp(found->buffer, condition->value, condition->value_size) == 0));
    return has_value && (!condition->has_expiry ||
                         found->expires_ms == condition->expires_ms);
}

kvstore_status kv_transaction_require(struct kv_transaction *transaction,
                                      struct kvstore *store,
                                      const struct kv_condition *condition)
{
    bool wants_value = condition->condition == KVSTORE_IF_VALUE;
    struct kv_store_destination found = {.is_allocated = wants_value,
                                         .is_unwanted = !wants_value};
    kvstore_status status = kv_transaction_read(
        transaction, store, condition->key, condition->key_size, &found);
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        return status;
    }
    bool is_met = true;
    switch (condition->condition) {
    case KVSTORE_IF_ABSENT:
        is_met = status == KVSTORE_NOT_FOUND;
        break;
    case KVSTORE_IF_PRESENT:
    case KVSTORE_IF_VALUE:
        is_met = status == KVSTORE_OK && is_expected(condition, &found);
        break;
    default:
        break;
    }
    if (wants_value) {
        kv_io_free(found.buffer);
    }
    return is_met ? KVSTORE_OK : KVSTORE_CONFLICT;
}

kvstore_status kv_transaction_check_expiry(struct kv_transaction *transaction,
                                           int64_t expires_ms)
{
    return expires_ms > 0 &&
                   kv_expiry_has_come(&transaction->expiry, expires_ms)
               ? kv_fail(KVSTORE_INVALID, "the time of expiry has passed")
               : KVSTORE_OK;
}

/* --- Preparing --- */

static kvstore_status make_parts(struct work *work, size_t count)
{
    if (count <= work->capacity) {
        return KVSTORE_OK;
    }
    if (work->parts != &work->one) {
        kv_io_free(work->parts);
    }
    work->parts = kv_io_allocate(count * sizeof *work->parts);
    work->capacity = work->parts == NULL ? 0 : count;
    return work->parts == NULL ? KVSTORE_NO_MEMORY : KVSTORE_OK;
}

/* Finds out when the value of a change expires. */
static kvstore_status resolve_expiry(const struct work *work,
                                     const struct kv_change *change,
                                     struct part *part)
{
    part->expires_ms = change->expires_ms;
    if (change->expires_ms != KVSTORE_EXPIRES_KEEP) {
        return kv_transaction_check_expiry(work->transaction,
                                           change->expires_ms);
    }
    struct kv_store_destination found = {.is_unwanted = true};
    kvstore_status status = kv_transaction_read(
        work->transaction, work->store, change->key, change->key_size, &found);
    part->expires_ms = status == KVSTORE_OK ? found.expires_ms : 0;
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* Finds out whether a change goes to the log, and where in the index it will
 * be. */
static kvstore_status prepare_part(struct work *work,
                                   const struct kv_change *change,
                                   struct part *part)
{
    const kvstore *store = work->store;
    part->is_written = false;
    kvstore_status status = kv_index_find_target(&store->index,
                                                 &store->log,
                                                 change->key,
                                                 change->key_size,
                                                 &part->target);
    if (status == KVSTORE_OK && change->type == KV_RECORD_SET) {
        status = resolve_expiry(work, change, part);
    } else if (status == KVSTORE_OK) {
        const struct kv_record_plan plan = {.key = change->key,
                                            .key_size = change->key_size};
        part->expires_ms = 0;
        status = kv_store_judge_remove(store,
                                       &plan,
                                       &part->target,
                                       &work->transaction->expiry,
                                       &work->is_in_doubt);
        if (status == KVSTORE_NOT_FOUND) {
            return KVSTORE_OK;
        }
    }
    if (status == KVSTORE_OK && part->target.place.slot == KV_TABLE_NO_SLOT) {
        work->is_in_doubt = true;
        status =
            kv_fail(KVSTORE_CORRUPT, "another program writes to the index");
    }
    part->is_written = status == KVSTORE_OK;
    return status;
}

static kvstore_status prepare_parts(struct work *work)
{
    const struct kv_transaction *transaction = work->transaction;
    const struct kv_index *index = &work->store->index;
    size_t count = transaction->change_count;
    kvstore_status status = make_parts(work, count);
    work->line_count = 0;
    work->new_keys = 0;
    for (size_t i = 0, begun = 0; status == KVSTORE_OK && i < count; i++) {
        for (; begun < count && begun < i + AHEAD; begun++) {
            const struct kv_change *next = &transaction->changes[begun];
            kv_index_begin_target(
                index, next->key, next->key_size, &work->parts[begun].target);
        }
        struct part *part = &work->parts[i];
        status = prepare_part(work, &transaction->changes[i], part);
        work->line_count += part->is_written;
        work->new_keys += part->is_written && !part->target.has_older;
    }
    return status;
}

/* One try. is_ready_out: there is room for all that was decided. is_wrong_out: the
 * index is in doubt. */
static kvstore_status try_to_decide(struct work *work,
                                    bool *is_ready_out,
                                    bool *is_wrong_out)
{
    kvstore *store = work->store;
    struct kv_transaction *transaction = work->transaction;
    work->is_in_doubt = false;
    work->line_count = 0;
    transaction->doubt_offset = KV_NO_OFFSET;
    *is_ready_out = false;
    kvstore_status status = kv_store_check_poison(store);
    if (status == KVSTORE_OK) {
        status = transaction->decide(transaction, store);
    }
    if (status == KVSTORE_OK) {
        status = prepare_parts(work);
    }
    *is_wrong_out =
        !work->was_rebuilt &&
        (work->is_in_doubt || transaction->doubt_offset != KV_NO_OFFSET);
    if (status != KVSTORE_OK || *is_wrong_out) {
        return status;
    }
    *is_ready_out = kv_index_has_room(&store->index, work->new_keys);
    if (!*is_ready_out) {
        status = kv_store_grow(store, work->new_keys);
        *is_wrong_out = status == KVSTORE_CORRUPT && !work->was_rebuilt;
    }
    return status;
}

/* Decides, and prepares what was decided. If the index is in doubt, it is built
 * anew, once, and all begins anew; also if it had to grow, since no place in the
 * old one means anything. */
static kvstore_status decide(struct work *work)
{
    bool is_ready = false;
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK && !is_ready) {
        bool is_wrong = false;
        status = try_to_decide(work, &is_ready, &is_wrong);
        if (is_wrong) {
            status = kv_store_rebuild_to_write(work->store);
            work->was_rebuilt = true;
        }
    }
    return status;
}

/* --- Writing --- */

/* Sees that so many bytes more can be laid out. */
static kvstore_status reserve_lines(struct work *work, size_t more)
{
    size_t needed = work->size + more;
    if (needed <= work->lines_capacity) {
        return KVSTORE_OK;
    }
    if (more > KV_LINE_SIZE_MAX - work->size) {
        return kv_fail(KVSTORE_TOO_LARGE,
                       "the lines of a batch may have %u bytes together",
                       (unsigned)KV_LINE_SIZE_MAX);
    }
    size_t capacity = work->line_count == 1           ? needed
                      : needed > KV_LINE_SIZE_MAX / 2 ? KV_LINE_SIZE_MAX
                                                      : 2 * needed;
    bool is_short = work->lines == work->short_lines;
    char *lines = is_short ? kv_io_allocate(capacity)
                           : kv_io_reallocate(work->lines, capacity);
    if (lines == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    if (is_short) {
        memcpy(lines, work->short_lines, work->size);
    }
    work->lines = lines;
    work->lines_capacity = capacity;
    return KVSTORE_OK;
}

/* Lays out all lines, which count down to the last one. */
static kvstore_status lay_out_transaction(struct work *work)
{
    kvstore_status status = KVSTORE_OK;
    size_t left = work->line_count;
    for (size_t i = 0;
         i < work->transaction->change_count && status == KVSTORE_OK;
         i++) {
        struct part *part = &work->parts[i];
        if (!part->is_written) {
            continue;
        }
        struct kv_record_plan plan =
            kv_batch_plan(&work->transaction->changes[i],
                          part->expires_ms,
                          work->line_count > 1 ? (uint32_t)left : 0);
        status = reserve_lines(work, plan.line_size);
        if (status == KVSTORE_OK) {
            kv_record_encode(&plan, work->lines + work->size);
            part->line_size = (uint32_t)plan.line_size;
            work->size += plan.line_size;
            left--;
        }
    }
    return status;
}

static void publish_transaction(const struct work *work, uint64_t new_end)
{
    kvstore *store = work->store;
    const char *line = work->lines;
    size_t left = work->line_count;
    kv_index_begin_publishing(&store->index, new_end);
    for (size_t i = 0; i < work->transaction->change_count; i++) {
        const struct part *part = &work->parts[i];
        if (part->is_written) {
            const struct kv_change *change = &work->transaction->changes[i];
            const struct kv_record_plan plan = {
                .type = change->type,
                .key = change->key,
                .key_size = change->key_size,
                .line_size = part->line_size,
                .expires_ms = part->expires_ms,
                .batch = work->line_count > 1 ? (uint32_t)left : 0};
            kv_store_publish(store, &plan, line, &part->target);
            line += part->line_size;
            left--;
        }
    }
    kv_index_end_publishing(&store->index, !store->is_exclusive);
}

/* Lines that would follow damage get a blank line before them. It is there, and
 * on the disk if the handle is durable, before the first of them is. */
static kvstore_status keep_apart(const struct work *work)
{
    const struct kv_table_totals *totals = &work->store->index.totals;
    return work->line_count > 1 && totals->follows != 0
               ? kv_store_append_blank(work->store)
               : KVSTORE_OK;
}

static kvstore_status write_transaction(struct work *work)
{
    kvstore *store = work->store;
    char short_lines[SHORT_LINES_SIZE];
    work->short_lines = short_lines;
    work->lines = short_lines;
    work->lines_capacity = sizeof short_lines;
    work->size = 0;
    kvstore_status status = lay_out_transaction(work);
    if (status == KVSTORE_OK) {
        status = keep_apart(work);
    }
    uint64_t new_end = store->index.totals.applied + work->size;
    const struct kv_log_bytes lines = {.bytes = work->lines,
                                       .size = work->size};
    if (status == KVSTORE_OK) {
        status = kv_store_append(store, &lines, 1, new_end);
    }
    if (status == KVSTORE_OK) {
        publish_transaction(work, new_end);
    }
    if (work->lines != work->short_lines) {
        kv_io_free(work->lines);
    }
    work->lines = NULL;
    work->short_lines = NULL;
    return status;
}

/* --- Together --- */

/* Within a write. is_due_out: it has made a compaction due. */
static kvstore_status transact(kvstore *store,
                               struct kv_transaction *transaction,
                               bool *is_due_out)
{
    struct work work = {
        .store = store, .transaction = transaction, .capacity = 1};
    work.parts = &work.one;
    kvstore_status status = decide(&work);
    *is_due_out = false;
    if (status == KVSTORE_OK && work.line_count > 0) {
        status = write_transaction(&work);
        *is_due_out = status == KVSTORE_OK && kv_store_is_compaction_due(store);
    }
    if (work.parts != &work.one) {
        kv_io_free(work.parts);
    }
    return status;
}

kvstore_status kv_store_transact(struct kvstore *store,
                                 struct kv_transaction *transaction)
{
    struct kv_gate_waiter waiter = {.has_work = false};
    const struct kv_store_intent intent = {.timeout_ms =
                                               store->lock_timeout_ms};
    int cancel = kv_cancel_hold();
    kvstore_status status = kv_store_begin_write(store, &waiter, &intent);
    if (status == KVSTORE_OK) {
        bool is_due = false;
        kv_error_hold();
        status = transact(store, transaction, &is_due);
        if (status == KVSTORE_CONFLICT || status == KVSTORE_NOT_FOUND) {
            kv_error_release(); /* Answers, not failures. */
        } else {
            (void)kv_error_release_after(status);
        }
        kv_store_end_write(store);
        if (is_due) {
            kv_store_compact_when_due(store);
        }
    }
    kv_store_tell_warnings(store);
    kv_cancel_release(cancel);
    return status;
}
