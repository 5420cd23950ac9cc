/* SPDX-License-Identifier: MIT */

/* What a compaction copies.
 *
 * Invariants:
 * 1. What is kept is kept in order and byte for byte, except that records of a
 *    batch lose that member. Damage is kept. While there is damage, so are the
 *    newest Removes after it: the damaged line may be the one that they
 *    removed.
 * 2. The index is not believed, whatever its identity says: index/check.h checks
 *    it against each record. A record that no slot leads to is left out only
 *    where its key's slot leads on to a later one. One that is marked must not
 *    have its key in the new index already. So a key that the log holds has
 *    exactly one newest record in the new one, or the copy ends and the index is
 *    built anew.
 * 3. Writers may go on. A slot only ever leads on to a later record, so what
 *    was the newest when the marks were set is copied at most once, and what
 *    was not has a newer one, which is copied or followed. */

#include "store/compaction_copy.h"

#include "index/apply.h"
#include "index/check.h"
#include "index/index.h"
#include "index/table.h"
#include "log/line.h"
#include "log/log.h"
#include "log/pointer.h"
#include "os/error.h"
#include "os/system.h"
#include "record/expiry.h"
#include "record/plan.h"
#include "record/record.h"
#include "record/text.h"

#include <assert.h>
#include <string.h>

/* --- Batches --- */

/* Encodes the record of a batch anew, without that member. The caller frees the
 * line, which has line_size_out bytes, including its newline. */
static kvstore_status encode_without_batch(const struct kv_fold_item *item,
                                           char **line_out,
                                           size_t *line_size_out)
{
    const struct kv_record *record = item->record;
    size_t key_size = record->key.size;
    bool is_set = record->type == KV_RECORD_SET;
    size_t value_size = is_set ? record->value.size : 0;
    char *key = kv_io_allocate(key_size + value_size + 1);
    if (key == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    char *value = key + key_size;
    if (!kv_text_decode(&record->key, key) ||
        (is_set && !kv_text_decode(&record->value, value))) {
        kv_io_free(key);
        return kv_fail_at(KVSTORE_CORRUPT,
                          item->pointer.offset,
                          "%s was changed under a running program",
                          KV_LOG_NAME);
    }
    struct kv_record_plan plan =
        is_set ? kv_record_plan_set(key, key_size, value, value_size)
               : kv_record_plan_remove(key, key_size);
    kv_record_plan_add(&plan, is_set ? record->expires_ms : 0, 0);
    *line_out = kv_io_allocate(plan.line_size);
    if (*line_out != NULL) {
        kv_record_encode(&plan, *line_out);
        *line_size_out = plan.line_size;
    }
    kv_io_free(key);
    return *line_out != NULL ? KVSTORE_OK : KVSTORE_NO_MEMORY;
}

static bool is_of_batch(const struct kv_fold_item *item)
{
    return item->type != KV_RECORD_DAMAGED && item->record->batch != 0;
}

/* Visits an item, or what it is without its batch. */
static kvstore_status visit_alone(
    struct kv_compaction *compaction,
    const struct kv_fold_item *item,
    kvstore_status (*visit)(struct kv_compaction *compaction,
                            const struct kv_fold_item *item))
{
    if (!is_of_batch(item)) {
        return visit(compaction, item);
    }
    size_t line_size = 0;
    char *line = NULL;
    kvstore_status status = encode_without_batch(item, &line, &line_size);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_fold_item alone = *item;
    alone.bytes = line;
    alone.size = line_size - 1;
    alone.pointer.length = line_size;
    status = visit(compaction, &alone);
    kv_io_free(line);
    return status;
}

/* --- Keeping a line --- */

static kvstore_status apply(struct kv_compaction *compaction,
                            const struct kv_fold_item *item)
{
    return kv_index_apply(&compaction->new_index, &compaction->new_log, item);
}

/* Puts what must come before an item, and counts it: a newline belongs to the
 * damage before it. */
static kvstore_status open_gap(struct kv_compaction *compaction,
                               const struct kv_fold_item *item)
{
    struct kv_compaction_gap gap = kv_compaction_gap_before(compaction, item);
    if (gap.is_parted) {
        kv_index_lengthen_damage(&compaction->new_index, 1);
    }
    if (gap.blank_size > 0) {
        static const struct kv_record blank = {.type = KV_RECORD_BLANK};
        struct kv_fold_item line = {
            .pointer = {.offset = compaction->new_index.totals.applied,
                        .length = gap.blank_size},
            .type = KV_RECORD_BLANK,
            .record = &blank};
        kvstore_status status = apply(compaction, &line);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return kv_compaction_put_gap(compaction, gap);
}

static kvstore_status keep_item(struct kv_compaction *compaction,
                                const struct kv_fold_item *item)
{
    kvstore_status status = open_gap(compaction, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_fold_item moved = *item;
    moved.pointer.offset = kv_compaction_offset(compaction);
    status = kv_compaction_put_line(compaction, item);
    if (status != KVSTORE_OK) {
        return status;
    }
    assert(kv_compaction_offset(compaction) ==
           moved.pointer.offset + moved.pointer.length);
    return apply(compaction, &moved);
}

static bool is_record(const struct kv_fold_item *item)
{
    return item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE;
}

/* True if a record is kept when it is the newest of its key. While there is
 * damage, this includes Removes, and Sets that have expired. */
static bool is_kept_if_newest(struct kv_compaction *compaction,
                              const struct kv_fold_item *item)
{
    return compaction->keeps_removes ||
           kv_expiry_is_live(&compaction->expiry, item->record);
}

/* --- Checking the index --- */

static kvstore_status refuse_index(uint64_t offset)
{
    return kv_fail_at(KVSTORE_CORRUPT,
                      offset,
                      "the index does not belong to %s",
                      KV_LOG_NAME);
}

static kvstore_status check_unmarked(const struct kv_compaction *compaction,
                                     const struct kv_index_key *key,
                                     uint64_t offset)
{
    bool leads_on = false;
    kvstore_status status =
        kv_index_check_leads_on(compaction->check, key, offset, &leads_on);
    return status == KVSTORE_OK && !leads_on ? refuse_index(offset) : status;
}

static void meet_marked(struct kv_compaction *compaction,
                        struct kv_table_hash hash,
                        const struct kv_fold_item *item)
{
    struct kv_table_entry entry = {.pointer = item->pointer,
                                   .kind = kv_index_kind(item)};
    kv_index_check_meet(compaction->check, hash, &entry);
}

/* There must be no record of the key in the new log yet: else the index has led
 * to one that is not the newest. */
static kvstore_status check_is_first(const struct kv_compaction *compaction,
                                     struct kv_table_hash hash,
                                     const struct kv_fold_item *item)
{
    return kv_table_get(&compaction->new_index.table, hash, false).tag != 0
               ? refuse_index(item->pointer.offset)
               : KVSTORE_OK;
}

static kvstore_status check_marked(struct kv_compaction *compaction,
                                   struct kv_table_hash hash,
                                   const struct kv_fold_item *item)
{
    meet_marked(compaction, hash, item);
    return check_is_first(compaction, hash, item);
}

kvstore_status kv_compaction_check_index(struct kv_compaction *compaction)
{
    return kv_index_check_is_true(compaction->check)
               ? KVSTORE_OK
               : refuse_index(compaction->copied);
}

/* --- The copy --- */

static kvstore_status is_kept(struct kv_compaction *compaction,
                              const struct kv_fold_item *item,
                              bool *is_kept_out)
{
    *is_kept_out = item->type != KV_RECORD_BLANK;
    if (!is_record(item) || !kv_index_is_reachable(item)) {
        return KVSTORE_OK;
    }
    uint64_t offset = item->pointer.offset;
    bool is_marked = kv_index_check_is_marked(compaction->check, offset);
    struct kv_index_key key;
    kvstore_status status =
        kv_index_get_key(&compaction->index->table, item->record, &key);
    if (status == KVSTORE_OK) {
        status = is_marked ? check_marked(compaction, key.hash, item)
                           : check_unmarked(compaction, &key, offset);
        kv_io_free(key.allocated);
    }
    *is_kept_out = is_marked && is_kept_if_newest(compaction, item);
    return status;
}

static kvstore_status copy_now(struct kv_compaction *compaction,
                               const struct kv_fold_item *item)
{
    bool is_live = false;
    kvstore_status status = is_kept(compaction, item, &is_live);
    return status == KVSTORE_OK && is_live
               ? visit_alone(compaction, item, keep_item)
               : status;
}

/* --- The queue --- */

/* Most records are short, and hold their key as it is. The marks say whether
 * the index leads to them. They wait here for memory: one that is marked, for
 * the slot in the new index where its key belongs; one that is not, for its
 * key's slot in the old index. */
#define QUEUE_SIZE 32u
#define QUEUED_LINE_SIZE_MAX 512u

struct queued {
    struct kv_log_pointer pointer;
    struct kv_table_hash hash; /* Of its key. */
    enum kv_record_type type;
    int64_t expires_ms;
    bool is_marked; /* The old index leads to it. */
    bool is_kept;   /* If so, and the index is true. */
    size_t size;    /* Of the line, without its newline. */
    size_t key_size;
    size_t key_at; /* In the line. */
    char line[QUEUED_LINE_SIZE_MAX];
};

struct kv_compaction_queue {
    uint64_t entered; /* Records so far: the last ones are in the queue, */
    uint64_t left;    /* and this many have been copied, or not. */
    struct queued queued[QUEUE_SIZE];
};

struct kv_compaction_queue *kv_compaction_queue_create(void)
{
    struct kv_compaction_queue *queue = kv_io_allocate(sizeof *queue);
    if (queue != NULL) {
        queue->entered = 0;
        queue->left = 0;
    }
    return queue;
}

static bool can_wait(const struct kv_compaction *compaction,
                     const struct kv_fold_item *item)
{
    if (compaction->keeps_removes || !is_record(item) ||
        item->size > QUEUED_LINE_SIZE_MAX ||
        item->pointer.length != item->size + 1 || is_of_batch(item)) {
        return false;
    }
    /* A line in a form of its own is decoded elsewhere. */
    const struct kv_text *key = &item->record->key;
    return item->record->owned == NULL && key->form == KV_TEXT_PLAIN &&
           kv_index_is_reachable(item);
}

static struct queued *queued_at(struct kv_compaction *compaction,
                                uint64_t number)
{
    return &compaction->queue->queued[number % QUEUE_SIZE];
}

static void enter(struct kv_compaction *compaction,
                  const struct kv_fold_item *item)
{
    struct queued *queued = queued_at(compaction, compaction->queue->entered++);
    const struct kv_text *key = &item->record->key;
    queued->pointer = item->pointer;
    queued->type = item->type;
    queued->expires_ms = item->record->expires_ms;
    queued->is_marked =
        kv_index_check_is_marked(compaction->check, item->pointer.offset);
    queued->is_kept = queued->is_marked && is_kept_if_newest(compaction, item);
    queued->size = item->size;
    queued->key_size = key->size;
    queued->key_at = (size_t)((const char *)key->raw - item->bytes);
    memcpy(queued->line, item->bytes, item->size);
    queued->hash =
        kv_table_hash(&compaction->new_index.table, key->raw, key->size);
    kv_table_prefetch(queued->is_marked ? &compaction->new_index.table
                                        : &compaction->index->table,
                      queued->hash);
}

/* Copies a record that is the newest, and gives it its slot, which must be a new
 * one. */
static kvstore_status keep_queued(struct kv_compaction *compaction,
                                  const struct kv_fold_item *item,
                                  struct kv_table_hash hash)
{
    struct kv_fold_item moved = *item;
    bool is_new = false;
    moved.pointer.offset = kv_compaction_offset(compaction);
    kvstore_status status = kv_compaction_put_line(compaction, item);
    if (status == KVSTORE_OK) {
        status = kv_index_apply_hash(&compaction->new_index,
                                     &compaction->new_log,
                                     &moved,
                                     hash,
                                     &is_new);
    }
    return status == KVSTORE_OK && !is_new ? refuse_index(item->pointer.offset)
                                           : status;
}

static kvstore_status leave_marked(struct kv_compaction *compaction,
                                   const struct queued *queued)
{
    struct kv_record record = {
        .type = queued->type,
        .has_key = true,
        .key = kv_text_plain(queued->line + queued->key_at, queued->key_size),
        .expires_ms = queued->expires_ms};
    struct kv_fold_item item = {.pointer = queued->pointer,
                                .bytes = queued->line,
                                .size = queued->size,
                                .type = queued->type,
                                .record = &record};
    meet_marked(compaction, queued->hash, &item);
    return queued->is_kept ? keep_queued(compaction, &item, queued->hash)
                           : check_is_first(compaction, queued->hash, &item);
}

static kvstore_status leave_next(struct kv_compaction *compaction)
{
    const struct queued *queued =
        queued_at(compaction, compaction->queue->left++);
    if (queued->is_marked) {
        return leave_marked(compaction, queued);
    }
    const struct kv_index_key key = {.bytes = queued->line + queued->key_at,
                                     .size = queued->key_size,
                                     .hash = queued->hash};
    return check_unmarked(compaction, &key, queued->pointer.offset);
}

kvstore_status kv_compaction_empty_queue(struct kv_compaction *compaction)
{
    struct kv_compaction_queue *queue = compaction->queue;
    kvstore_status status = KVSTORE_OK;
    while (status == KVSTORE_OK && queue->left < queue->entered) {
        status = leave_next(compaction);
    }
    return status;
}

static kvstore_status copy_later(struct kv_compaction *compaction,
                                 const struct kv_fold_item *item)
{
    struct kv_compaction_queue *queue = compaction->queue;
    kvstore_status status = KVSTORE_OK;
    if (queue->entered - queue->left == QUEUE_SIZE) {
        status = leave_next(compaction);
    }
    enter(compaction, item);
    return status;
}

/* --- The visits --- */

/* A rest this short is finished, even for a caller that cannot wait for a long
 * one. */
#define SHORT_REST ((uint64_t)64 << 20)

/* What writers add meanwhile counts as rest, or they could keep that caller
 * waiting for as long as they go on. */
static kvstore_status check_given_up(struct kv_compaction *compaction,
                                     uint64_t offset)
{
    if (compaction->is_given_up == NULL ||
        !atomic_load_explicit(compaction->is_given_up, memory_order_relaxed)) {
        compaction->unhurried = offset;
        return KVSTORE_OK;
    }
    return compaction->end - compaction->unhurried > SHORT_REST
               ? kv_fail(KVSTORE_BUSY, "the compaction was given up")
               : KVSTORE_OK;
}

static void note_source(struct kv_compaction *compaction,
                        const struct kv_fold_item *item)
{
    if (item->bytes != NULL) {
        compaction->mark.totals.last = item->pointer;
        compaction->mark.totals.last_sum =
            kv_index_line_sum(item->bytes, item->size, is_record(item));
    }
}

kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item)
{
    struct kv_compaction *compaction = context;
    kvstore_status status = check_given_up(compaction, item->pointer.offset);
    note_source(compaction, item);
    if (status == KVSTORE_OK && can_wait(compaction, item)) {
        return copy_later(compaction, item);
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_empty_queue(compaction);
    }
    if (status == KVSTORE_OK && item->type == KV_RECORD_DAMAGED &&
        !compaction->keeps_removes) {
        /* The index does not know of any damage. */
        status = kv_fail_at(KVSTORE_CORRUPT,
                            item->pointer.offset,
                            "a line of %s has rotted",
                            KV_LOG_NAME);
    }
    return status == KVSTORE_OK ? copy_now(compaction, item) : status;
}

/* The fold of the new log counts what is put here. */
static kvstore_status follow_line(struct kv_compaction *compaction,
                                  const struct kv_fold_item *item)
{
    kvstore_status status = kv_compaction_put_gap(
        compaction, kv_compaction_gap_before(compaction, item));
    return status == KVSTORE_OK ? kv_compaction_put_line(compaction, item)
                                : status;
}

kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item)
{
    kvstore_status status = check_given_up(context, item->pointer.offset);
    note_source(context, item);
    return status != KVSTORE_OK || item->type == KV_RECORD_BLANK
               ? status
               : visit_alone(context, item, follow_line);
}
