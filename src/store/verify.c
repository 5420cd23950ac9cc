/* SPDX-License-Identifier: MIT */

/* Verification is one fold, which finds the damaged lines, and one check of the
 * index for each sound record: its key must have a slot that leads to it or to
 * a later record. What is counted on the way must be what the index has
 * counted, if nothing was written meanwhile.
 *
 * A line that has rotted since the index was built is damage to the log, not to
 * the index: neither its slot nor the counts are held against the index. */

#include "store/verify.h"

#include "index/lead.h"
#include "index/table.h"
#include "os/error.h"
#include "os/system.h"
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
    struct kv_index_leads leads;
    bool is_over; /* The visitor has heard enough. */
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
    return report_item(check, item, kind);
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
        counts->live_bytes += length;
        counts->keys++;
    } else {
        counts->stale_bytes += length;
        counts->tombstone_bytes += length;
    }
}

static kvstore_status find_lead(struct check *check,
                                const struct kv_fold_item *item,
                                enum kv_index_lead *lead_out)
{
    const struct kv_verify *verify = check->verify;
    struct kv_index_key key;
    kvstore_status status =
        kv_index_get_key(&verify->index->table, item->record, &key);
    if (status == KVSTORE_OK) {
        check->leads.known_end = verify->end;
        status = kv_index_lead(verify->index,
                               verify->log,
                               &key,
                               item->pointer.offset,
                               &check->leads);
        *lead_out = check->leads.lead;
        kv_io_free(key.allocated);
    }
    return status;
}

static kvstore_status check_record(struct check *check,
                                   const struct kv_fold_item *item)
{
    const struct kv_verify *verify = check->verify;
    enum kv_index_lead lead = KV_INDEX_LEADS_HERE;
    if (!kv_index_is_reachable(item)) {
        check->counts.live_bytes += item->pointer.length;
        return KVSTORE_OK;
    }
    if (verify->index == NULL) {
        return KVSTORE_OK;
    }
    kvstore_status status = find_lead(check, item, &lead);
    if (status == KVSTORE_OK && lead == KV_INDEX_LEADS_ASTRAY) {
        status = report_item(check, item, KVSTORE_DAMAGE_INDEX);
    }
    count_record(&check->counts, item, lead == KV_INDEX_LEADS_HERE);
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
        status = report_item(check, item, KVSTORE_DAMAGE_NEWER);
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
 * writing, or has died while writing. is_sound_out: they can be read. */
static bool load_settled_totals(const struct kv_verify *verify,
                                struct kv_table_totals *totals,
                                bool *is_sound_out)
{
    const struct kv_table *table = &verify->index->table;
    *is_sound_out = kv_table_load_totals(table, totals);
    uint64_t end =
        atomic_load_explicit(&table->header->end, memory_order_acquire);
    return *is_sound_out && totals->applied == verify->end &&
           end == verify->end && totals->is_in_doubt == 0;
}

static bool counts_agree(const struct kv_table_counts *a,
                         const struct kv_table_counts *b)
{
    return a->keys == b->keys && a->live_bytes == b->live_bytes &&
           a->stale_bytes == b->stale_bytes &&
           a->tombstone_bytes == b->tombstone_bytes &&
           a->blank_bytes == b->blank_bytes &&
           a->damaged_bytes == b->damaged_bytes &&
           a->damaged_records == b->damaged_records;
}

static void check_counts(struct check *check)
{
    const struct kv_verify *verify = check->verify;
    struct kv_table_totals totals;
    bool is_sound = true;
    bool is_settled = load_settled_totals(verify, &totals, &is_sound);
    bool has_rotted =
        is_settled && check->counts.damaged_bytes > totals.counts.damaged_bytes;
    if (!is_sound || (is_settled && !has_rotted &&
                      !counts_agree(&totals.counts, &check->counts))) {
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

kvstore_status kv_verify_run(const struct kv_verify *verify)
{
    struct check check = {.verify = verify, .first_offset = KV_NO_OFFSET};
    struct kv_fold_range range = {.end = verify->end,
                                  .progress = verify->progress,
                                  .is_over = &check.is_over};
    struct kv_fold_result result;
    kvstore_status status =
        kv_fold(verify->log, range, check_item, &check, &result);
    if (status == KVSTORE_OK && !check.is_over) {
        status = check_end(&check, &result);
    }
    if (status == KVSTORE_OK && verify->index != NULL && !check.is_over) {
        check_counts(&check);
    }
    if (status == KVSTORE_OK && check.found > 0) {
        status = kv_fail_at(KVSTORE_CORRUPT,
                            check.first_offset,
                            "%s or its index is damaged",
                            KV_LOG_NAME);
    }
    return status;
}
