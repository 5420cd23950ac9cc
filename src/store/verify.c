/* SPDX-License-Identifier: MIT */

/* Verification is one fold, which finds the damaged lines, and one check of the
 * index against each sound record: the key's slot leads to it, or on to a later
 * one. What is counted on the way must be what the index has counted, if nothing
 * was written meanwhile.
 *
 * A line that has rotted since the index was built is damage to the log, not to
 * the index: neither its slot nor the counts are held against the index. */

#include "store/verify.h"

#include "index/check.h"
#include "index/table.h"
#include "log/line.h"
#include "os/error.h"
#include "os/system.h"
#include "record/decode.h"
#include "record/record.h"
#include "record/text.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct check {
    const struct kv_verify *verify;
    struct kv_table_counts counts; /* What the log has. */
    uint64_t found;
    uint64_t first_offset;
    struct kv_index_check *index; /* NULL: there is none to check. */
    bool is_strict;  /* Lines that have rotted are held against the index. */
    bool is_over;    /* The visitor has heard enough. */
    bool is_settled; /* Nothing was written meanwhile. */
};

static void report(struct check *check, const kvstore_damage *damage)
{
    const struct kv_verify *verify = check->verify;
    if (check->found == 0) {
        check->first_offset = damage->offset;
    }
    check->found++;
    if (verify->visit != NULL && !check->is_over) {
        check->is_over = !verify->visit(verify->context, damage);
    }
}

/* Reports a line, with the key that it names. */
static kvstore_status report_item(struct check *check,
                                  const struct kv_fold_item *item,
                                  int kind)
{
    const struct kv_text *text = &item->record->key;
    kvstore_damage damage = {.kind = kind,
                             .offset = item->pointer.offset,
                             .length = item->pointer.length};
    char *key = NULL;
    if (item->record->has_key) {
        key = kv_io_allocate(text->size + 1);
        if (key == NULL) {
            return KVSTORE_NO_MEMORY;
        }
        if (!kv_text_decode(text, key)) {
            kv_io_free(key);
            return kv_fail_at(KVSTORE_CORRUPT,
                              item->pointer.offset,
                              "%s was changed under a running program",
                              KV_LOG_NAME);
        }
        damage.key = key;
        damage.key_size = text->size;
    }
    report(check, &damage);
    kv_io_free(key);
    return KVSTORE_OK;
}

/* A line that cannot be served, and tells its key, has a slot for that. */
static kvstore_status check_told(struct check *check,
                                 const struct kv_fold_item *item)
{
    if (!check->is_strict || !kv_index_is_indexed(item)) {
        return KVSTORE_OK;
    }
    struct kv_index_key key;
    const struct kv_table *table = &check->verify->index->table;
    kvstore_status status = kv_index_get_key(table, item->record, &key);
    if (status != KVSTORE_OK) {
        return status;
    }
    struct kv_table_slot slot = kv_table_get(table, key.hash, true);
    if (slot.tag == 0 ||
        kv_table_entry_of(slot).pointer.offset < item->pointer.offset) {
        status = report_item(check, item, KVSTORE_DAMAGE_INDEX);
    }
    kv_io_free(key.allocated);
    return status;
}

static kvstore_status check_damaged(struct check *check,
                                    const struct kv_fold_item *item)
{
    int kind = KVSTORE_DAMAGE_LINE;
    if (item->record->type != KV_RECORD_DAMAGED) {
        kind = KVSTORE_DAMAGE_BATCH;
    } else if (item->record->damage == KVSTORE_CORRUPT) {
        kind = KVSTORE_DAMAGE_SUM;
    }
    check->counts.damaged_bytes += item->pointer.length;
    check->counts.damaged_records++;
    kvstore_status status = report_item(check, item, kind);
    return status == KVSTORE_OK ? check_told(check, item) : status;
}

/* Counts a record as live or stale, as the index has it. */
static void count_record(struct kv_table_counts *counts,
                         const struct kv_fold_item *item,
                         bool is_newest)
{
    uint64_t length = item->pointer.length;
    if (!is_newest) {
        counts->stale_bytes += length;
    } else if (item->type == KV_RECORD_SET) {
        bool may_expire = item->record->expires_ms != 0;
        counts->live_bytes += length;
        counts->keys++;
        counts->expiring_keys += may_expire ? 1 : 0;
        counts->expiring_bytes += may_expire ? length : 0;
    } else {
        counts->stale_bytes += length;
        counts->tombstone_bytes += length;
    }
}

/* How much is read of a later line of a key: nearly every key is within it. */
#define SHORT_HEAD_SIZE 1024u

/* True unless the line that a slot leads to tells another key. Two keys may
 * share their hash. */
static kvstore_status may_be_of_key(const struct kv_verify *verify,
                                    struct kv_table_slot slot,
                                    const struct kv_index_key *key,
                                    bool *may_be_out)
{
    uint64_t offset = kv_table_entry_of(slot).pointer.offset;
    uint64_t head_end = offset + SHORT_HEAD_SIZE;
    struct kv_log_line line;
    struct kv_record record;
    *may_be_out = true;
    kvstore_status status =
        kv_log_read_line(verify->log,
                         offset,
                         head_end < verify->end ? head_end : verify->end,
                         &line);
    if (status == KVSTORE_OK) {
        kv_record_tell_key(line.bytes, line.size, &record);
        *may_be_out = !record.has_key ||
                      kv_text_equals(&record.key, key->bytes, key->size);
        kv_log_line_release(&line);
    }
    return status;
}

/* Finds out whether the key's slot leads to a record, which is then the newest;
 * or else on to a later one. */
static kvstore_status check_slot(struct check *check,
                                 const struct kv_fold_item *item,
                                 const struct kv_index_key *key,
                                 bool *is_newest_out,
                                 bool *leads_on_out)
{
    struct kv_table_entry entry = {.pointer = item->pointer,
                                   .kind = kv_index_kind(item)};
    *leads_on_out = false;
    if (kv_index_check_is_marked(check->index, item->pointer.offset)) {
        kv_index_check_meet(check->index, kv_table_slot_of(key->hash, &entry));
    }
    struct kv_table_slot slot =
        kv_table_get(&check->verify->index->table, key->hash, false);
    *is_newest_out =
        slot.tag != 0 &&
        slot.pointer == kv_table_slot_of(key->hash, &entry).pointer;
    if (*is_newest_out) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_index_check_leads_on(
        check->index, key->hash, item->pointer.offset, leads_on_out);
    return status == KVSTORE_OK && *leads_on_out
               ? may_be_of_key(check->verify, slot, key, leads_on_out)
               : status;
}

static kvstore_status check_record(struct check *check,
                                   const struct kv_fold_item *item)
{
    if (!kv_index_is_reachable(item)) {
        check->counts.live_bytes += item->pointer.length;
        return KVSTORE_OK;
    }
    if (check->index == NULL) {
        return KVSTORE_OK;
    }
    struct kv_index_key key;
    bool is_newest = false;
    bool leads_on = false;
    kvstore_status status =
        kv_index_get_key(&check->verify->index->table, item->record, &key);
    if (status == KVSTORE_OK) {
        status = check_slot(check, item, &key, &is_newest, &leads_on);
        kv_io_free(key.allocated);
    }
    if (status == KVSTORE_OK && !is_newest && !leads_on) {
        status = report_item(check, item, KVSTORE_DAMAGE_INDEX);
    }
    count_record(&check->counts, item, is_newest);
    return status;
}

static kvstore_status check_item(void *context, const struct kv_fold_item *item)
{
    struct check *check = context;
    kvstore_status status = KVSTORE_OK;
    switch (item->type) {
    case KV_RECORD_BLANK:
        check->counts.blank_bytes += item->pointer.length;
        break;
    case KV_RECORD_DAMAGED:
        status = check_damaged(check, item);
        break;
    case KV_RECORD_UNKNOWN:
        check->counts.live_bytes += item->pointer.length;
        check->counts.unknown_records++;
        status = report_item(check, item, KVSTORE_DAMAGE_NEWER);
        if (status == KVSTORE_OK) {
            status = check_told(check, item);
        }
        break;
    case KV_RECORD_SET:
    case KV_RECORD_REMOVE:
        status = check_record(check, item);
        break;
    }
    return status;
}

/* --- The counts --- */

/* True if the totals are those of the log up to the end; else a process is
 * writing, or has died while writing. */
static bool load_settled_totals(const struct kv_verify *verify,
                                struct kv_table_totals *totals)
{
    const struct kv_table *table = &verify->index->table;
    return kv_table_load_totals(table, totals) &&
           totals->applied == verify->end &&
           kv_table_writing(table) != KV_TABLE_PUBLISHING;
}

static bool counts_agree(const struct kv_table_counts *a,
                         const struct kv_table_counts *b)
{
    return a->keys == b->keys && a->live_bytes == b->live_bytes &&
           a->stale_bytes == b->stale_bytes &&
           a->tombstone_bytes == b->tombstone_bytes &&
           a->expiring_keys == b->expiring_keys &&
           a->expiring_bytes == b->expiring_bytes &&
           a->blank_bytes == b->blank_bytes &&
           a->damaged_bytes == b->damaged_bytes &&
           a->damaged_records == b->damaged_records &&
           a->unknown_records == b->unknown_records;
}

/* True if the table has as many slots in use as its totals say. */
static bool slots_agree(const struct kv_table *table,
                        const struct kv_table_totals *totals)
{
    uint64_t used = 0;
    uint64_t of_damage = 0;
    for (uint64_t i = 0; i < kv_table_slot_count(table); i++) {
        struct kv_table_slot slot = kv_table_load(table, i);
        bool is_used = slot.tag != 0;
        used += is_used;
        of_damage += is_used && kv_table_entry_of(slot).kind == KV_TABLE_DAMAGE;
    }
    return used == totals->slots_used && of_damage == totals->damage_slots;
}

/* Of lines that have rotted the index knows what they were. */
static void check_counts(struct check *check)
{
    struct kv_table_totals totals;
    bool is_settled = load_settled_totals(check->verify, &totals);
    check->is_settled = is_settled;
    bool has_rotted = check->counts.damaged_bytes >
                      (is_settled ? totals.counts.damaged_bytes : 0);
    bool agrees =
        (!is_settled || counts_agree(&totals.counts, &check->counts)) &&
        kv_index_check_is_true(check->index);
    if (check->is_strict && is_settled) {
        agrees &= slots_agree(&check->verify->index->table, &totals);
    }
    if (!agrees && (check->is_strict || !has_rotted)) {
        kvstore_damage damage = {.kind = KVSTORE_DAMAGE_COUNTS,
                                 .offset = KV_NO_OFFSET};
        report(check, &damage);
    }
}

/* --- Verifying --- */

/* Checks what the fold has left out: a tail that looks torn, and was whole
 * once; or what is not there any more. */
static kvstore_status check_end(struct check *check,
                                const struct kv_fold_result *result)
{
    uint64_t end = check->verify->end;
    if (result->offset == end && !result->is_torn) {
        return KVSTORE_OK;
    }
    if (!result->is_torn) {
        return kv_fail_at(KVSTORE_CORRUPT,
                          result->offset,
                          "%s was cut short under a running program",
                          KV_LOG_NAME);
    }
    kvstore_damage damage = {.kind = KVSTORE_DAMAGE_LINE,
                             .offset = result->offset,
                             .length = end - result->offset};
    check->counts.damaged_bytes += damage.length;
    report(check, &damage);
    return KVSTORE_OK;
}

static kvstore_status verify_log(struct check *check)
{
    const struct kv_verify *verify = check->verify;
    struct kv_fold_range range = {.end = verify->end,
                                  .progress = verify->progress,
                                  .is_over = &check->is_over};
    struct kv_fold_result result;
    kvstore_status status =
        kv_fold(verify->log, range, check_item, check, &result);
    if (status == KVSTORE_OK && !check->is_over) {
        status = check_end(check, &result);
    }
    if (status == KVSTORE_OK && check->index != NULL && !check->is_over) {
        check_counts(check);
    }
    return status;
}

static kvstore_status run(struct check *check)
{
    const struct kv_verify *verify = check->verify;
    kvstore_status status = KVSTORE_OK;
    check->first_offset = KV_NO_OFFSET;
    if (verify->index != NULL) {
        status = kv_index_check_create(
            verify->index, verify->log, verify->end, &check->index);
    }
    if (status == KVSTORE_OK) {
        status = verify_log(check);
    }
    kv_io_free(check->index);
    return status;
}

kvstore_status kv_verify_run(const struct kv_verify *verify)
{
    struct check check = {.verify = verify};
    kvstore_status status = run(&check);
    if (status == KVSTORE_OK && check.found > 0) {
        status = kv_fail_at(KVSTORE_CORRUPT,
                            check.first_offset,
                            "%s or its index is damaged",
                            KV_LOG_NAME);
    }
    return status;
}

static bool note_lie(void *context, const kvstore_damage *damage)
{
    bool *is_true = context;
    *is_true &= damage->kind != KVSTORE_DAMAGE_INDEX &&
                damage->kind != KVSTORE_DAMAGE_COUNTS;
    return *is_true;
}

kvstore_status kv_verify_index(const struct kv_index *index,
                               const struct kv_log *log,
                               uint64_t end,
                               const struct kv_progress *progress,
                               bool *is_true_out,
                               bool *is_sure_out)
{
    bool is_true = true;
    struct kv_verify verify = {.log = log,
                               .end = end,
                               .index = index,
                               .progress = progress,
                               .visit = note_lie,
                               .context = &is_true};
    struct check check = {.verify = &verify, .is_strict = true};
    kvstore_status status = run(&check);
    *is_true_out = status == KVSTORE_OK && is_true;
    *is_sure_out = status == KVSTORE_OK && (check.is_settled || check.is_over);
    return status;
}
