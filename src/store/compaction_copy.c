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
#include "index/parts.h"
#include "index/table.h"
#include "log/log.h"
#include "log/pointer.h"
#include "os/error.h"
#include "os/system.h"
#include "record/expiry.h"
#include "record/plan.h"
#include "record/record.h"
#include "record/text.h"

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

/* Sets alone_out to an item, or to what it is without its batch: then in a line
 * that the caller frees. */
static kvstore_status take_out_of_batch(const struct kv_fold_item *item,
                                        struct kv_fold_item *alone_out,
                                        char **line_out)
{
    size_t line_size = 0;
    *alone_out = *item;
    *line_out = NULL;
    if (!is_of_batch(item)) {
        return KVSTORE_OK;
    }
    kvstore_status status = encode_without_batch(item, line_out, &line_size);
    if (status == KVSTORE_OK) {
        alone_out->bytes = *line_out;
        alone_out->size = line_size - 1;
        alone_out->pointer.length = line_size;
    }
    return status;
}

/* --- Keeping a line --- */

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
        kvstore_status status =
            kv_index_count_line(&compaction->new_index, &line);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return kv_compaction_put_gap(compaction, gap);
}

/* Puts a line into the new log. moved_out: where it is there. */
static kvstore_status put_item(struct kv_compaction *compaction,
                               const struct kv_fold_item *item,
                               struct kv_log_pointer *moved_out)
{
    bool may_need_gap = item->is_closed || compaction->is_open;
    kvstore_status status =
        may_need_gap ? open_gap(compaction, item) : KVSTORE_OK;
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_fold_item moved = *item;
    moved.pointer.offset = kv_compaction_offset(compaction);
    *moved_out = moved.pointer;
    status = kv_compaction_put_line(compaction, item);
    return status == KVSTORE_OK
               ? kv_index_count_line(&compaction->new_index, &moved)
               : status;
}

/* --- The new index --- */

static kvstore_status refuse_index(void)
{
    return kv_fail(
        KVSTORE_CORRUPT, "the index does not belong to %s", KV_LOG_NAME);
}

/* Puts a slot into the new index; one of no length is of a record that was
 * not kept, and only looked up. There must be no record of the key yet: else
 * the old index has led to one that is not the newest. */
static kvstore_status put_new(void *context, struct kv_table_slot slot)
{
    struct kv_compaction *compaction = context;
    struct kv_index *index = &compaction->new_index;
    struct kv_table_entry entry = kv_table_entry_of(slot);
    struct kv_table_hash hash = kv_table_hash_of(slot);
    bool is_new = true;
    kvstore_status status = KVSTORE_OK;
    if (entry.pointer.length == 0) {
        is_new = kv_table_get(&index->table, hash, false).tag == 0;
    } else {
        status = kv_index_put_slot(index, &compaction->new_log, slot, &is_new);
    }
    return status == KVSTORE_OK && !is_new && entry.kind != KV_TABLE_DAMAGE
               ? refuse_index()
               : status;
}

static kvstore_status put_later(struct kv_compaction *compaction,
                                struct kv_table_slot slot,
                                struct kv_log_pointer pointer)
{
    struct kv_table_entry entry = kv_table_entry_of(slot);
    entry.pointer = pointer;
    return kv_parts_put(compaction->newest,
                        kv_table_slot_of(kv_table_hash_of(slot), &entry));
}

/* --- The old index --- */

/* The slot of a record that no slot leads to must lead on to a later one. */
static kvstore_status check_other(void *context, struct kv_table_slot slot)
{
    const struct kv_compaction *compaction = context;
    bool leads_on = false;
    kvstore_status status =
        kv_index_check_leads_on(compaction->check,
                                kv_table_hash_of(slot),
                                kv_table_entry_of(slot).pointer.offset,
                                &leads_on);
    return status == KVSTORE_OK && !leads_on ? refuse_index() : status;
}

/* --- The copy --- */

static bool is_record(const struct kv_fold_item *item)
{
    return item->type == KV_RECORD_SET || item->type == KV_RECORD_REMOVE;
}

/* Keeps an item. slot: its own, or NULL. */
static kvstore_status keep(struct kv_compaction *compaction,
                           const struct kv_fold_item *item,
                           const struct kv_table_slot *slot)
{
    struct kv_fold_item alone;
    struct kv_log_pointer moved;
    char *line = NULL;
    kvstore_status status = take_out_of_batch(item, &alone, &line);
    if (status == KVSTORE_OK) {
        status = put_item(compaction, &alone, &moved);
        kv_io_free(line);
    }
    return status == KVSTORE_OK && slot != NULL
               ? put_later(compaction, *slot, moved)
               : status;
}

/* True if a record is kept when it is the newest of its key. While there is
 * damage, this includes Removes, and Sets that have expired. */
static bool is_kept_if_newest(struct kv_compaction *compaction,
                              const struct kv_fold_item *item)
{
    return compaction->keeps_removes ||
           kv_expiry_is_live(&compaction->expiry, item->record);
}

static kvstore_status copy_record(struct kv_compaction *compaction,
                                  const struct kv_fold_item *item,
                                  const struct kv_table_slot *slot)
{
    static const struct kv_log_pointer nowhere = {.length = 0};
    if (!kv_index_check_is_marked(compaction->check, item->pointer.offset)) {
        return kv_parts_put(compaction->others, *slot);
    }
    kv_index_check_meet(compaction->check, *slot);
    return is_kept_if_newest(compaction, item)
               ? keep(compaction, item, slot)
               : put_later(compaction, *slot, nowhere);
}

static kvstore_status copy(struct kv_compaction *compaction,
                           const struct kv_fold_item *item)
{
    struct kv_table_slot slot;
    if (item->type == KV_RECORD_BLANK) {
        return KVSTORE_OK;
    }
    if (!kv_index_is_reachable(item)) {
        return keep(compaction, item, NULL);
    }
    kvstore_status status =
        kv_index_make_slot(&compaction->index->table, item, &slot);
    if (status != KVSTORE_OK) {
        return status;
    }
    return is_record(item) ? copy_record(compaction, item, &slot)
                           : keep(compaction, item, &slot);
}

kvstore_status kv_compaction_begin_copy(struct kv_compaction *compaction)
{
    kvstore_status status = kv_parts_create(
        &compaction->new_index.table, put_new, compaction, &compaction->newest);
    return status == KVSTORE_OK ? kv_parts_create(&compaction->index->table,
                                                  check_other,
                                                  compaction,
                                                  &compaction->others)
                                : status;
}

void kv_compaction_end_copy(struct kv_compaction *compaction)
{
    kv_parts_free(compaction->newest);
    kv_parts_free(compaction->others);
    compaction->newest = NULL;
    compaction->others = NULL;
}

kvstore_status kv_compaction_finish_copy(struct kv_compaction *compaction)
{
    kvstore_status status = kv_parts_empty(compaction->newest);
    if (status == KVSTORE_OK) {
        status = kv_parts_empty(compaction->others);
    }
    kv_compaction_end_copy(compaction); /* Rounds have parts of their own. */
    return status == KVSTORE_OK && !kv_index_check_is_true(compaction->check)
               ? refuse_index()
               : status;
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
        compaction->mark.totals.last_sum = kv_index_item_sum(item);
    }
}

kvstore_status kv_compaction_copy_item(void *context,
                                       const struct kv_fold_item *item)
{
    struct kv_compaction *compaction = context;
    kvstore_status status = check_given_up(compaction, item->pointer.offset);
    if (status == KVSTORE_OK && item->type == KV_RECORD_DAMAGED &&
        !compaction->keeps_removes) {
        /* The index does not know of any damage. */
        status = kv_fail_at(KVSTORE_CORRUPT,
                            item->pointer.offset,
                            "a line of %s has rotted",
                            KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        status = copy(compaction, item);
    }
    note_source(compaction, item);
    return status;
}

/* The fold of the new log counts what is put here. */
static kvstore_status follow(struct kv_compaction *compaction,
                             const struct kv_fold_item *item)
{
    struct kv_fold_item alone;
    char *line = NULL;
    kvstore_status status = take_out_of_batch(item, &alone, &line);
    if (status == KVSTORE_OK) {
        status = kv_compaction_put_gap(
            compaction, kv_compaction_gap_before(compaction, &alone));
    }
    if (status == KVSTORE_OK) {
        status = kv_compaction_put_line(compaction, &alone);
    }
    kv_io_free(line);
    return status;
}

kvstore_status kv_compaction_follow_item(void *context,
                                         const struct kv_fold_item *item)
{
    kvstore_status status = check_given_up(context, item->pointer.offset);
    note_source(context, item);
    return status != KVSTORE_OK || item->type == KV_RECORD_BLANK
               ? status
               : follow(context, item);
}
